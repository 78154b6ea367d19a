/* The daemon's client: finds or starts bangerd and makes one request (docs/protocol.md). */
#ifndef BANGER_CLI_CLIENT_H
#define BANGER_CLI_CLIENT_H

#include "../../common/err.h"
#include "../store/paths.h"
#include "feed.h"
#include "progress.h"

#include <cjson/cJSON.h>
#include <stddef.h>

struct client_call {
    const char *op;
    cJSON *args; /* taken; NULL = {} */
    int fds[4];  /* taken: closed once sent */
    size_t fd_count;
    struct feed *feed;         /* what fills one of the descriptors, or NULL; its failure cancels the request */
    struct progress *progress; /* NULL: progress and warnings are dropped */
    int no_start;              /* 1: an absent daemon is -ENOENT without words, not started */
    /* An event line; `fd` (or -1) is the callee's. A negative errno cancels the request. NULL: ignored. */
    int (*event)(const char *name, const cJSON *line, int fd, void *arg, struct err *e);
    void *arg;
};

/* Makes the request and waits for its end. INT, TERM and HUP cancel it: the daemon
 * is given 15 s to undo, then -EINTR without words (signals_ending says which
 * signal). On success `*result` (may be NULL) is the caller's. */
int client_request(struct client_call *call, cJSON **result, struct err *e);

/* client_request for simple operations: `args` taken, no descriptors. */
int client_simple(const char *op, cJSON *args, cJSON **result, struct err *e);

/* {"name": name}, for the many operations that take just that. */
cJSON *client_named(const char *name);

/* What differs between the daemon that answered daemon.status and the one that is installed: 1 with a sentence in
 * `text`, or 0. Its helper is as old as it is. */
int client_daemon_differs(const cJSON *status, char text[ERR_TEXT_MAX]);
#define CLIENT_DIFFERS_REMEDY                                                                                          \
    "run `banger daemon stop`: VMs go on running, and the next command starts the one installed"

/* The account's folders, found once. NULL with `e` filled. */
const struct paths *client_paths(struct err *e);

#endif
