/* A catalog's text, after the embedded one. */
#include "../unpriv/catalog/catalog.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ended(const char *text, size_t size) {
    return text[0] && memchr(text, '\0', size) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct catalog c;
    struct err e = {0};
    c.image_count = c.kernel_count = 0;
    if (catalog_add(&c, catalog_embedded, strlen(catalog_embedded), "own", &e))
        abort();
    int r = catalog_add(&c, (const char *) data, size, "f", &e);
    if ((r != 0) != (e.code != 0) || (r && strncmp(e.text, "f:", 2) != 0))
        abort();
    for (size_t i = 0; i < c.image_count; i++) {
        const struct catalog_image *image = &c.images[i];
        if (!ended(image->name, sizeof(image->name)) || catalog_image(&c, image->name) != image)
            abort();
        if (strcmp(image->kind, "bundle") == 0 && (strlen(image->sha256) != 64 || !image->signature.prehashed))
            abort();
        if (strcmp(image->kind, "oci") == 0 && !strstr(image->reference, "@sha256:"))
            abort();
    }
    for (size_t i = 0; i < c.kernel_count; i++) {
        if (!ended(c.kernels[i].package, sizeof(c.kernels[i].package)))
            abort();
    }
    return 0;
}
