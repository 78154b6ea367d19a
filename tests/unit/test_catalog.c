/* Catalogs: the embedded one is whole; what a text may and may not say. */
#include "../../unpriv/catalog/catalog.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
/* Of "hello\n", by minisign 0.11. */
#define SIGNED                                                                                                         \
    "untrusted comment: signature from minisign secret key\\n"                                                         \
    "RUQCySfbx+8G+o18KlfaxmRO6EUXM29sup2DVBV7Sgb3Bye28YJ67tfiaO9SlsuqxTnF1GnS+SrMGVxso1SQSVngDxB4Cluhag4=\\n"          \
    "trusted comment: t \\tx\\n"                                                                                       \
    "RMhZgUHuMVqNMBqD0h9oz4h5D9Xk2KaAEKurqlIcLGrC+JCOeXX7BexezxpuzLPAuWC6J4jKz+Uoso7iU7nMDw==\\n"

static struct catalog c;
static struct err error;

static int add(const char *text) {
    memset(&error, 0, sizeof(error));
    return catalog_add(&c, text, strlen(text), "f", &error);
}

#define ENTRY(text)  "format = 1\n[[image]]\n" text
#define BUNDLE(text) ENTRY("name = \"b\"\nkind = \"bundle\"\n" text)
#define REFUSED(input, words)                                                                                          \
    do {                                                                                                               \
        cr_expect_lt(add(input), 0);                                                                                   \
        cr_expect(strstr(error.text, words), "%s", error.text);                                                        \
        cr_expect_eq(strncmp(error.text, "f:", 2), 0, "%s", error.text);                                               \
        c.image_count = c.kernel_count = 0;                                                                            \
    } while (0)

Test(catalog, the_embedded_one_is_whole) {
    cr_assert_eq(add(catalog_embedded), 0, "%s", error.text);
    const struct catalog_image *image = catalog_image(&c, CATALOG_DEFAULT_IMAGE);
    cr_assert_not_null(image);
    cr_expect_str_eq(image->kind, "debian");
    cr_expect_not_null(catalog_kernel(&c, CATALOG_DEFAULT_KERNEL));
    cr_expect_null(catalog_image(&c, "nosuch"));
    cr_expect_null(catalog_kernel(&c, ""));
    for (size_t i = 0; i < c.image_count; i++)
        cr_expect_not_null(catalog_kernel(&c, c.images[i].kernel), "%s", c.images[i].name);
}

Test(catalog, each_kind_is_read) {
    cr_assert_eq(add(ENTRY("name = \"o\"\nkind = \"oci\"\nreference = \"docker.io/library/alpine@sha256:" HASH "\"\n")),
                 0, "%s", error.text);
    cr_assert_eq(add(BUNDLE("url = \"/srv/b.tar.zst\"\nsize = 99\nkernel = \"k\"\nsha256 = \"" HASH
                            "\"\nsignature = \"" SIGNED "\"\n")),
                 0, "%s", error.text);
    const struct catalog_image *image = catalog_image(&c, "b");
    cr_assert_not_null(image);
    cr_expect_eq(image->size, 99);
    cr_expect_str_eq(image->kernel, "k");
    cr_expect_str_eq(image->signature.comment, "t \tx");
    cr_expect(image->signature.prehashed);
    cr_expect_eq(c.image_count, 2);
}

Test(catalog, a_later_text_replaces_an_entry) {
    cr_assert_eq(add(catalog_embedded), 0);
    size_t count = c.image_count;
    cr_assert_eq(add(ENTRY("name = \"debian-bookworm\"\nkind = \"debian\"\nrelease = \"trixie\"\n")), 0, "%s",
                 error.text);
    cr_expect_eq(c.image_count, count);
    cr_expect_str_eq(catalog_image(&c, "debian-bookworm")->release, "trixie");
}

Test(catalog, what_is_wrong_is_said) {
    REFUSED("", "format = 1");
    REFUSED("format = 2\n", "another banger");
    REFUSED("[[image]]\nname = \"x\"\n", "must come first");
    REFUSED("format = 1\nformat = 1\n", "once");
    REFUSED("format = 1\n[image]\n", "nothing else");
    REFUSED("format = 1\n[[disk]]\n", "nothing else");
    REFUSED("format = 1\nname = \"x\"\n", "other keys belong under");
    REFUSED(ENTRY("nam = \"x\"\n"), "has no nam");
    REFUSED(ENTRY("name = \"../x\"\n"), "name must be");
    REFUSED(ENTRY("name = \"a b\"\n"), "name must be");
    REFUSED(ENTRY("name = \"a\"\nname = \"b\"\n"), "there already");
    REFUSED(ENTRY("name = \"a\"\n"), "kind must be");
    REFUSED(ENTRY("name = \"a\"\nkind = \"tar\"\n[[kernel]]\n"), "kind must be");
    REFUSED(ENTRY("kind = \"debian\"\nrelease = \"x\"\n"), "name is missing");
    REFUSED(ENTRY("name = \"a\"\nkind = \"debian\"\n"), "release is missing");
    REFUSED(ENTRY("name = \"a\"\nkind = \"debian\"\nrelease = \"x\"\nurl = \"/x\"\n"), "does not belong");
    REFUSED(
        ENTRY("name = \"a\"\nkind = \"debian\"\nrelease = \"x\"\n[[image]]\nname = \"a\"\nkind = \"debian\"\nrelease "
              "= \"x\"\n"),
        "there already");
    REFUSED(ENTRY("name = \"o\"\nkind = \"oci\"\nreference = \"docker.io/library/alpine:3\"\n"), "reference must be");
    REFUSED(ENTRY("name = \"o\"\nkind = \"oci\"\nreference = \"@sha256:" HASH "\"\n"), "reference must be");
    REFUSED("format = 1\n[[kernel]]\nname = \"k\"\n", "package is missing");
    REFUSED("format = 1\n[[kernel]]\nname = \"k\"\npackage = \"-x\"\n", "package must be");
}

Test(catalog, a_bundle_must_be_pinned_and_signed) {
    REFUSED(BUNDLE("url = \"http://x/b\"\n"), "url must be");
    REFUSED(BUNDLE("url = \"https:///b\"\n"), "url must be");
    REFUSED(BUNDLE("url = \"b.tar\"\n"), "url must be");
    REFUSED(BUNDLE("url = \"/srv/../b\"\n"), "url must be");
    REFUSED(BUNDLE("size = 0\n"), "size must be");
    REFUSED(BUNDLE("size = \"1G\"\n"), "size must be");
    REFUSED(BUNDLE("sha256 = \"abc\"\n"), "sha256 must be");
    REFUSED(BUNDLE("signature = 1\n"), "must be a text");
    REFUSED(BUNDLE("signature = \"x\"\n"), "not one of minisign's");
    REFUSED(BUNDLE("url = \"/b\"\nsize = 1\nsignature = \"" SIGNED "\"\n"), "sha256 is missing");
    REFUSED(BUNDLE("url = \"/b\"\nsize = 1\nsha256 = \"" HASH "\"\n"), "signature is missing");
}

Test(catalog, there_is_a_bound) {
    char text[128];
    cr_assert_eq(add("format = 1\n"), 0);
    int r = 0, count = 0;
    for (; r == 0 && count < 2 * CATALOG_ENTRIES_MAX; count++) {
        (void) snprintf(text, sizeof(text), "format = 1\n[[kernel]]\nname = \"k%d\"\npackage = \"p\"\n", count);
        r = add(text);
    }
    cr_expect_eq(r, -E2BIG);
    cr_expect_eq(count, CATALOG_ENTRIES_MAX + 1);
}
