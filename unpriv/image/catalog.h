/* The images and kernels that banger knows by name, embedded in the programs. */
#ifndef BANGER_IMAGE_CATALOG_H
#define BANGER_IMAGE_CATALOG_H

#include <stddef.h>

#define CATALOG_DEFAULT_IMAGE  "debian-bookworm"
#define CATALOG_DEFAULT_KERNEL "debian-cloud"

struct catalog_image {
    const char *name;
    const char *kind;     /* "debian": a recipe writes the tree as a tar stream */
    const char *recipe;   /* below the data folder */
    const char *argument; /* of the recipe */
    const char *kernel;   /* name of the catalog's kernel that it is run with */
    const char *text;
};

struct catalog_kernel {
    const char *name;
    const char *package; /* of the host's distribution */
    const char *text;
};

/* The entry of that name, or NULL. */
const struct catalog_image *catalog_image(const char *name);
const struct catalog_kernel *catalog_kernel(const char *name);

/* The entry number `index` from 0, NULL past the end. */
const struct catalog_image *catalog_image_at(size_t index);
const struct catalog_kernel *catalog_kernel_at(size_t index);

#endif
