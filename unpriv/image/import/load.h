/* Images that other tools saved: an OCI layout (a folder or its archive) or what `docker
 * save` writes, before and after it took over that layout. */
#ifndef BANGER_IMAGE_IMPORT_LOAD_H
#define BANGER_IMAGE_IMPORT_LOAD_H

#include "import.h"

/* The image on `in` that the plan's tag and platform mean: its root file system on `out`
 * as disk_rootfs() has it, its run configuration on `config`. Every file's digest is checked. An archive that is
 * packed as a whole, with gzip or zstd, is unpacked into `scratch` first (an empty file). */
int load_image(const struct import_plan *plan, int in, int out, int config, int scratch, struct import_report *report,
               struct err *e);

#endif
