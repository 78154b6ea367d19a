/* Runs one banger-import process for the engine: the plan, the messages, the
 * progress, the end. What it reports is foreign: bounded and checked here. */
#ifndef BANGER_IMAGE_IMPORTER_H
#define BANGER_IMAGE_IMPORTER_H

#include "../../common/err.h"
#include "../daemon/rpc.h"
#include "plan.h"
#include "worker.h"

#include <stddef.h>
#include <stdint.h>

/* The members of the process's last line; what a mode does not report is 0 or "". */
struct import_result {
    int64_t bytes;    /* of input */
    int64_t entries;  /* files, folders, links */
    int64_t size;     /* of the ext4 */
    int64_t used;     /* of content */
    char release[64]; /* kernel: "6.1.0-56-cloud-amd64"; letters, digits and "._+~-" only */
};

/* Runs `plan` (its magic is filled in here) to the end. `fds` become the process's
 * descriptors 4, 5, ... in the mode's order and stay the caller's; `count` is at
 * most IMPORTER_FDS_MAX. Progress goes to `rpc` under `stage`; `rpc` may be NULL:
 * silent, and never cancelled.
 *
 * 0 with `*out` filled, or a negative errno; -ECANCELED when the client went away.
 * In every case the process is gone when this returns, so the caller may remove or
 * use its outputs. It does not fsync them. */
int importer_run(const struct rpc *rpc, const struct import_plan *plan, const int *fds, size_t count, const char *stage,
                 struct import_result *out, struct err *e);

#define IMPORTER_FDS_MAX WORKER_FDS_MAX

/* One import that the caller follows himself, with others (workers_follow), and ends
 * (worker_end). `out` is set by the caller; so are `rpc` and `stage`, or NULL: then what
 * it tells on the way is only kept here. */
struct importer {
    struct worker worker;
    const struct rpc *rpc;
    const char *stage;
    struct import_result *out;
    int64_t bytes, entries; /* so far */
};
int importer_start(struct importer *importer, const struct import_plan *plan, const int *fds, size_t count,
                   struct err *e);

#endif
