/* The embedded catalog: whole, and without names that lead nowhere. */
#include "../../unpriv/image/catalog.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>

Test(catalog, defaults_exist) {
    const struct catalog_image *image = catalog_image(CATALOG_DEFAULT_IMAGE);
    cr_assert_not_null(image);
    cr_expect_str_eq(image->kind, "debian");
    cr_expect_not_null(catalog_kernel(CATALOG_DEFAULT_KERNEL));
    cr_expect_null(catalog_image("nosuch"));
    cr_expect_null(catalog_kernel(""));
}

Test(catalog, entries_are_whole_and_unique) {
    const struct catalog_image *image = NULL;
    for (size_t i = 0; (image = catalog_image_at(i)); i++) {
        cr_expect_eq(catalog_image(image->name), image, "%s is there twice", image->name);
        cr_expect_not_null(catalog_kernel(image->kernel), "%s", image->name);
        cr_expect_neq(image->recipe[0], '/');
        cr_expect_null(strstr(image->recipe, ".."));
    }
    const struct catalog_kernel *kernel = NULL;
    for (size_t i = 0; (kernel = catalog_kernel_at(i)); i++)
        cr_expect_eq(catalog_kernel(kernel->name), kernel, "%s is there twice", kernel->name);
}
