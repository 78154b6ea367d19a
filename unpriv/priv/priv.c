#include "priv.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../policy/policy.h"
#include "../daemon/monitor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The helper's own deadlines are shorter; a spawn's set-up takes milliseconds. */
#define REPLY_MS 30000

static struct link {
    pthread_mutex_t lock;
    int sock; /* -1: ask the monitor */
} links[WIRE_WORKERS] = {
    [WIRE_NET] = {PTHREAD_MUTEX_INITIALIZER, -1},
    [WIRE_DISK] = {PTHREAD_MUTEX_INITIALIZER, -1},
    [WIRE_VMM] = {PTHREAD_MUTEX_INITIALIZER, -1},
};

static void (*net_hook)(int sock);

void priv_on_net_worker(void (*hook)(int sock)) {
    net_hook = hook;
}

static const struct {
    const char *what;
    enum wire_worker worker;
    int again; /* safe to ask a second time: it changes nothing, or the same */
} operations[] = {
    [WIRE_NET_UP] = {"set up the VM's network", WIRE_NET, 0},
    [WIRE_NET_DOWN] = {"take down the VM's network", WIRE_NET, 1},
    [WIRE_NET_EGRESS] = {"change what the VM may reach", WIRE_NET, 1},
    [WIRE_NET_LIST] = {"list the account's VM networks", WIRE_NET, 1},
    [WIRE_SNAP_UP] = {"make a snapshot of the image", WIRE_DISK, 0},
    [WIRE_SNAP_DOWN] = {"remove the VM's snapshot", WIRE_DISK, 1},
    [WIRE_SNAP_LIST] = {"list the account's snapshots", WIRE_DISK, 1},
    [WIRE_VMM_SPAWN] = {"start the VMM", WIRE_VMM, 0},
};

static const char *net_step(uint32_t step) {
    static const char *const names[] = {
        [NET_STEP_TAP] = "making the tap",
        [NET_STEP_RULES] = "changing the nftables rules (is nf_tables in the kernel?)",
        [NET_STEP_BRIDGE] = "making the account's bridge (is an interface of its name there already?)",
        [NET_STEP_PORT] = "attaching the tap to the bridge",
        [NET_STEP_UPLINK] = "finding an uplink (is there an IPv4 default route, or the `uplink` of the policy?)",
        [NET_STEP_FORWARD] = "switching on forwarding for bridge and uplink",
        [NET_STEP_LIST] = "reading the interfaces and rules that exist",
    };
    return step < sizeof(names) / sizeof(names[0]) && names[step] ? names[step] : "an unknown step";
}

static const char *snap_step(uint32_t step) {
    static const char *const names[] = {
        [SNAP_STEP_DRIVER] = "finding device-mapper (load dm_mod, dm_snapshot and loop, then run `banger daemon stop`)",
        [SNAP_STEP_LOOP] = "attaching base and overlay to loop devices",
        [SNAP_STEP_MAKE] = "making the snapshot (is dm_snapshot loaded?)",
        [SNAP_STEP_OPEN] = "opening the snapshot",
        [SNAP_STEP_REMOVE] = "removing the snapshot",
        [SNAP_STEP_LIST] = "reading the snapshots that exist",
    };
    return step < sizeof(names) / sizeof(names[0]) && names[step] ? names[step] : "an unknown step";
}

static const char *spawn_step(uint32_t step) {
    static const char *const names[] = {
        [SPAWN_STEP_PIPE] = "making a pipe",
        [SPAWN_STEP_CLONE] = "making the jail's process (are pid namespaces in the kernel?)",
        [SPAWN_STEP_TREE] = "taking up what the jail shows (does all that the policy's vmm line names exist?)",
        [SPAWN_STEP_NAMESPACE] = "leaving the host's namespaces (are they all in the kernel?)",
        [SPAWN_STEP_ROOT] = "making the jail's root",
        [SPAWN_STEP_MOUNT] = "mounting in the jail",
        [SPAWN_STEP_NODE] = "making the jail's device nodes",
        [SPAWN_STEP_PIVOT] = "entering the jail",
        [SPAWN_STEP_FD] = "placing descriptors (is the limit of open files, `ulimit -Hn`, below 64?)",
        [SPAWN_STEP_LIMIT] = "setting limits",
        [SPAWN_STEP_EXEC] = "executing banger-jail (run `make install` again)",
        [SPAWN_STEP_DIED] = "starting the jail's process, which ended without a word",
    };
    step &= 255;
    return step < sizeof(names) / sizeof(names[0]) && names[step] ? names[step] : "an unknown step";
}

static int refused(const struct wire_request *rq, const struct wire_reply *reply, struct err *e) {
    const char *what = operations[rq->op].what;
    int error = reply->error > 0 ? reply->error : EIO;
    if (reply->verdict == WIRE_DENIED && reply->reason == POLICY_BAD_LINE)
        return err_set(e, error,
                       "cannot %s: line %u of the policy " BANGER_POLICY
                       " cannot be read, so nothing is allowed: correct it",
                       what, reply->step);
    if (reply->verdict == WIRE_DENIED)
        return err_set(e, error, "cannot %s: %s", what, priv_sentence(reply->reason));
    if (operations[rq->op].worker == WIRE_NET && error == EEXIST && reply->step == NET_STEP_TAP)
        return err_set(e, error, "cannot %s: slot %u is in use by another VM of this account", what, rq->slot);
    static const char *(*const steps[])(uint32_t) = {
        [WIRE_NET] = net_step, [WIRE_DISK] = snap_step, [WIRE_VMM] = spawn_step};
    if (rq->op == WIRE_NET_UP && (rq->kind & WIRE_TAP_IPV6) && (error == EACCES || error == EOPNOTSUPP))
        return err_set(
            e, error,
            "cannot %s: this host has IPv6 switched off (net.ipv6.conf.default.disable_ipv6, or the kernel's "
            "ipv6.disable), so no guest can have it: do without `--ipv6`",
            what);
    return err_sys(e, error, "cannot %s: banger-helper failed at %s", what,
                   steps[operations[rq->op].worker](reply->step));
}

/* For good, also where somebody holds a duplicate. */
static void hang_up(struct link *link) {
    (void) shutdown(link->sock, SHUT_RDWR);
    (void) close(link->sock);
    link->sock = -1;
}

/* 0, or a negative errno where the worker is no more: the socket is closed then. */
static int round_trip(struct link *link, const struct wire_request *rq, const int *fds, struct wire_reply *reply,
                      int *reply_fd) {
    size_t count = 0;
    int r = fdpass_send(link->sock, rq, sizeof(*rq), fds, wire_request_fds(rq));
    if (!r)
        r = io_wait(link->sock, POLLIN, REPLY_MS);
    if (!r) {
        ssize_t n = fdpass_recv(link->sock, reply, sizeof(*reply), reply_fd, 1, &count);
        if (n < 0)
            r = (int) n;
        else if (n == 0)
            r = -ECONNRESET;
        else if (n != (ssize_t) sizeof(*reply) || reply->version != WIRE_VERSION || reply->size != sizeof(*reply) ||
                 reply->op != rq->op || reply->op_id != rq->op_id)
            r = -EBADMSG;
    }
    if (!r)
        return 0;
    fdpass_close(reply_fd, count);
    hang_up(link);
    return r;
}

/* A worker that died since the last call has not seen this request: a send that
 * fails may always be made again, a reply that does not come only where `again`. */
static int died_before(struct link *link) {
    struct pollfd p = {.fd = link->sock};
    return link->sock >= 0 && poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static int connected(struct link *link, enum wire_worker worker, struct err *e) {
    if (died_before(link))
        hang_up(link);
    if (link->sock >= 0)
        return 0;
    link->sock = monitor_helper(worker, e);
    if (link->sock >= 0 && worker == WIRE_NET && net_hook)
        net_hook(link->sock);
    return link->sock < 0 ? link->sock : 0;
}

/* One request and its answer; `*reply_fd` is -1 or the caller's. */
static int call(struct wire_request *rq, const int *fds, struct wire_reply *reply, int *reply_fd, struct err *e) {
    enum wire_worker worker = operations[rq->op].worker;
    struct link *link = &links[worker];
    rq->version = WIRE_VERSION;
    rq->size = sizeof(*rq);
    *reply_fd = -1;
    (void) pthread_mutex_lock(&link->lock);
    int r = connected(link, worker, e);
    int lost = 0;
    if (!r)
        lost = round_trip(link, rq, fds, reply, reply_fd);
    if (!r && lost && operations[rq->op].again) {
        r = connected(link, worker, e);
        if (!r)
            lost = round_trip(link, rq, fds, reply, reply_fd);
    }
    (void) pthread_mutex_unlock(&link->lock);
    if (r)
        return r;
    if (lost)
        return err_sys(e, -lost,
                       "cannot %s: banger-helper ended without an answer (`banger doctor` says what it needs)",
                       operations[rq->op].what);
    if (reply->verdict == WIRE_DONE)
        return 0;
    fdpass_close(reply_fd, 1);
    return refused(rq, reply, e);
}

/* What a successful answer must have come with. */
static int need_fd(int fd, const struct wire_request *rq, struct err *e) {
    if (fd >= 0)
        return fd;
    return err_set(e, EPROTO,
                   "cannot %s: banger-helper sent no descriptor: install bangerd and banger-helper again, "
                   "they are of different versions",
                   operations[rq->op].what);
}

int priv_net_up(uint64_t op, uint32_t slot, uint32_t kind, uint32_t *subnet, struct err *e) {
    struct wire_request rq = {.op = WIRE_NET_UP, .op_id = op, .slot = slot, .kind = kind};
    struct wire_reply reply = {0};
    int fd;
    int r = call(&rq, NULL, &reply, &fd, e);
    if (r)
        return r;
    *subnet = reply.subnet;
    if (!(kind & WIRE_TAP_NAMED))
        return need_fd(fd, &rq, e);
    fdpass_close(&fd, 1);
    return 0;
}

int priv_net_down(uint64_t op, uint32_t slot, struct err *e) {
    struct wire_request rq = {.op = WIRE_NET_DOWN, .op_id = op, .slot = slot};
    struct wire_reply reply = {0};
    int fd;
    int r = call(&rq, NULL, &reply, &fd, e);
    fdpass_close(&fd, 1);
    return r;
}

static int egress_part(uint64_t op, uint32_t slot, enum wire_egress mode, const struct wire_cidr *cidrs, size_t count,
                       struct err *e) {
    struct wire_request rq = {
        .op = WIRE_NET_EGRESS, .op_id = op, .slot = slot, .kind = mode, .cidr_count = (uint32_t) count};
    struct wire_reply reply = {0};
    int fd;
    if (count)
        memcpy(rq.cidrs, cidrs, count * sizeof(*cidrs));
    int r = call(&rq, NULL, &reply, &fd, e);
    fdpass_close(&fd, 1);
    return r;
}

int priv_net_egress(uint64_t op, uint32_t slot, enum wire_egress mode, const struct wire_cidr *cidrs, size_t count,
                    struct err *e) {
    int r;
    do {
        size_t part = count < WIRE_CIDR_MAX ? count : WIRE_CIDR_MAX;
        r = egress_part(op, slot, mode, cidrs, part, e);
        count -= part;
        cidrs = part ? cidrs + part : cidrs;
        mode = mode == WIRE_EGRESS_LIST ? WIRE_EGRESS_LIST_ADD : mode;
    } while (r == 0 && count > 0);
    return r;
}

int priv_net_list(uint64_t op, uint64_t slots[(SLOT_MAX + 63) / 64], uint32_t *subnet, struct err *e) {
    struct wire_request rq = {.op = WIRE_NET_LIST, .op_id = op};
    struct wire_reply reply = {0};
    int fd;
    int r = call(&rq, NULL, &reply, &fd, e);
    fdpass_close(&fd, 1);
    if (r)
        return r;
    memcpy(slots, reply.slots, sizeof(reply.slots));
    *subnet = reply.subnet;
    return 0;
}

int priv_records(uint64_t op, enum wire_records *where, struct err *e) {
    struct wire_request rq = {.op = WIRE_NET_LIST, .op_id = op};
    struct wire_reply reply = {0};
    int fd;
    int r = call(&rq, NULL, &reply, &fd, e);
    fdpass_close(&fd, 1);
    *where = (enum wire_records) reply.records;
    return r;
}

int priv_snap_up(uint64_t op, uint32_t slot, int base, int overlay, struct err *e) {
    struct wire_request rq = {.op = WIRE_SNAP_UP, .op_id = op, .slot = slot};
    struct wire_reply reply = {0};
    const int fds[SNAP_FDS] = {[SNAP_BASE] = base, [SNAP_OVERLAY] = overlay};
    int fd;
    int r = call(&rq, fds, &reply, &fd, e);
    return r ? r : need_fd(fd, &rq, e);
}

int priv_snap_down(uint64_t op, uint32_t slot, struct err *e) {
    struct wire_request rq = {.op = WIRE_SNAP_DOWN, .op_id = op, .slot = slot};
    struct wire_reply reply = {0};
    int fd;
    int r = call(&rq, NULL, &reply, &fd, e);
    fdpass_close(&fd, 1);
    return r;
}

int priv_snap_list(uint64_t op, uint64_t slots[(SLOT_MAX + 63) / 64], struct err *e) {
    struct wire_request rq = {.op = WIRE_SNAP_LIST, .op_id = op};
    struct wire_reply reply = {0};
    int fd;
    int r = call(&rq, NULL, &reply, &fd, e);
    fdpass_close(&fd, 1);
    if (!r)
        memcpy(slots, reply.slots, sizeof(reply.slots));
    return r;
}

int priv_vmm_spawn(uint64_t op, const struct priv_spawn *spawn, int *pid, struct err *e) {
    struct wire_request rq = {.op = WIRE_VMM_SPAWN,
                              .op_id = op,
                              .slot = spawn->slot,
                              .kind = spawn->kind,
                              .style = spawn->style,
                              .in_cgroup = spawn->cgroup >= 0,
                              .memory_mib = spawn->memory_mib,
                              .vcpus = spawn->vcpus};
    struct wire_reply reply = {0};
    int fds[SPAWN_ROLES] = {0};
    uint32_t count = wire_request_fds(&rq) - rq.in_cgroup;
    int fd;
    memcpy(fds, spawn->fds, count * sizeof(fds[0]));
    fds[count] = spawn->cgroup;
    int r = call(&rq, fds, &reply, &fd, e);
    if (r)
        return r;
    *pid = reply.pid;
    return need_fd(fd, &rq, e);
}
