/* A bundle: tar.zst with exactly rootfs.ext4 and manifest.json (docs/image-catalog.md). */
#ifndef BANGER_IMAGE_IMPORT_BUNDLE_H
#define BANGER_IMAGE_IMPORT_BUNDLE_H

#include "import.h"

/* What must be known of a bundle before it is read. */
#include "../plan.h"

/* Reads the bundle on `fd` to its end and checks it against `plan->pin`; the file system goes
 * to `out` (new, empty), holes for its zeros, and the run configuration, where the manifest has one,
 * to `config` (new, empty). 0 or a negative errno with `e` filled. */
int bundle_read(const struct import_plan *plan, int fd, int out, int config, struct import_report *report,
                struct err *e);

#endif
