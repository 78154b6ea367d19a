/* The engine's part: starting the helper, each operation, and what an engine does after
 * a crash. */
#include "faults.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/jailargs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 15000
#define END_MS    10000

struct account account;
int undisturbed;

/* --- the helper -------------------------------------------------------------------- */

static _Noreturn void be_helper(int ends[WIRE_WORKERS], int traced) {
    int high[WIRE_WORKERS];
    gid_t groups[] = {account.gid, account.group};
    for (int i = 0; i < WIRE_WORKERS; i++)
        high[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, 50);
    for (int i = 0; i < WIRE_WORKERS; i++)
        (void) dup2(high[i], WIRE_FD_FIRST + i);
    int null = open("/dev/null", O_RDWR);
    if (dup2(null, 0) < 0 || dup2(null, 2) < 0 || setgroups(2, groups) ||
        setresgid(account.gid, account.gid, account.gid) || setresuid(account.uid, account.uid, account.uid))
        _exit(126);
    (void) close(1); /* which the helper sees to */
    if (traced)
        (void) raise(SIGSTOP);
    (void) execl(FAULTS_HELPER, "banger-helper", (char *) NULL);
    _exit(127);
}

struct helper helper_start(int traced) {
    int pairs[WIRE_WORKERS][2], ends[WIRE_WORKERS];
    struct helper h = {0};
    for (int i = 0; i < WIRE_WORKERS; i++) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]))
            exit(2);
        h.sockets[i] = pairs[i][0];
        ends[i] = pairs[i][1];
    }
    h.pid = fork();
    if (h.pid == 0)
        be_helper(ends, traced);
    for (int i = 0; i < WIRE_WORKERS; i++)
        (void) close(ends[i]);
    return h;
}

int helper_ready(struct helper *h) {
    struct wire_request net = {.op = WIRE_NET_LIST}, disk = {.op = WIRE_SNAP_LIST};
    struct wire_request trial = {.op = WIRE_VMM_SPAWN, .style = SPAWN_TRIAL};
    struct wire_reply reply;
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC), wrong[SPAWN_TRIAL_FDS] = {null, null, null};
    int r = helper_ask(h, &net, NULL, &reply, NULL) < 0 || helper_ask(h, &disk, NULL, &reply, NULL) < 0 ||
            helper_ask(h, &trial, wrong, &reply, NULL) != WIRE_DENIED;
    (void) close(null);
    return r ? -1 : 0;
}

void helper_close(struct helper *h) {
    fdpass_close(h->sockets, WIRE_WORKERS);
}

int helper_ask(struct helper *h, struct wire_request *request, const int *fds, struct wire_reply *reply, int *fd) {
    static const enum wire_worker workers[] = {
        [WIRE_NET_UP] = WIRE_NET,     [WIRE_NET_DOWN] = WIRE_NET, [WIRE_NET_EGRESS] = WIRE_NET,
        [WIRE_NET_LIST] = WIRE_NET,   [WIRE_SNAP_UP] = WIRE_DISK, [WIRE_SNAP_DOWN] = WIRE_DISK,
        [WIRE_SNAP_LIST] = WIRE_DISK, [WIRE_VMM_SPAWN] = WIRE_VMM};
    int sock = h->sockets[workers[request->op]], got = -1;
    size_t count = 0;
    request->version = WIRE_VERSION;
    request->size = sizeof(*request);
    request->op_id = 42;
    *reply = (struct wire_reply){0};
    if (fd)
        *fd = -1;
    if (fdpass_send(sock, request, sizeof(*request), fds, wire_request_fds(request)))
        return -1;
    int r = io_wait(sock, POLLIN, ANSWER_MS);
    if (r)
        return r == -ETIMEDOUT ? -2 : -1;
    if (fdpass_recv(sock, reply, sizeof(*reply), &got, 1, &count) != (ssize_t) sizeof(*reply))
        return -1;
    if (fd)
        *fd = count ? got : -1;
    else if (count)
        (void) close(got);
    return (int) reply->verdict;
}

/* --- network operations --------------------------------------------------------------- */

static int kept[SPAWN_ROLES]; /* what prepare opened */

/* What any operation may end with: done, refused or failed with an errno, or the worker
 * gone; done alone where nothing disturbs it. */
static int acceptable(int verdict, const struct wire_reply *reply, const char *what, char why[200]) {
    if (verdict == WIRE_DONE)
        return 0;
    if (undisturbed) {
        (void) snprintf(why, 200, "%s: verdict %d, reason %u, errno %d, step %u", what, verdict, reply->reason,
                        reply->error, reply->step);
        return -1;
    }
    if (verdict == -1)
        return 0;
    if (verdict == -2)
        (void) snprintf(why, 200, "%s: no answer", what);
    else if (reply->error <= 0 || reply->error > 4095)
        (void) snprintf(why, 200, "%s: verdict %d with errno %d", what, verdict, reply->error);
    else
        return 0;
    return -1;
}

static int bring_up(struct helper *h) {
    struct wire_request up = {.op = WIRE_NET_UP};
    struct wire_reply reply;
    return helper_ask(h, &up, NULL, &reply, &kept[SPAWN_TAP]) == WIRE_DONE ? 0 : -1;
}

static int with_nat(struct helper *h) {
    struct wire_request nat = {.op = WIRE_NET_EGRESS, .kind = WIRE_EGRESS_NAT};
    struct wire_reply reply;
    return bring_up(h) || helper_ask(h, &nat, NULL, &reply, NULL) != WIRE_DONE ? -1 : 0;
}

static int with_list(struct helper *h) {
    struct wire_request list = {.op = WIRE_NET_EGRESS,
                                .kind = WIRE_EGRESS_LIST,
                                .cidr_count = 2,
                                .cidrs = {{0x08080000, 16, 0}, {0x09090900, 24, 600}}};
    struct wire_reply reply;
    return bring_up(h) || helper_ask(h, &list, NULL, &reply, NULL) != WIRE_DONE ? -1 : 0;
}

static int run_up_kind(struct helper *h, uint32_t kind, char why[200]) {
    struct wire_request up = {.op = WIRE_NET_UP, .slot = kept[SPAWN_TAP] > 0, .kind = kind};
    struct wire_reply reply;
    int fd;
    int verdict = helper_ask(h, &up, NULL, &reply, &fd);
    if (verdict == WIRE_DONE && (fd >= 0) != !(kind & WIRE_TAP_NAMED)) {
        (void) snprintf(why, 200, "net_up: done, with%s a descriptor", fd >= 0 ? "" : "out");
        return -1;
    }
    return acceptable(verdict, &reply, "net_up", why);
}
static int run_up(struct helper *h, char why[200]) {
    return run_up_kind(h, WIRE_TAP_FD, why);
}
static int run_up_named(struct helper *h, char why[200]) {
    return run_up_kind(h, WIRE_TAP_NAMED | WIRE_TAP_IPV6, why);
}

static int run_simple(struct helper *h, struct wire_request request, const char *what, char why[200]) {
    struct wire_reply reply;
    return acceptable(helper_ask(h, &request, NULL, &reply, NULL), &reply, what, why);
}
static int run_down(struct helper *h, char why[200]) {
    return run_simple(h, (struct wire_request){.op = WIRE_NET_DOWN}, "net_down", why);
}
static int run_nat(struct helper *h, char why[200]) {
    return run_simple(h, (struct wire_request){.op = WIRE_NET_EGRESS, .kind = WIRE_EGRESS_NAT}, "net_egress nat", why);
}
static int run_none(struct helper *h, char why[200]) {
    return run_simple(h, (struct wire_request){.op = WIRE_NET_EGRESS}, "net_egress none", why);
}
static int run_list(struct helper *h, char why[200]) {
    const struct wire_request add = {.op = WIRE_NET_EGRESS,
                                     .kind = WIRE_EGRESS_LIST_ADD,
                                     .cidr_count = 2,
                                     .cidrs = {{0x08080000, 16, 60}, {0x01010100, 24, 0}}};
    return run_simple(h, add, "net_egress list", why);
}
static int run_net_list(struct helper *h, char why[200]) {
    return run_simple(h, (struct wire_request){.op = WIRE_NET_LIST}, "net_list", why);
}
static int run_denied(struct helper *h, char why[200]) {
    struct wire_request up = {.op = WIRE_NET_UP, .slot = SLOT_MAX - 1};
    struct wire_reply reply;
    int verdict = helper_ask(h, &up, NULL, &reply, NULL);
    if (verdict == WIRE_DENIED)
        return 0;
    if (verdict == WIRE_DONE)
        (void) snprintf(why, 200, "a slot beyond the policy's is brought up");
    return verdict == WIRE_DONE ? -1 : acceptable(verdict, &reply, "a denied net_up", why);
}
/* Somebody else removes every rule; the worker mends what it can see is gone. */
static int run_flush(struct helper *h, char why[200]) {
    (void) system("nft flush ruleset");
    return run_net_list(h, why);
}

static int run_up_flushed(struct helper *h, char why[200]) {
    (void) system("nft flush ruleset");
    return run_up(h, why);
}
/* Where the host forwards anyway. */
static int run_nat_router(struct helper *h, char why[200]) {
    (void) system("echo 1 >/proc/sys/net/ipv4/ip_forward");
    int r = run_nat(h, why);
    (void) system("echo 0 >/proc/sys/net/ipv4/ip_forward");
    return r;
}
/* Another helper of the account has a VM up on the bridge that this one may remove. */
static int with_another(struct helper *h) {
    static struct helper other;
    struct wire_request up = {.op = WIRE_NET_UP, .slot = 1, .kind = WIRE_TAP_IPV6};
    struct wire_reply reply;
    other = helper_start(0);
    return bring_up(h) || helper_ask(&other, &up, NULL, &reply, &kept[SPAWN_WORK]) != WIRE_DONE ? -1 : 0;
}

/* --- snapshots ---------------------------------------------------------------------------- */

static int scratch_file(const char *name, off_t size, int reserve) {
    char path[200];
    (void) snprintf(path, sizeof(path), "%s/%s", account.folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || (reserve ? posix_fallocate(fd, 0, size) : ftruncate(fd, size)) ||
        fchown(fd, account.uid, account.gid))
        exit(2);
    return fd;
}

static int read_only(const char *name) {
    char path[200];
    (void) snprintf(path, sizeof(path), "%s/%s", account.folder, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* A kernel without device-mapper says so. */
static int has_snapshots(struct helper *h) {
    struct wire_request list = {.op = WIRE_SNAP_LIST};
    struct wire_reply reply;
    return helper_ask(h, &list, NULL, &reply, NULL) == WIRE_DONE ? 0 : -1;
}

static int with_files(struct helper *h) {
    if (has_snapshots(h))
        return -1;
    (void) close(scratch_file("base", 1 << 20, 1));
    kept[SNAP_BASE] = read_only("base");
    kept[SNAP_OVERLAY] = scratch_file("overlay", (off_t) wire_snap_overlay(1 << 20), 1);
    return 0;
}

static int snap(struct helper *h, struct wire_reply *reply, int *fd) {
    struct wire_request up = {.op = WIRE_SNAP_UP};
    return helper_ask(h, &up, kept, reply, fd);
}

static int with_snapshot(struct helper *h) {
    struct wire_reply reply;
    return with_files(h) || snap(h, &reply, &kept[SNAP_FDS]) != WIRE_DONE ? -1 : 0;
}

static int run_snap_up(struct helper *h, char why[200]) {
    struct wire_reply reply;
    int fd;
    int verdict = snap(h, &reply, &fd);
    if (verdict == WIRE_DONE && fd < 0) {
        (void) snprintf(why, 200, "snap_up: done, without a descriptor");
        return -1;
    }
    return acceptable(verdict, &reply, "snap_up", why);
}
static int run_snap_down(struct helper *h, char why[200]) {
    (void) close(kept[SNAP_FDS]);
    return run_simple(h, (struct wire_request){.op = WIRE_SNAP_DOWN}, "snap_down", why);
}
static int run_snap_list(struct helper *h, char why[200]) {
    return run_simple(h, (struct wire_request){.op = WIRE_SNAP_LIST}, "snap_list", why);
}

/* --- VMMs ------------------------------------------------------------------------------------ */

static int listener(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", account.folder, name);
    (void) unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) || listen(fd, 4))
        exit(2);
    return fd;
}

static int arguments(void) {
    static const struct jail_args none = {.magic = JAIL_ARGS_MAGIC};
    int fd = memfd_create("args", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || io_write(fd, &none, sizeof(none)) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK))
        exit(2);
    return fd;
}

static int with_vm(struct helper *h) {
    char folder[200];
    (void) snprintf(folder, sizeof(folder), "%s/jail", account.folder);
    (void) mkdir(folder, 0700);
    (void) chown(folder, account.uid, account.gid);
    kept[SPAWN_ARGS] = arguments();
    kept[SPAWN_LOG] = scratch_file("log", 0, 0);
    kept[SPAWN_STATUS] = scratch_file("status", 0, 0);
    kept[SPAWN_CONSOLE] = scratch_file("console", 0, 0);
    kept[SPAWN_JAIL] = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void) close(scratch_file("kernel", 4096, 0));
    (void) close(scratch_file("initrd", 4096, 0));
    kept[SPAWN_KERNEL] = read_only("kernel");
    kept[SPAWN_INITRD] = read_only("initrd");
    kept[SPAWN_ROOT] = scratch_file("root", 4096, 0);
    kept[SPAWN_WORK] = scratch_file("work", 4096, 0);
    kept[SPAWN_QMP] = listener("qmp");
    kept[SPAWN_AGENT] = listener("agent");
    return bring_up(h);
}

static int run_spawn_style(struct helper *h, enum wire_style style, uint32_t kind, char why[200]) {
    struct wire_request spawn = {.op = WIRE_VMM_SPAWN, .style = style, .kind = kind, .memory_mib = 128, .vcpus = 1};
    struct wire_reply reply;
    int pidfd;
    int verdict = helper_ask(h, &spawn, kept, &reply, &pidfd);
    if (verdict == WIRE_DONE && (pidfd < 0 || io_wait(pidfd, POLLIN, END_MS))) {
        (void) snprintf(why, 200, "vmm_spawn: done, but there is no process that ends");
        return -1;
    }
    return acceptable(verdict, &reply, "vmm_spawn", why);
}
static int run_spawn(struct helper *h, char why[200]) {
    return run_spawn_style(h, SPAWN_BY_FD, 0, why);
}
static int run_spawn_named(struct helper *h, char why[200]) {
    return run_spawn_style(h, SPAWN_BY_NAME, 1, why);
}
static int run_trial(struct helper *h, char why[200]) {
    return run_spawn_style(h, SPAWN_TRIAL, 0, why);
}

/* --- all of them ------------------------------------------------------------------------------ */

const struct operation operations[] = {
    {"start", WIRE_NET, NULL, run_net_list, 1, 0},
    {"net_up", WIRE_NET, NULL, run_up, 0, 0},
    {"net_up named", WIRE_NET, NULL, run_up_named, 0, 0},
    {"net_up beside another", WIRE_NET, bring_up, run_up, 0, 0},
    {"net_up denied", WIRE_NET, NULL, run_denied, 0, 0},
    {"net_down", WIRE_NET, bring_up, run_down, 0, 0},
    {"net_down with a list", WIRE_NET, with_list, run_down, 0, 0},
    {"net_egress nat", WIRE_NET, bring_up, run_nat, 0, 0},
    {"net_egress none", WIRE_NET, with_nat, run_none, 0, 0},
    {"net_egress list", WIRE_NET, with_list, run_list, 0, 0},
    {"net_list", WIRE_NET, bring_up, run_net_list, 0, 0},
    {"flush", WIRE_NET, with_nat, run_flush, 0, 0},
    {"net_up after a flush", WIRE_NET, NULL, run_up_flushed, 0, 1},
    {"net_egress on a router", WIRE_NET, bring_up, run_nat_router, 0, 1},
    {"net_down beside another helper", WIRE_NET, with_another, run_down, 0, 1},
    {"snap_up", WIRE_DISK, with_files, run_snap_up, 0, 0},
    {"snap_down", WIRE_DISK, with_snapshot, run_snap_down, 0, 0},
    {"snap_list", WIRE_DISK, with_snapshot, run_snap_list, 0, 0},
    {"snap_list of none", WIRE_DISK, has_snapshots, run_snap_list, 0, 0},
    {"vmm_spawn", WIRE_VMM, with_vm, run_spawn, 0, 0},
    {"vmm_spawn by name", WIRE_VMM, with_vm, run_spawn_named, 0, 0},
    {"vmm_spawn trial", WIRE_VMM, with_vm, run_trial, 0, 0},
};
const size_t operation_count = sizeof(operations) / sizeof(operations[0]);

/* --- afterwards -------------------------------------------------------------------------------- */

/* Takes down each listed slot; the number of them, or -1. */
static int take_down(struct helper *h, uint32_t list, uint32_t down, int may_be_missing) {
    struct wire_request request = {.op = list};
    struct wire_reply reply, answer;
    int found = 0;
    int verdict = helper_ask(h, &request, NULL, &reply, NULL);
    if (verdict == WIRE_FAILED && may_be_missing && reply.error == ENODEV)
        return 0;
    if (verdict != WIRE_DONE)
        return -1;
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++) {
        if (!(reply.slots[slot / 64] >> slot % 64 & 1))
            continue;
        struct wire_request one = {.op = down, .slot = slot};
        found++;
        if (helper_ask(h, &one, NULL, &answer, NULL) != WIRE_DONE)
            return -1;
    }
    return found;
}

static int works(struct helper *h) {
    struct wire_request up = {.op = WIRE_NET_UP}, down = {.op = WIRE_NET_DOWN};
    struct wire_reply reply;
    int fd;
    if (helper_ask(h, &up, NULL, &reply, &fd) != WIRE_DONE || fd < 0)
        return 0;
    (void) close(fd);
    return helper_ask(h, &down, NULL, &reply, NULL) == WIRE_DONE;
}

const char *interface_left(void) {
    static char name[IF_NAMESIZE];
    struct if_nameindex *all = if_nameindex();
    const char *found = NULL;
    for (struct if_nameindex *i = all; i && i->if_index && !found; i++) {
        if (strncmp(i->if_name, "bgr", 3) == 0 || strncmp(i->if_name, "bt0", 3) == 0)
            found = strcpy(name, i->if_name);
    }
    if_freenameindex(all);
    return found;
}

int mend(char why[200]) {
    struct helper h = helper_start(0);
    int r = 0;
    if (take_down(&h, WIRE_NET_LIST, WIRE_NET_DOWN, 0) < 0 || take_down(&h, WIRE_SNAP_LIST, WIRE_SNAP_DOWN, 1) < 0)
        r = snprintf(why, 200, "a new helper cannot list or take down");
    else if (!works(&h))
        r = snprintf(why, 200, "a new helper cannot bring a slot up and down");
    helper_close(&h);
    (void) waitpid(h.pid, NULL, 0);
    const char *left = interface_left();
    if (!r && left)
        r = snprintf(why, 200, "interface %s is left", left);
    if (!r && system("nft list ruleset 2>/dev/null | grep -qE '\"(bgr|bt)[0-9a-f]'") == 0)
        r = snprintf(why, 200, "an element of the nftables sets is left");
    if (!r && system("dmsetup ls 2>/dev/null | grep -q ^banger-") == 0)
        r = snprintf(why, 200, "a device-mapper device is left");
    return r;
}
