#include "catalog.h"

#include <string.h>

static const struct catalog_image images[] = {
    {CATALOG_DEFAULT_IMAGE, "debian", "images/debian/debian.sh", "bookworm", CATALOG_DEFAULT_KERNEL,
     "Debian 12, built here from the signed archive by mmdebstrap"},
};

static const struct catalog_kernel kernels[] = {
    {CATALOG_DEFAULT_KERNEL, "linux-image-cloud-amd64", "Debian's own kernel for virtual machines"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct catalog_image *catalog_image_at(size_t index) {
    return index < COUNT(images) ? &images[index] : NULL;
}

const struct catalog_kernel *catalog_kernel_at(size_t index) {
    return index < COUNT(kernels) ? &kernels[index] : NULL;
}

const struct catalog_image *catalog_image(const char *name) {
    for (size_t i = 0; i < COUNT(images); i++) {
        if (strcmp(images[i].name, name) == 0)
            return &images[i];
    }
    return NULL;
}

const struct catalog_kernel *catalog_kernel(const char *name) {
    for (size_t i = 0; i < COUNT(kernels); i++) {
        if (strcmp(kernels[i].name, name) == 0)
            return &kernels[i];
    }
    return NULL;
}
