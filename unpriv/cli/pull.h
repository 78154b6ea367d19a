/* Getting images and kernels: catalog entries made by recipes and packages of the
 * host's distribution, handed to the daemon as descriptors. */
#ifndef BANGER_CLI_PULL_H
#define BANGER_CLI_PULL_H

#include "../../common/err.h"
#include "progress.h"
#include "registry.h"

#include <stdint.h>

/* Gets the catalog's image of that name: a recipe's, a registry's or a bundle's. */
int pull_image(const char *name, int64_t size, struct progress *p, struct err *e);

/* The catalog's entry of that name, else what the reference names in its registry. On success `*image`
 * (may be NULL) is the caller's. */
int pull_anywhere(const struct registry_pull *pull, struct progress *p, cJSON **image, struct err *e);

/* Downloads the package of the catalog's kernel and imports it. */
int pull_kernel(const char *name, int replace, struct progress *p, struct err *e);

/* kernel.import of `from` and `modules` (or NULL), as package_open() has them. */
int pull_kernel_from(const char *name, const char *from, const char *modules, int replace, struct progress *p,
                     struct err *e);

/* What vm.create is told beside the image's name. */
struct needed {
    char kernel[64];
    int files[2]; /* of a registered image (local_files), the caller's; else -1 */
};

/* Makes sure that the daemon has them: pulls what the catalog has, and imports a
 * kernel again whose agent is of another build than this program. `kernel` may be NULL:
 * the image's own, else the default. */
int pull_needed(const char *image, const char *kernel, struct needed *needed, struct progress *p, struct err *e);

#endif
