/* The net worker: its empty root, and what it answers. Everything it makes follows
 * from (uid, slot); nothing is remembered but what is still to be removed. */
#include "net.h"

#include "../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ATTACH_TRIES    3
#define TAP_NAME_LENGTH 13
#define LATER_MS        1000 /* removal waits this long after the last NET_DOWN */

/* --- set-up --------------------------------------------------------------------- */

int net_init(void) {
    static const struct root_node tun = {"dev/net/tun", 10, 200};
    int r = link_init();
    if (!r)
        r = nft_init();
    return r ? r : root_enter(&tun, 1, NULL, 0);
}

/* Noticing that somebody removed the rules is nft.c's. */
int net_watch(void) {
    return -1;
}

int net_notice(struct wire_request *request) {
    (void) request;
    return 0;
}

static const int list[] = {
    SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg,    SYS_poll,          SYS_ppoll,
    SYS_openat, SYS_read,     SYS_close,   SYS_newfstatat, SYS_fstat,         SYS_fstatfs,
    SYS_ioctl,  SYS_fcntl,    SYS_capget,  SYS_capset,     SYS_getsockopt,    SYS_write,
    SYS_brk,    SYS_mmap,     SYS_munmap,  SYS_exit_group, SYS_clock_gettime, SYS_restart_syscall};
const struct sandbox_calls net_calls = {.allowed = list, .count = sizeof(list) / sizeof(list[0]), .kill = 1};

int net_hear_kernel_only(int fd) {
    static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    return connect(fd, (const struct sockaddr *) &kernel, sizeof(kernel)) ? -errno : 0;
}

void *net_allocated(void *object) {
    die_if(!object, "out of memory");
    return object;
}

/* --- slots ------------------------------------------------------------------------ */

static struct net_account account;

void net_add_tap(struct net_slots *slots, const char name[IFNAME_SIZE]) {
    char copy[IFNAME_SIZE + 1] = {0}, own[IFNAME_SIZE] = {0};
    memcpy(copy, name, IFNAME_SIZE);
    if (strlen(copy) != TAP_NAME_LENGTH)
        return;
    unsigned long slot = strtoul(copy + TAP_NAME_LENGTH - 3, NULL, 16);
    addr_tap_name(own, slots->uid, (uint32_t) slot);
    if (slot < SLOT_MAX && memcmp(own, copy, IFNAME_SIZE) == 0)
        slots->words[slot / 64] |= 1ull << slot % 64;
}

static int has(const struct net_slots *slots, uint32_t slot) {
    return (int) (slots->words[slot / 64] >> slot % 64 & 1);
}

static int is_empty(const struct net_slots *slots) {
    static const struct net_slots none;
    return memcmp(slots->words, none.words, sizeof(none.words)) == 0;
}

/* --- removal, off the reply's path -------------------------------------------------- */

/* Taps whose slot was taken down, by index: unregistering one costs the kernel 16 ms,
 * and most are gone with their VMM before this looks. A killed helper forgets them;
 * then they end with their last descriptor, and NET_LIST shows those that do not. */
static int doomed[SLOT_MAX];
static size_t doomed_count;
static long long later; /* when to look, io_now_ms(); 0: nothing to do */

static void attach_all(const struct net_slots *slots) {
    char tap[IFNAME_SIZE];
    int bridge = nft_account(account.uid, 1) ? -1 : link_bridge(&account);
    for (uint32_t slot = 0; slot < SLOT_MAX && bridge > 0; slot++) {
        addr_tap_name(tap, account.uid, slot);
        if (has(slots, slot))
            (void) link_attach(tap, bridge);
    }
}

/* Another helper of this account may bring a VM up between the look and the
 * removal. It adds its rules before it needs the bridge: a second look finds them,
 * and the bridge is made again. */
static void remove_bridge(void) {
    char name[IFNAME_SIZE];
    struct net_slots slots = {.uid = account.uid};
    int r = nft_list(&slots);
    if ((r && r != -ENOENT) || !is_empty(&slots))
        return;
    addr_bridge_name(name, account.uid);
    int bridge = link_find(name, NET_GROUP_BRIDGE);
    if (!r)
        (void) nft_account(account.uid, 0);
    if (bridge < 0 || link_delete(bridge) || r == -ENOENT)
        return;
    if (nft_list(&slots) == 0 && !is_empty(&slots))
        attach_all(&slots);
}

int net_idle(int ending) {
    if (later == 0)
        return -1;
    long long left = later - io_now_ms();
    if (left > 0 && !ending)
        return (int) left;
    while (doomed_count > 0)
        (void) link_delete(doomed[--doomed_count]);
    remove_bridge();
    later = 0;
    return -1;
}

/* --- answers: 0 or a negative errno, and the step that failed -------------------------- */

static int answer_up(struct helper_job *job) {
    char tap[IFNAME_SIZE];
    int fd = -1;
    addr_tap_name(tap, account.uid, job->request->slot);
    job->reply->step = NET_STEP_TAP;
    int r = link_tap(tap, &fd);
    if (r)
        return r;
    job->reply->step = NET_STEP_RULES;
    r = nft_up(&account, job->request->slot);
    for (int tries = 0; tries < ATTACH_TRIES && (tries ? r == -ENODEV : !r); tries++) {
        /* -ENODEV: another helper of the account removed the bridge in between */
        int bridge = link_bridge(&account);
        job->reply->step = bridge < 0 ? NET_STEP_BRIDGE : NET_STEP_PORT;
        r = bridge < 0 ? bridge : link_attach(tap, bridge);
    }
    if (r) {
        (void) nft_down(&account, job->request->slot);
        (void) close(fd);
        return r;
    }
    job->reply_fd = fd;
    return 0;
}

static int answer_down(struct helper_job *job) {
    char tap[IFNAME_SIZE];
    job->reply->step = NET_STEP_RULES;
    int r = nft_down(&account, job->request->slot);
    if (r)
        return r;
    addr_tap_name(tap, account.uid, job->request->slot);
    int index = link_find(tap, NET_GROUP_PORT);
    if (index > 0 && doomed_count < SLOT_MAX)
        doomed[doomed_count++] = index;
    later = io_now_ms() + LATER_MS;
    return 0;
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
static int nat(struct helper_job *job) {
    char uplinks[POLICY_UPLINKS_MAX][IFNAME_SIZE];
    char bridge[IFNAME_SIZE];
    size_t count;
    job->reply->step = NET_STEP_UPLINK;
    int host = link_host_forwards();
    int r = host < 0 ? host : find_uplinks(job->policy, uplinks, &count);
    if (r)
        return r;
    job->reply->step = NET_STEP_RULES;
    r = nft_nat(&account, job->request->slot, uplinks, count, !host, job->policy);
    if (r)
        return r;
    job->reply->step = NET_STEP_FORWARD;
    for (size_t i = 0; !r && i < count; i++)
        r = link_forward(uplinks[i]);
    addr_bridge_name(bridge, account.uid);
    return r ? r : link_forward(bridge);
}

static int answer_egress(struct helper_job *job) {
    struct net_slots slots = {.uid = account.uid};
    job->reply->step = NET_STEP_RULES;
    int r = nft_list(&slots);
    if (!r && !has(&slots, job->request->slot))
        r = -ENOENT;
    if (r)
        return r;
    return job->request->kind == WIRE_EGRESS_NAT ? nat(job) : nft_nat_off(&account, job->request->slot);
}

/* Where somebody flushed the rules of the host, guests would be unbounded: the tables
 * are made again, with this account's live taps in them. */
static int answer_list(struct helper_job *job) {
    struct net_slots taps = {.uid = account.uid}, rules = taps;
    job->reply->step = NET_STEP_LIST;
    int r = link_list(&taps);
    int made = r ? r : nft_ensure();
    if (made < 0)
        return made;
    for (uint32_t slot = 0; made && !r && slot < SLOT_MAX; slot++) {
        if (has(&taps, slot))
            r = nft_up(&account, slot);
    }
    if (!r)
        r = nft_list(&rules);
    for (size_t i = 0; !r && i < NET_SLOT_WORDS; i++)
        job->reply->slots[i] = taps.words[i] | rules.words[i];
    return r;
}

int net_answer(struct helper_job *job) {
    if (job->request->kind >= WIRE_EGRESS_LIST || (job->request->op == WIRE_NET_UP && job->request->kind))
        return -EOPNOTSUPP;
    static helper_answer *const answers[] = {[WIRE_NET_UP] = answer_up,
                                             [WIRE_NET_DOWN] = answer_down,
                                             [WIRE_NET_EGRESS] = answer_egress,
                                             [WIRE_NET_LIST] = answer_list};
    if (account.subnet == 0) /* what an earlier helper left is looked for once */
        later = io_now_ms() + LATER_MS;
    account = (struct net_account){.uid = helper_who.uid, .subnet = policy_subnet(job->policy, helper_who.uid)};
    job->reply->subnet = account.subnet;
    return answers[job->request->op](job);
}
