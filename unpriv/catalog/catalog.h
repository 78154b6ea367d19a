/* The images and kernels that can be got by name: TOML texts (docs/image-catalog.md),
 * one embedded in the program, others from files. */
#ifndef BANGER_CATALOG_CATALOG_H
#define BANGER_CATALOG_CATALOG_H

#include "../../common/err.h"
#include "minisign.h"

#include <stddef.h>
#include <stdint.h>

#define CATALOG_DEFAULT_IMAGE  "debian-bookworm"
#define CATALOG_DEFAULT_KERNEL "debian-cloud"
#define CATALOG_ENTRIES_MAX    256 /* images, and as many kernels, of all texts */

/* Members that an entry's kind does not have are "" or 0. */
struct catalog_image {
    char name[64];
    char kind[16];
    char kernel[64]; /* that it is run with */
    char text[128];
    char release[32];                    /* debian: what the recipe makes */
    char reference[256];                 /* oci: with a digest at its end */
    char url[256];                       /* bundle: https://..., or an absolute path */
    char sha256[65];                     /* bundle: 64 hexadecimal digits */
    int64_t size;                        /* bundle: bytes of it */
    struct minisign_signature signature; /* bundle: of its bytes, "ED" */
};

struct catalog_kernel {
    char name[64];
    char package[64]; /* of the host's distribution */
    char text[128];
};

struct catalog {
    struct catalog_image images[CATALOG_ENTRIES_MAX];
    struct catalog_kernel kernels[CATALOG_ENTRIES_MAX];
    size_t image_count, kernel_count;
};

/* Text of the embedded one. */
extern const char catalog_embedded[];

/* Adds a text's entries; one whose name is there already, from another text, takes that
 * one's place. 0, or a negative errno with a sentence that begins "<file>:<line>: ", and
 * some of the entries are there. */
int catalog_add(struct catalog *c, const char *text, size_t size, const char *file, struct err *e);

/* The entry of that name, or NULL. */
const struct catalog_image *catalog_image(const struct catalog *c, const char *name);
const struct catalog_kernel *catalog_kernel(const struct catalog *c, const char *name);

#endif
