/* The net worker: its empty root, and what it answers. Everything it makes follows
 * from (uid, slot); nothing is remembered but what is still to be removed, and who has
 * NAT. */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATTACH_TRIES    3
#define TAP_NAME_LENGTH 13
#define LATER_MS        1000 /* removal waits until nobody asked anything for this long */

/* --- set-up --------------------------------------------------------------------- */

int net_init(void) {
    static const struct root_node tun = {"dev/net/tun", 10, 200};
    int r = netlink_init();
    return r ? r : root_enter(&tun, 1, NULL, 0);
}

/* clang-format off */
static const int list[] = {
    SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_poll, SYS_openat, SYS_read, SYS_close, SYS_newfstatat,
    SYS_fstat, SYS_ioctl, SYS_fcntl, SYS_capget, SYS_capset, SYS_write, SYS_brk, SYS_mmap, SYS_munmap,
    SYS_getrandom /* malloc */, SYS_exit_group, SYS_restart_syscall};
/* clang-format on */
const struct helper_calls net_calls = {.allowed = list, .count = sizeof(list) / sizeof(list[0]), .kill = 1};

/* --- slots ------------------------------------------------------------------------ */

static struct net_account account;
/* For when the rules are made again: */
static uint8_t natted[SLOT_MAX]; /* who has NAT */
static struct net_slots ipv6;    /* who has IPv6 */
static int removed;              /* somebody removed them */

void net_add_tap(struct net_slots *slots, const char name[IFNAME_SIZE]) {
    char own[IFNAME_SIZE] = {0};
    if (name[TAP_NAME_LENGTH] != '\0')
        return;
    unsigned long slot = strtoul(name + TAP_NAME_LENGTH - 3, NULL, 16);
    addr_tap_name(own, slots->uid, (uint32_t) slot);
    if (slot >= SLOT_MAX || memcmp(own, name, IFNAME_SIZE) != 0)
        return;
    slots->count++;
    slots->has[slot] = 1;
}

/* --- removal, off the reply's path -------------------------------------------------- */

/* Taps whose slot was taken down, by index: unregistering one costs the kernel 16 ms,
 * and most are gone with their VMM before this looks. A killed helper forgets them;
 * then they end with their last descriptor, and NET_LIST shows those that do not. */
static int doomed[SLOT_MAX];
static size_t doomed_count;
static int untidy; /* something may be there to remove */

/* Also those that another helper of the account brought up. */
static int look_for_ipv6(void) {
    struct net_slots now = {.uid = account.uid};
    int r = nft_list(&now, 1);
    if (!r)
        ipv6 = now;
    return r;
}

static void attach_all(const struct net_slots *slots) {
    char tap[IFNAME_SIZE];
    int bridge = nft_account(account.uid, 1) || look_for_ipv6() ? -1 : link_bridge(&account, ipv6.count > 0);
    for (uint32_t slot = 0; slot < SLOT_MAX && bridge > 0; slot++) {
        addr_tap_name(tap, account.uid, slot);
        if (slots->has[slot])
            (void) link_attach(tap, bridge);
    }
}

/* Another helper of this account may bring a VM up between the look and the
 * removal. It adds its rules before it needs the bridge: a second look finds them,
 * and the bridge is made again. */
static void remove_bridge(void) {
    char name[IFNAME_SIZE];
    struct net_slots slots = {.uid = account.uid};
    int r = nft_list(&slots, 0);
    if ((r && r != -ENOENT) || slots.count > 0)
        return;
    addr_bridge_name(name, account.uid);
    int bridge = link_find(name, NET_GROUP_BRIDGE);
    if (!r)
        (void) nft_account(account.uid, 0);
    if (bridge < 0 || link_delete(bridge) || r == -ENOENT)
        return;
    if (nft_list(&slots, 0) == 0 && slots.count > 0)
        attach_all(&slots);
}

static void remove_taps(void) {
    while (doomed_count > 0)
        (void) link_delete(doomed[--doomed_count]);
}

int net_idle(int now) {
    if (untidy && now) {
        remove_taps();
        remove_bridge();
        untidy = 0;
    }
    return untidy ? LATER_MS : -1;
}

static int rules(uint32_t op, uint32_t slot) {
    const uint32_t kind = ipv6.has[slot] ? WIRE_TAP_IPV6 : 0;
    return nft_change(&account, &(struct wire_request){.op = op, .slot = slot, .kind = kind}, NULL);
}

/* --- answers: 0 or a negative errno, and the step that failed -------------------------- */

static int attach(const char *tap, int with_ipv6, struct wire_reply *reply) {
    int r = -ENODEV;
    for (int tries = 0; tries < ATTACH_TRIES && r == -ENODEV; tries++) {
        /* -ENODEV: another helper of the account removed the bridge in between */
        int bridge = link_bridge(&account, with_ipv6);
        reply->step = bridge < 0 ? NET_STEP_BRIDGE : NET_STEP_PORT;
        r = bridge < 0 ? bridge : link_attach(tap, bridge);
    }
    return r;
}

static int answer_up(struct helper_job *job) {
    const uint32_t kind = job->request->kind;
    const int named = (kind & WIRE_TAP_NAMED) != 0, with_ipv6 = (kind & WIRE_TAP_IPV6) != 0;
    char tap[IFNAME_SIZE];
    int fd = -1;
    addr_tap_name(tap, account.uid, job->request->slot);
    job->reply->step = NET_STEP_TAP;
    int r = link_tap(tap, &fd);
    if (r == -EEXIST && doomed_count > 0) { /* it may be one that was taken down */
        remove_taps();
        r = link_tap(tap, &fd);
    }
    if (r)
        return r;
    job->reply->step = NET_STEP_RULES;
    natted[job->request->slot] = 0;
    ipv6.has[job->request->slot] = (uint8_t) with_ipv6;
    r = rules(WIRE_NET_UP, job->request->slot);
    if (!r)
        r = attach(tap, with_ipv6, job->reply);
    if (!r && named)
        r = link_keep(fd, account.uid);
    if (r) {
        ipv6.has[job->request->slot] = 0;
        (void) rules(WIRE_NET_DOWN, job->request->slot);
    }
    if (r || named)
        (void) close(fd);
    else
        job->reply_fd = fd;
    return r;
}

static int answer_down(struct helper_job *job) {
    char tap[IFNAME_SIZE];
    job->reply->step = NET_STEP_RULES;
    natted[job->request->slot] = ipv6.has[job->request->slot] = 0;
    int r = rules(WIRE_NET_DOWN, job->request->slot);
    if (r)
        return r;
    addr_tap_name(tap, account.uid, job->request->slot);
    int index = link_find(tap, NET_GROUP_PORT);
    if (index > 0 && doomed_count < SLOT_MAX)
        doomed[doomed_count++] = index;
    untidy = 1;
    return 0;
}

/* The interfaces of the policy's uplink lines that exist; at least one, or an error. */
static int find_uplinks(struct nft_uplinks *uplinks) {
    const struct policy *policy = uplinks->policy;
    int first_error = 0;
    for (uint32_t i = 0; i < policy->uplink_count; i++) {
        char *name = uplinks->names[uplinks->count];
        int r = 0;
        memcpy(name, policy->uplinks[i], IFNAME_SIZE);
        if (strcmp(name, "default") == 0)
            r = link_default(name);
        else if (link_find(name, 0) == -ENODEV)
            r = -ENODEV;
        if (!r)
            uplinks->count++;
        else if (!first_error)
            first_error = r;
    }
    return uplinks->count ? 0 : first_error;
}

/* Where only banger makes an uplink forward, the guard keeps the network behind it
 * from being routed elsewhere; so it is set before anything forwards. */
static int open_egress(struct helper_job *job) {
    struct nft_uplinks uplinks = {.policy = job->policy};
    char bridge[IFNAME_SIZE];
    job->reply->step = NET_STEP_UPLINK;
    int host = link_host_forwards();
    int r = host < 0 ? host : find_uplinks(&uplinks);
    if (r)
        return r;
    uplinks.guard = !host;
    job->reply->step = NET_STEP_RULES;
    r = nft_change(&account, job->request, &uplinks);
    if (r)
        return r;
    job->reply->step = NET_STEP_FORWARD;
    addr_bridge_name(bridge, account.uid);
    return link_forward(bridge, uplinks.names, uplinks.count);
}

static int answer_egress(struct helper_job *job) {
    struct net_slots slots = {.uid = account.uid};
    uint32_t slot = job->request->slot, kind = job->request->kind;
    job->reply->step = NET_STEP_RULES;
    int r = nft_list(&slots, 0);
    if (!r && !slots.has[slot])
        r = -ENOENT;
    if (!r)
        r = kind == WIRE_EGRESS_NONE ? nft_change(&account, job->request, NULL) : open_egress(job);
    if (!r)
        natted[slot] = kind == WIRE_EGRESS_NAT;
    return r;
}

/* Where somebody flushed the rules of the host, guests would be unbounded: the tables
 * are made again, with this account's live taps in them, also where another account's
 * helper made them again before; without a known subnet only so that nothing passes. */
static int answer_list(struct helper_job *job) {
    struct net_slots taps = {.uid = account.uid}, known = taps;
    job->reply->step = NET_STEP_LIST;
    int made = nft_ensure(account.uid);
    if (made < 0)
        return made;
    if (made || removed)
        remove_taps(); /* or they were live ones */
    int r = link_list(&taps);
    if (!r && !made && !removed)
        r = look_for_ipv6();
    for (uint32_t slot = 0; (made || removed) && account.subnet && !r && slot < SLOT_MAX; slot++) {
        if (taps.has[slot])
            r = rules(WIRE_NET_UP, slot);
    }
    if (!r)
        r = nft_list(&known, 0);
    for (uint32_t slot = 0; !r && slot < SLOT_MAX; slot++)
        job->reply->slots[slot / 64] |= (uint64_t) (taps.has[slot] | known.has[slot]) << slot % 64;
    removed &= r != 0;
    return r;
}

int net_answer(struct helper_job *job) {
    static helper_answer *const answers[] = {[WIRE_NET_UP] = answer_up,
                                             [WIRE_NET_DOWN] = answer_down,
                                             [WIRE_NET_EGRESS] = answer_egress,
                                             [WIRE_NET_LIST] = answer_list};
    if (account.subnet == 0) /* what an earlier helper left is looked for once */
        untidy = 1;
    account.uid = helper_who.uid;
    if (!job->own)
        account.subnet = policy_subnet(job->policy, helper_who.uid);
    job->reply->subnet = account.subnet;
    return answers[job->request->op](job);
}

/* --- what this worker asks of itself ------------------------------------------------------ */

/* When somebody removed the rules: NET_LIST, which makes them again, and NAT for those
 * who had it. Lists are not kept: who had one reaches nothing until the engine sends it
 * again. One round a call of the worker's loop, so that a caller has his turn. */
int net_notice(struct wire_request *request) {
    static uint32_t next = SLOT_MAX; /* whose NAT to ask for */
    if (next == SLOT_MAX && !nft_removed())
        return 0;
    if (next == SLOT_MAX) {
        removed = 1;
        next = 0;
        *request = (struct wire_request){.op = WIRE_NET_LIST};
        return 1;
    }
    while (next < SLOT_MAX && !natted[next])
        next++;
    *request = (struct wire_request){.op = WIRE_NET_EGRESS, .slot = next, .kind = WIRE_EGRESS_NAT};
    const int more = next < SLOT_MAX;
    next += (uint32_t) more;
    return more;
}
