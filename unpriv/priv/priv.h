/* The helper's client: one call an operation, same verbs as priv-helper's. A
 * worker that died is replaced (through the monitor) and the call made once more
 * only where that is safe. Denials become sentences that name the policy line to
 * change. Thread-safe: one lock a worker. */
#ifndef BANGER_PRIV_PRIV_H
#define BANGER_PRIV_PRIV_H

#include "../../common/err.h"
#include "../../common/wire.h"

#include <stdint.h>

/* Tap, bridge, address and rules for a slot; `kind`: enum wire_tap. Returns the tap's descriptor (the
 * caller's; 0 for one that is opened by its name) and the account's subnet, or a negative errno. */
int priv_net_up(uint64_t op, uint32_t slot, uint32_t kind, uint32_t *subnet, struct err *e);
int priv_net_down(uint64_t op, uint32_t slot, struct err *e);
/* What the slot's guest may reach; `cidrs` (any number, for LIST and LIST_ADD) go in as many calls as it takes. */
int priv_net_egress(uint64_t op, uint32_t slot, enum wire_egress mode, const struct wire_cidr *cidrs, size_t count,
                    struct err *e);
/* Slots of this account that have something in the kernel. */
int priv_net_list(uint64_t op, uint64_t slots[(SLOT_MAX + 63) / 64], uint32_t *subnet, struct err *e);
/* Where the helper keeps its records of this account: asked by a NET_LIST, which is one. */
int priv_records(uint64_t op, enum wire_records *where, struct err *e);

/* `hook` is called with the descriptor of each new connection to the net worker, before
 * the first request; it stays priv's, and its end is the worker's. The hook is called
 * under a lock: what it wants of priv_* it asks in another thread. Set once, before the
 * first call. */
void priv_on_net_worker(void (*hook)(int sock));

/* A dm-snapshot of `base` with the VM's changes in `overlay` (enum wire_snap_fd); both
 * stay the caller's. Returns the block device's descriptor (the caller's): the snapshot
 * is there for as long as somebody has it open. */
int priv_snap_up(uint64_t op, uint32_t slot, int base, int overlay, struct err *e);
int priv_snap_down(uint64_t op, uint32_t slot, struct err *e);
/* Slots of this account that have a snapshot. */
int priv_snap_list(uint64_t op, uint64_t slots[(SLOT_MAX + 63) / 64], struct err *e);

/* What VMM_SPAWN starts. */
struct priv_spawn {
    uint32_t slot;
    uint32_t kind; /* number of the policy's vmm line */
    enum wire_style style;
    uint32_t memory_mib, vcpus;
    const int *fds; /* as many as the style takes (enum wire_spawn_fd); they stay the caller's */
    int cgroup;     /* folder to start it in, -1 for none */
};
/* Starts a VMM in the jail. Returns a pidfd (the caller's) and the pid, or a negative errno. */
int priv_vmm_spawn(uint64_t op, const struct priv_spawn *spawn, int *pid, struct err *e);

/* One sentence for people (enum policy_reason): what is refused and which line of the policy to change. */
const char *priv_sentence(uint32_t reason);

#endif
