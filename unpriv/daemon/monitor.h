/* The monitor: the process that may exec the helper and bangerd's other roles,
 * and that makes and connects sockets by (slot, which) for the engine. It parses
 * nothing: requests are fixed structs over a SOCK_SEQPACKET socketpair, answered
 * in order by one thread. The engine's client calls are below; they are
 * thread-safe (one lock around a round trip). */
#ifndef BANGER_DAEMON_MONITOR_H
#define BANGER_DAEMON_MONITOR_H

#include "../../common/err.h"
#include "../../common/wire.h"

#include <stdint.h>

enum monitor_op {
    MONITOR_LISTEN =
        1, /* slot, which -> listening socket, bound at vms/<slot>/<which>.sock (a stale one is unlinked) */
    MONITOR_CONNECT = 2, /* slot, which -> connected socket */
    MONITOR_HELPER =
        3, /* which = enum wire_worker -> a socket to that worker; starts a fresh helper when the last one is dead */
    MONITOR_IMPORT = 4, /* fds: messages, plan, then the mode's -> starts banger-import; no fd back */
    MONITOR_STOP = 5,   /* the engine is about to end for good: do not start it again */
};

enum monitor_socket { MONITOR_QMP = 0, MONITOR_AGENT = 1 };

struct monitor_request {
    uint32_t op;
    uint32_t slot;
    uint32_t which;
    uint32_t reserved;
};
struct monitor_reply {
    int32_t error; /* 0 or positive errno */
    uint32_t reserved;
};

/* A listening Unix stream socket for the VM's `which`; the descriptor is the caller's. */
int monitor_listen(uint32_t slot, enum monitor_socket which, struct err *e);
/* A connection to it. */
int monitor_connect(uint32_t slot, enum monitor_socket which, struct err *e);
/* A socket to a worker of the running helper (a fresh helper where the last one died). */
int monitor_helper(enum wire_worker worker, struct err *e);
/* Starts banger-import. `fds` become its descriptors 2 (messages), 3 (plan), 4, 5, ...; they stay the caller's. */
int monitor_import(const int *fds, size_t count, struct err *e);
/* Says that the engine ends on purpose. */
int monitor_stop(struct err *e);

#endif
