/* What the engine's sides of its confined companions have in common (vm/dns.c, metrics_port.c): a
 * process that the monitor starts with one end of a stream socketpair as its descriptor 3, which says
 * hello, and which a thread of the engine's keeps. */
#ifndef BANGER_DAEMON_SERVICE_H
#define BANGER_DAEMON_SERVICE_H

#include "../../common/err.h"

#include <stddef.h>

struct service {
    const char *name;                                              /* "banger-dns" */
    int (*start)(const int *fds, size_t count, struct err *error); /* monitor_dns */
};

/* Starts it: `*sock` is the other end, both are the caller's (-1 where there is none). A write to one that does not
 * read fails after some seconds. 0 or a negative errno. */
int service_start(const struct service *service, int *sock, int *pidfd, struct err *e);
/* Reads what it says when it has begun, within ten seconds. 0 or a negative errno. */
int service_hello(const struct service *service, int sock, void *hello, size_t size, struct err *e);
/* Runs `keeper` in a thread of its own. 0 or a negative errno. */
int service_keep(void *(*keeper)(void *arg));

/* Between the end of one and the start of the next, in milliseconds: longer each time, from the
 * beginning again for one that lived long. */
#define SERVICE_STEADY_MS 60000
#define SERVICE_NAP_LEAST 500
#define SERVICE_NAP_MOST  15000
int service_nap(int last, long long lived_ms);

#endif
