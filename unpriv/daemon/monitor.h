/* The monitor: the process that may exec the helper and bangerd's other roles,
 * and that makes and connects sockets by (slot, which) for the engine. It parses
 * nothing: requests are fixed structs over a SOCK_SEQPACKET socketpair, answered
 * in order by one thread. The engine's client calls are below; they are
 * thread-safe (one lock around a round trip). */
#ifndef BANGER_DAEMON_MONITOR_H
#define BANGER_DAEMON_MONITOR_H

#include "../../common/err.h"
#include "../../common/wire.h"
#include "usage.h"

#include <stdint.h>

enum monitor_op {
    MONITOR_LISTEN =
        1, /* slot, which -> listening socket, bound at vms/<slot>/<which>.sock (a stale one is unlinked) */
    MONITOR_CONNECT = 2, /* slot, which -> connected socket */
    MONITOR_HELPER =
        3, /* which = enum wire_worker -> a socket to that worker; starts a fresh helper when the last one is dead */
    MONITOR_IMPORT = 4, /* fds: messages, plan, then the mode's -> starts banger-import; its pidfd */
    MONITOR_STOP = 5,   /* the engine is about to end for good: do not start it again */
    MONITOR_STATUS = 6, /* -> helper: its pid; text: why the last one could not start */
    MONITOR_CGROUP =
        7, /* slot, which = memory in MiB, vcpus -> folder of the VM's cgroup (cgroup.h); EOPNOTSUPP: none */
    MONITOR_CGROUP_END = 8, /* slot: the VM is gone */
    MONITOR_CGROUP_WHY = 9, /* -> text: why VMs have none, or "" */
    MONITOR_FETCH = 10,     /* as MONITOR_IMPORT, but banger-fetch */
    MONITOR_DNS = 11,       /* the same, banger-dns */
    MONITOR_USAGE = 12,     /* slot, or SLOT_MAX: no VM; fds: its pidfd -> usage (usage.h) */
    MONITOR_RESOLVE = 13,   /* as MONITOR_IMPORT, but banger-resolve */
    MONITOR_METRICS = 15,   /* the same, banger-metrics */
    MONITOR_FORWARD = 14,   /* which = 1: start one -> a socket to banger-forward (forward_process.h) */
};

/* The last two are the VMM's own, in its jail folder: for MONITOR_CONNECT only. */
enum monitor_socket { MONITOR_QMP, MONITOR_AGENT, MONITOR_FIRECRACKER, MONITOR_FIRECRACKER_VSOCK };

struct monitor_request {
    uint32_t op;
    uint32_t slot;
    uint32_t which;
    uint32_t vcpus;
};
#define MONITOR_TEXT 320
struct monitor_reply {
    int32_t error;           /* 0 or positive errno */
    int32_t helper;          /* pid of the running helper, 0 for none */
    char text[MONITOR_TEXT]; /* with an error: a sentence that says why, or "" */
    struct usage usage;      /* of MONITOR_USAGE */
};

/* The monitor's process: holds the lock and the listener, and runs until told to
 * stop. `state` is the state folder, `lock` the locked run/lock, `listener` the
 * clients' socket, `ready` a pipe that the engine answers on once. Returns an exit status. */
struct monitor_start {
    const char *state_path;
    const char *level; /* log level's name */
    int state, lock, listener, ready;
};
int monitor_main(const struct monitor_start *start);

/* The descriptors the engine is started with. */
enum monitor_engine_fd { ENGINE_FD_MONITOR = 3, ENGINE_FD_LISTENER, ENGINE_FD_READY, ENGINE_FD_LOCK };
/* The engine's exit status when it cannot serve and said why: starting it again is no use. */
#define ENGINE_EXIT_REFUSED 3

/* The engine's end of the socketpair, for the calls below. */
void monitor_client_open(int sock);

/* A listening Unix stream socket for the VM's `which`; the descriptor is the caller's. */
int monitor_listen(uint32_t slot, enum monitor_socket which, struct err *e);
/* A connection to it. */
int monitor_connect(uint32_t slot, enum monitor_socket which, struct err *e);
/* A socket to a worker of the running helper (a fresh helper where the last one died). */
int monitor_helper(enum wire_worker worker, struct err *e);
/* Starts banger-import. `fds` become its descriptors 2 (messages), 3 (plan), 4, 5, ...; they stay the
 * caller's. Returns a pidfd, the caller's. The process dies with the engine and with the monitor. */
int monitor_import(const int *fds, size_t count, struct err *e);
/* The same with banger-fetch. */
int monitor_fetch(const int *fds, size_t count, struct err *e);
/* The same with banger-dns. */
int monitor_dns(const int *fds, size_t count, struct err *e);
/* The same with banger-metrics. */
int monitor_metrics(const int *fds, size_t count, struct err *e);
/* The same with banger-resolve (unpriv/egress/resolve/resolve.h). */
int monitor_resolve(const int *fds, size_t count, struct err *e);
/* A socket to the account's banger-forward (forward/forward.h), which outlives engines. Where none
 * runs one is started, or without `start` this is -ENOENT. */
int monitor_forward(int start, struct err *e);
/* A fresh cgroup with a VM's ceilings, for priv_vmm_spawn: its folder (the caller's), or -EOPNOTSUPP
 * where bangerd's own cgroup is not delegated; then VMs run without. */
int monitor_cgroup(uint32_t slot, uint32_t memory_mib, uint32_t vcpus, struct err *e);
/* The VM is gone, and so is its cgroup. */
int monitor_cgroup_end(uint32_t slot, struct err *e);
/* Whether VMs get one: "" in `why`, or a sentence that says why not. */
int monitor_cgroup_why(char why[MONITOR_TEXT], struct err *e);
/* What the VM whose jail `pidfd` is has used; with SLOT_MAX any process. */
int monitor_usage(uint32_t slot, int pidfd, struct usage *usage, struct err *e);
/* Says that the engine ends on purpose. */
int monitor_stop(struct err *e);
/* The helper's pid, 0 when none runs; then `why` (may be "") says what the last one complained of. */
int monitor_status(int *helper, char why[MONITOR_TEXT], struct err *e);

#endif
