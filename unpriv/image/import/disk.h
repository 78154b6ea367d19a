/* The disks banger-import makes, on descriptors of the caller's. */
#ifndef BANGER_IMAGE_IMPORT_DISK_H
#define BANGER_IMAGE_IMPORT_DISK_H

#include "blobs.h"
#include "import.h"

/* A root file system from the tar stream on `tar`. `out` is an empty regular file,
 * open for reading and writing. */
int disk_rootfs(const struct import_plan *plan, int tar, int out, struct import_report *report, struct err *e);

/* A root file system from an image's layers. */
int disk_layers(const struct import_plan *plan, struct blobs *layers, int out, struct import_report *report,
                struct err *e);

/* A work disk from /root of the image on `base` and, when `tar` is not -1, that tar
 * stream laid over it. Its top and .ssh are 0700, .ssh/authorized_keys is 0600, all
 * three root's, whatever the inputs say: sshd wants them so. */
int disk_work(const struct import_plan *plan, int base, int tar, int out, struct import_report *report, struct err *e);

/* A root file system with the files of the one on `image`, written anew: what that one's free
 * blocks hold stays behind. With `work` not -1, that disk's content is its /root. */
int disk_copy(const struct import_plan *plan, int image, int work, int out, struct import_report *report,
              struct err *e);

#endif
