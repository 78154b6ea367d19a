/* The net worker: its empty root, and what it answers. Everything it makes follows
 * from (uid, slot); nothing is remembered but what is still to be removed. */
#include "net.h"

#include "../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ATTACH_TRIES 3
#define LATER_MS     1000 /* removal waits this long after the last NET_DOWN */

/* --- set-up --------------------------------------------------------------------- */

/* The only files: dev/net/tun and, where it exists, the policy's folder. The mount
 * point is any folder that is there; the root is swapped before anyone sees it. */
static int fill_root(void) {
    char folder[] = BANGER_POLICY;
    *strrchr(folder, '/') = '\0';
    if (mount("banger", "/proc", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k"))
        return -errno;
    if (mkdir("/proc/dev", 0755) || mkdir("/proc/dev/net", 0755) || mkdir("/proc/policy", 0755))
        return -errno;
    if (mount(folder, "/proc/policy", NULL, MS_BIND, NULL) && errno != ENOENT)
        return -errno;
    if (syscall(SYS_pivot_root, "/proc", "/proc"))
        return -errno;
    return umount2("/", MNT_DETACH) || chdir("/") ? -errno : 0;
}

static int with(int cap, int (*step)(void)) {
    cap_raise(cap);
    int r = step();
    cap_lower();
    return r;
}

static int own_mounts(void) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return -errno;
    return 0;
}

static int make_node(void) {
    return mknod("/dev/net/tun", S_IFCHR | 0600, makedev(10, 200)) ? -errno : 0;
}

static int seal_root(void) {
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) ? -errno : 0;
}

int net_init(void) {
    int r = link_init();
    if (!r)
        r = nft_init();
    if (!r)
        r = with(CAP_SYS_ADMIN, own_mounts);
    if (!r)
        r = with(CAP_SYS_ADMIN, fill_root);
    if (!r)
        r = with(CAP_MKNOD, make_node);
    return r ? r : with(CAP_SYS_ADMIN, seal_root);
}

const int net_worker_calls[] = {
    SYS_sendto, SYS_recvfrom,   SYS_sendmsg,         SYS_recvmsg,       SYS_poll,  SYS_ppoll, SYS_openat,
    SYS_read,   SYS_close,      SYS_newfstatat,      SYS_fstat,         SYS_lstat, SYS_ioctl, SYS_fcntl,
    SYS_capget, SYS_capset,     SYS_getsockopt,      SYS_clock_gettime, SYS_write, SYS_brk,   SYS_mmap,
    SYS_munmap, SYS_exit_group, SYS_restart_syscall, SYS_getppid,
};
const size_t net_worker_call_count = sizeof(net_worker_calls) / sizeof(net_worker_calls[0]);

/* --- removal, off the reply's path -------------------------------------------------- */

/* Taps whose slot was taken down, by index: unregistering one costs the kernel 16 ms,
 * and most are gone with their VMM before this looks. A killed helper forgets them;
 * then they end with their last descriptor, and NET_LIST shows those that do not. */
static int doomed[SLOT_MAX];
static size_t doomed_count;
static long long later; /* when to look, io_now_ms(); 0: nothing to do */

static int set_is_empty(const uint64_t slots[NET_SLOT_WORDS]) {
    uint64_t any = 0;
    for (size_t i = 0; i < NET_SLOT_WORDS; i++)
        any |= slots[i];
    return any == 0;
}

static int has(const uint64_t slots[NET_SLOT_WORDS], uint32_t slot) {
    return (int) (slots[slot / 64] >> slot % 64 & 1);
}

static void attach_all(uint32_t uid, uint32_t subnet, const uint64_t slots[NET_SLOT_WORDS]) {
    char tap[IFNAME_SIZE];
    int bridge = nft_account(uid, 1) ? -1 : link_bridge(uid, subnet);
    for (uint32_t slot = 0; slot < SLOT_MAX && bridge > 0; slot++) {
        addr_tap_name(tap, uid, slot);
        if (has(slots, slot))
            (void) link_attach(tap, bridge);
    }
}

/* Another helper of this account may bring a VM up between the look and the
 * removal. It adds its rules before it needs the bridge: a second look finds them,
 * and the bridge is made again. */
static void remove_bridge(uint32_t uid, uint32_t subnet) {
    char name[IFNAME_SIZE];
    uint64_t slots[NET_SLOT_WORDS] = {0};
    int r = nft_list(uid, slots);
    if ((r && r != -ENOENT) || !set_is_empty(slots))
        return;
    addr_bridge_name(name, uid);
    int bridge = link_find(name, NET_GROUP_BRIDGE);
    if (!r)
        (void) nft_account(uid, 0);
    if (bridge < 0 || link_delete(bridge))
        return;
    if (r == -ENOENT || nft_list(uid, slots) || set_is_empty(slots))
        return;
    attach_all(uid, subnet, slots);
}

static uint32_t last_subnet; /* of this account, as the last request's policy had it */

int net_idle(int ending) {
    if (later == 0)
        return -1;
    long long left = later - io_now_ms();
    if (left > 0 && !ending)
        return (int) left;
    while (doomed_count > 0)
        (void) link_delete(doomed[--doomed_count]);
    remove_bridge(helper_who.uid, last_subnet);
    later = 0;
    return -1;
}

/* --- answers ------------------------------------------------------------------------ */

static void answer_up(const struct wire_request *request, struct wire_reply *reply, int *reply_fd) {
    uint32_t uid = helper_who.uid;
    char tap[IFNAME_SIZE];
    int fd = -1;
    addr_tap_name(tap, uid, request->slot);
    int step = NET_STEP_TAP;
    int r = link_tap(tap, &fd);
    if (r) {
        helper_failed(reply, NET_STEP_TAP, -r);
        return;
    }
    step = NET_STEP_RULES;
    r = nft_up(uid, request->slot, last_subnet);
    for (int tries = 0; tries < ATTACH_TRIES && (tries ? r == -ENODEV : !r); tries++) {
        /* -ENODEV: another helper of the account removed the bridge in between */
        int bridge = link_bridge(uid, last_subnet);
        step = bridge < 0 ? NET_STEP_BRIDGE : NET_STEP_PORT;
        r = bridge < 0 ? bridge : link_attach(tap, bridge);
    }
    if (!r) {
        *reply_fd = fd;
        return;
    }
    (void) nft_down(uid, request->slot, last_subnet);
    (void) close(fd);
    helper_failed(reply, (uint32_t) step, -r);
}

static void answer_down(const struct wire_request *request, struct wire_reply *reply) {
    char tap[IFNAME_SIZE];
    addr_tap_name(tap, helper_who.uid, request->slot);
    int r = nft_down(helper_who.uid, request->slot, last_subnet);
    if (r) {
        helper_failed(reply, NET_STEP_RULES, -r);
        return;
    }
    int index = link_find(tap, NET_GROUP_PORT);
    if (index > 0 && doomed_count < SLOT_MAX)
        doomed[doomed_count++] = index;
    later = io_now_ms() + LATER_MS;
}

/* The interfaces of the policy's uplink lines that exist; at least one, or an error. */
static int find_uplinks(const struct policy *policy, char names[POLICY_UPLINKS_MAX][IFNAME_SIZE], size_t *count) {
    int first_error = 0;
    *count = 0;
    for (uint32_t i = 0; i < policy->uplink_count; i++) {
        char *name = names[*count];
        int r = 0;
        memcpy(name, policy->uplinks[i], IFNAME_SIZE);
        if (strcmp(name, "default") == 0)
            r = link_default(name);
        else if (link_find(name, 0) == -ENODEV)
            r = -ENODEV;
        if (!r)
            (*count)++;
        else if (!first_error)
            first_error = r;
    }
    return *count ? 0 : first_error;
}

/* Where only banger makes an uplink forward, the guard keeps the network behind it
 * from being routed elsewhere; so it is set before anything forwards. */
static void answer_nat(const struct wire_request *request, const struct policy *policy, struct wire_reply *reply) {
    char uplinks[POLICY_UPLINKS_MAX][IFNAME_SIZE];
    char bridge[IFNAME_SIZE];
    size_t count;
    addr_bridge_name(bridge, helper_who.uid);
    int step = NET_STEP_UPLINK;
    int host = link_host_forwards();
    int r = host < 0 ? host : find_uplinks(policy, uplinks, &count);
    if (!r) {
        step = NET_STEP_RULES;
        r = nft_nat(helper_who.uid, request->slot, last_subnet, uplinks, count, !host, policy);
    }
    for (size_t i = 0; !r && i < count; i++) {
        step = NET_STEP_FORWARD;
        r = link_forward(uplinks[i]);
    }
    if (!r)
        r = link_forward(bridge);
    if (r)
        helper_failed(reply, (uint32_t) step, -r);
}

static void answer_egress(const struct wire_request *request, const struct policy *policy, struct wire_reply *reply) {
    uint64_t slots[NET_SLOT_WORDS] = {0};
    int r = nft_list(helper_who.uid, slots);
    if (!r && !has(slots, request->slot))
        r = -ENOENT;
    if (r) {
        helper_failed(reply, NET_STEP_RULES, -r);
        return;
    }
    if (request->kind == WIRE_EGRESS_NAT) {
        answer_nat(request, policy, reply);
        return;
    }
    r = nft_nat_off(helper_who.uid, request->slot, last_subnet);
    if (r)
        helper_failed(reply, NET_STEP_RULES, -r);
}

/* Where somebody flushed the rules of the host, guests would be unbounded: the tables
 * are made again, with this account's live taps in them. */
static void answer_list(struct wire_reply *reply) {
    uint64_t taps[NET_SLOT_WORDS] = {0};
    int r = link_list(helper_who.uid, taps);
    int made = r ? 0 : nft_ensure();
    if (made < 0)
        r = made;
    for (uint32_t slot = 0; made == 1 && !r && slot < SLOT_MAX; slot++) {
        if (has(taps, slot))
            r = nft_up(helper_who.uid, slot, last_subnet);
    }
    if (!r)
        r = nft_list(helper_who.uid, reply->slots);
    if (r) {
        helper_failed(reply, NET_STEP_LIST, -r);
        return;
    }
    for (size_t i = 0; i < NET_SLOT_WORDS; i++)
        reply->slots[i] |= taps[i];
}

void net_answer(const struct wire_request *request, const int *fds, const struct policy *policy,
                struct wire_reply *reply, int *reply_fd) {
    (void) fds;
    if (last_subnet == 0) /* what an earlier helper left is looked for once */
        later = io_now_ms() + LATER_MS;
    last_subnet = policy_subnet(policy, helper_who.uid);
    reply->subnet = last_subnet;
    switch (request->op) {
    case WIRE_NET_UP:
        answer_up(request, reply, reply_fd);
        break;
    case WIRE_NET_DOWN:
        answer_down(request, reply);
        break;
    case WIRE_NET_EGRESS:
        answer_egress(request, policy, reply);
        break;
    case WIRE_NET_LIST:
        answer_list(reply);
        break;
    default:
        _exit(1);
    }
}
