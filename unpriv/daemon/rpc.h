/* The daemon's interface to its clients: JSON lines over its Unix socket; see
 * docs/protocol.md for every operation. One request a connection, one thread a
 * request. The handler reads top to bottom and reports with these calls. */
#ifndef BANGER_DAEMON_RPC_H
#define BANGER_DAEMON_RPC_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define RPC_LINE_MAX 65536
#define RPC_FDS_MAX  4

struct rpc {
    int sock;             /* the client's connection; poll it for its end */
    uint64_t op;          /* this request's id */
    const cJSON *args;    /* object, never NULL */
    int fds[RPC_FDS_MAX]; /* descriptors that came with the request; a handler that keeps one sets it to -1 */
    size_t fd_count;
};

/* A progress line: {"progress":{"stage":..,"text":..,"done":..,"total":..}}; total 0 = unknown. */
void rpc_progress(const struct rpc *rpc, const char *stage, const char *text, int64_t done, int64_t total);
/* A warning line: {"warning":"..."}. */
void rpc_warn(const struct rpc *rpc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line that is not the last, with a descriptor: {"event":NAME, ...members of extra}. Takes `extra`; the
 * descriptor (or -1) stays the caller's. */
int rpc_event(const struct rpc *rpc, const char *name, cJSON *extra, int fd);

/* 1 when the client has gone away: long work checks it between steps and undoes itself. */
int rpc_gone(const struct rpc *rpc);

/* An operation: fills `*result` (an object, taken by the caller; NULL = {}), or
 * returns a negative errno with `e` filled. */
typedef int rpc_handler(struct rpc *rpc, cJSON **result, struct err *e);

struct rpc_op {
    const char *name;
    rpc_handler *handler;
};

/* The tables of the modules; the engine looks a request up in each. End with {NULL, NULL}. */
extern const struct rpc_op daemon_ops[]; /* daemon/ */
extern const struct rpc_op image_ops[];  /* image/ */
extern const struct rpc_op kernel_ops[]; /* kernel/ */
extern const struct rpc_op vm_ops[];     /* vm/ */

/* Serves clients of the listening socket until told to stop. */
int rpc_serve(int listener, struct err *e);
/* Makes rpc_serve return once the requests under way have ended. */
void rpc_stop(void);

#endif
