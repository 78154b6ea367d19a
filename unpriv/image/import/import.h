/* Inside banger-import: what the modes share. unpriv/image/plan.h is the outside. */
#ifndef BANGER_IMAGE_IMPORT_IMPORT_H
#define BANGER_IMAGE_IMPORT_IMPORT_H

#include "../../../common/err.h"
#include "../plan.h"

#include <stdint.h>

/* Descriptors of plan.h. */
enum import_fd {
    IMPORT_FD_PLAN = 3,
    IMPORT_FD_INPUT = 4,
    IMPORT_FD_OUTPUT = 5,
    IMPORT_FD_TAR = 6,
    IMPORT_FD_CONFIG = 6,
    IMPORT_FD_SCRATCH = 7
};

/* What a mode achieved; main.c sends it as the last line. */
struct import_report {
    uint64_t bytes;   /* of input read */
    uint64_t entries; /* of the archive, or files copied */
    uint64_t size;    /* of the ext4 image, bytes */
    uint64_t used;    /* bytes of content in it */
    char release[64]; /* a kernel's release, else "" */
};

/* Most bytes of input, of what it unpacks to, and of content. */
static inline uint64_t import_limit(const struct import_plan *plan) {
    return plan->limit ? plan->limit : (uint64_t) 64 << 30;
}

/* The modes. Each runs confined, reads and writes the descriptors plan.h gives
 * it and closes none of them. 0 or a negative errno with `e` filled. */
int import_rootfs(const struct import_plan *plan, struct import_report *report, struct err *e);
int import_work(const struct import_plan *plan, struct import_report *report, struct err *e);
int import_layers(const struct import_plan *plan, struct import_report *report, struct err *e);
int import_load(const struct import_plan *plan, struct import_report *report, struct err *e);
int import_copy(const struct import_plan *plan, struct import_report *report, struct err *e);
int import_bundle(const struct import_plan *plan, struct import_report *report, struct err *e);
int kernel_import(const struct import_plan *plan, struct import_report *report, struct err *e);

/* Tells how far the import is; at most one line every 100 ms, so call it freely. */
void import_progress(uint64_t bytes, uint64_t entries);
/* The last line of an import that succeeded. */
void import_succeeded(const struct import_report *report);

/* Landlock with nothing allowed (but to read below the input, where that is a folder), the second thread (second.h),
 * then seccomp with a list for both: no path, no socket, no process, no further thread from now on; anything else kills
 * the process. Address space is bounded too. Call before the first byte of input. 0 or a negative errno. */
int import_confine(struct err *e);

#endif
