/* A process that does one job for the engine and tells about it in JSON lines on its
 * descriptor 2: {"progress":{...}} now and then, and a last line, {"ok":true,...} or
 * {"ok":false,"code":ERRNO,"error":"sentence"}. It has read hostile bytes, so what it
 * says is bounded and checked here. banger-import and banger-fetch are such processes. */
#ifndef BANGER_IMAGE_WORKER_H
#define BANGER_IMAGE_WORKER_H

#include "../../common/err.h"
#include "../daemon/rpc.h"

#include <stddef.h>
#include <sys/types.h>

#define WORKER_FDS_MAX  6
#define WORKER_LINE_MAX 4096

struct worker_kind {
    const char *name;                                            /* of the program */
    int (*start)(const int *fds, size_t count, struct err *e);   /* the monitor's call */
    int (*success)(void *arg, const cJSON *line, struct err *e); /* the last line's members; checked by the callee */
    void (*progress)(void *arg, const cJSON *progress);
};

struct worker {
    const struct worker_kind *kind;
    void *arg;
    int messages; /* read end, -1 before the start and after the end */
    int process;  /* pidfd, the same */
    int ended;    /* the last line came, or it is clear that none will; `result` holds */
    int result;   /* 0 or a negative errno with `error` filled */
    int killed;   /* it ended without a last line */
    struct err error;
    size_t used;
    char line[WORKER_LINE_MAX];
};

/* Starts the process with `plan` (copied into a sealed memfd) as descriptor 3 and `fds`, which stay
 * the caller's, as 4, 5, ...; `count` is at most WORKER_FDS_MAX. 0 or a negative errno. */
int worker_start(struct worker *w, const struct worker_kind *kind, void *arg, const void *plan, size_t plan_size,
                 const int *fds, size_t count, struct err *e);

/* Reads what the workers say until each has sent its last line. When one fails the others get
 * ten seconds to come to theirs (a pipe between them breaks). 0 when all succeeded, -ECANCELED
 * when the client of `rpc` (may be NULL) went away, else -EIO: see each worker's `result`. */
int workers_follow(const struct rpc *rpc, struct worker *const *workers, size_t count);

/* The process is gone when this returns: one that succeeded is waited for, any other is killed.
 * Safe on a worker that was never started but has -1 for both descriptors. */
void worker_end(struct worker *w);

#endif
