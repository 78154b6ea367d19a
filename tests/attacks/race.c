/* Lines 18, 23, 31, 32 and 33: the net worker held at each system call, while the world changes. */
#include "attack.h"
#include "trace.h"

#include "../../common/io.h"

#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAP    "bt0000ee48000"
#define BRIDGE "bgr0000ee48"
#define MOST   64 /* system calls of one operation */

/* Every call with ATTACK_FULL=1; in CI every n-th, which differs between the attacks. */
static int every(int n) {
    return getenv("ATTACK_FULL") ? 1 : n;
}

struct race {
    struct lab_helper h;
    pid_t net;
    struct wire_request rq;
    int at; /* the call before which `act` runs */
    void (*act)(struct stop *stop, struct race *r);
    int done, calls;
    long value; /* of whoever needs one */
};

static void send_request(void *arg) {
    struct race *r = arg;
    (void) !send(r->h.net, &r->rq, sizeof(r->rq), 0);
}
static int is_reply(const struct stop *stop) {
    return stop->regs.orig_rax == SYS_sendmsg && (int) stop->regs.rdi == WIRE_FD_FIRST + WIRE_NET;
}
static int hold_at(struct stop *stop, void *arg) {
    struct race *r = arg;
    r->calls = stop->index;
    if (stop->entry && stop->index == r->at) {
        r->done = 1;
        r->act(stop, r);
        return 0;
    }
    return !stop->entry && is_reply(stop);
}
/* One request with `act` before its call number `at`. 1 when there was such a call. */
static int race(struct race *r, enum wire_op op, int at, void (*act)(struct stop *, struct race *)) {
    pid_t workers[WIRE_WORKERS];
    r->h = start_ready(ALICE);
    workers_of(&r->h, workers);
    r->net = workers[WIRE_NET];
    r->rq = request(op, 0, 0);
    r->at = at;
    r->act = act;
    r->done = 0;
    (void) trace(r->net, send_request, hold_at, r);
    return r->done;
}
/* The reply to it: as ask(). A tap comes in `*fd`. */
static int reply_of(struct race *r, int *fd) {
    struct wire_reply reply = {0};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {&reply, sizeof(reply)};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    *fd = -1;
    if (!readable(r->h.net, 3000) || recvmsg(r->h.net, &msg, MSG_CMSG_CLOEXEC) != (ssize_t) sizeof(reply))
        return GONE;
    if (CMSG_FIRSTHDR(&msg))
        memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
    return (int) (reply.verdict * 1000 + (reply.verdict == WIRE_DENIED ? reply.reason : (uint32_t) reply.error));
}
static int port_of_bridge(void) {
    return lab_try("ip -o link show dev " TAP " 2>/dev/null | grep -q 'master " BRIDGE " '");
}
/* A tap that was given is in the account's own bridge, which is marked as ours. */
static void is_right(struct race *r, int answer, int fd) {
    expect(answer != 0 || fd >= 0, "call %d: done, without a tap", r->at);
    if (fd >= 0)
        close(fd);
    lab_end(&r->h);
}

/* --- line 18: the world changes between two calls ---------------------------------------------- */

static void rename_tap(struct stop *stop, struct race *r) {
    (void) stop;
    r->value = if_nametoindex(TAP);
    (void) lab_try("ip link set " TAP " down 2>/dev/null; ip link set " TAP " name attack4 2>/dev/null");
}
static void tap_renamed(void) {
    for (int at = 1; at < MOST; at += every(5)) {
        struct race r = {0};
        int fd, held = race(&r, WIRE_NET_UP, at, rename_tap), answer = reply_of(&r, &fd);
        expect(answer != 0 || !interface_exists("attack4") || lab_try("ip -o link show dev attack4 | grep -q master"),
               "call %d: done, though its tap is another's by name", at);
        is_right(&r, answer, fd);
        expect(interface_goes("attack4"), "call %d: a renamed tap stays", at);
        clean(ALICE);
        if (!held)
            break;
    }
}
static void swap_bridge(struct stop *stop, struct race *r) {
    (void) stop, (void) r;
    (void) lab_try("ip link delete " BRIDGE " 2>/dev/null; ip link add " BRIDGE " type bridge && "
                   "ip addr add 10.5.5.5/24 dev " BRIDGE " && ip link set " BRIDGE " up");
}
static void bridge_replaced(void) {
    for (int at = 1; at < MOST; at += every(6)) {
        struct race r = {0};
        int fd, held = race(&r, WIRE_NET_UP, at, swap_bridge), answer = reply_of(&r, &fd);
        if (held) {
            expect(!(answer == 0 && port_of_bridge()), "call %d: the tap is in a foreign bridge of the name", at);
            expect(lab_try("test \"$(ip -4 -o addr show dev " BRIDGE " | grep -c .)\" = 1"),
                   "call %d: the foreign bridge has the gateway's address", at);
        }
        is_right(&r, answer, fd);
        (void) lab_try("ip link delete " BRIDGE " 2>/dev/null");
        clean(ALICE);
        if (!held)
            break;
    }
}
static void change_policy(struct stop *stop, struct race *r) {
    (void) stop, (void) r;
    lab_policy("deny uid 61000\n" POLICY);
}
/* Decided under one policy as a whole, whenever it changes; the next request is under the new one. */
static void policy_replaced(void) {
    for (int at = 0; at < MOST; at += every(7)) {
        struct race r = {0};
        lab_policy(POLICY);
        int fd, held = race(&r, WIRE_NET_UP, at, change_policy), answer = reply_of(&r, &fd);
        expect(answer == 0 || answer == DENIED(POLICY_DENIED), "call %d: %d", at, answer);
        expect((answer == 0) == (fd >= 0), "call %d: denied with a tap", at);
        if (held)
            expect(ask_net(&r.h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_DENIED), "call %d: the old policy goes on", at);
        is_right(&r, answer, fd);
        lab_policy(POLICY);
        clean(ALICE);
        if (!held)
            break;
    }
}
static void remake_tap(struct stop *stop, struct race *r) {
    (void) stop;
    unsigned index = if_nametoindex(TAP);
    r->value = 0;
    if (!index)
        return;
    (void) lab_try("ip link delete " TAP "; ip link add " TAP " index %u type bridge", index);
    r->value = if_nametoindex(TAP) == index;
}
/* The slot's tap is deleted and a foreign interface has its name and its number. */
static void tap_remade(void) {
    for (int at = 1; at < MOST; at += every(6)) {
        struct race r = {0};
        int fd, held = race(&r, WIRE_NET_UP, at, remake_tap), answer = reply_of(&r, &fd);
        if (r.value) {
            expect(answer != 0 || is_reply(&(struct stop){.regs = {.orig_rax = SYS_sendmsg, .rdi = 3}}), "call %d", at);
            is_right(&r, answer, fd);
            expect(interface_exists(TAP), "call %d: the foreign interface is gone", at);
        } else {
            is_right(&r, answer, fd);
        }
        (void) lab_try("ip link delete " TAP " 2>/dev/null");
        clean(ALICE);
        if (!held)
            break;
    }
}

/* --- line 33: one that is held holds nobody else -------------------------------------------------- */

static long long slowest;
static void other_account(struct stop *stop, struct race *r) {
    (void) stop, (void) r;
    struct lab_helper h = start(BOB);
    long long from = io_now_ms();
    struct guest g = lab_up(&h, BOB, 0);
    expect(g.fd >= 0, "call %d: the other account is refused", r->at);
    long long took = io_now_ms() - from;
    slowest = took > slowest ? took : slowest;
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    close(g.fd);
    lab_end(&h);
}
static void held(void) {
    for (int at = 0; at < MOST; at += every(8)) {
        struct race r = {0};
        int fd, was = race(&r, WIRE_NET_UP, at, other_account), answer = reply_of(&r, &fd);
        expect(answer == 0, "call %d: its own request fails afterwards: %d", at, answer);
        is_right(&r, answer, fd);
        clean(ALICE);
        if (!was)
            break;
    }
    expect(slowest < patience(2000), "it waited %lld ms", slowest);
}

/* --- line 32: killed or failed at each call ----------------------------------------------------------- */

static void kill_it(struct stop *stop, struct race *r) {
    (void) r;
    (void) kill(stop->pid, SIGKILL);
}
static void nothing_left(struct race *r, int at, const char *what) {
    lab_end(&r->h);
    struct lab_helper h = start(ALICE);
    uint64_t have = slots_of(&h);
    expect((have & ~1ull) == 0, "call %d: %s leaves slots %llx", at, what, (unsigned long long) have);
    expect(ask_net(&h, WIRE_NET_DOWN, 0, 0) == 0, "call %d: what %s left cannot be taken down", at, what);
    lab_end(&h);
    expect(interface_goes(TAP) && interface_goes(BRIDGE), "call %d: %s leaves an interface", at, what);
    expect(!lab_try("nft list ruleset 2>/dev/null | grep -q '" TAP "\\|" BRIDGE "'"), "call %d: %s leaves rules", at,
           what);
}
static void killed_at(enum wire_op op) {
    for (int at = 0; at < MOST; at += every(4)) {
        struct race r = {0};
        int fd = -1, tap_fd = -1;
        if (op == WIRE_NET_DOWN) {
            struct lab_helper h = start(ALICE);
            tap_fd = lab_up(&h, ALICE, 0).fd;
            lab_end(&h);
        }
        int was = race(&r, op, at, kill_it);
        if (!was)
            (void) reply_of(&r, &fd);
        close(fd);
        close(tap_fd);
        nothing_left(&r, at, "SIGKILL");
        if (!was) {
            expect(at > 8, "control: only %d calls", at);
            break;
        }
    }
}
static void killed_up(void) {
    killed_at(WIRE_NET_UP);
}
static void killed_down(void) {
    killed_at(WIRE_NET_DOWN);
}
static int fail_at(struct stop *stop, void *arg) {
    struct race *r = arg;
    if (stop->index == r->at && stop->entry) {
        r->done = 1;
        stop->regs.orig_rax = (unsigned long long) -1; /* no call at all */
    } else if (stop->index == r->at) {
        stop->regs.rax = (unsigned long long) -r->value;
    }
    return !stop->entry && is_reply(stop);
}
static void failed_at(long error) {
    for (int at = 0; at < MOST; at += every(error == EIO ? 3 : 4)) {
        struct race r = {.at = at, .value = error};
        pid_t workers[WIRE_WORKERS];
        r.h = start_ready(ALICE);
        workers_of(&r.h, workers);
        r.rq = request(WIRE_NET_UP, 0, 0);
        (void) trace(workers[WIRE_NET], send_request, fail_at, &r);
        int fd, answer = reply_of(&r, &fd);
        if (answer == 0)
            expect(fd >= 0 && port_of_bridge(), "call %d fails by %ld, and yet it is done", at, error);
        else
            expect(fd < 0, "call %d fails by %ld, and a tap comes", at, error);
        if (fd >= 0)
            close(fd);
        nothing_left(&r, at, "a failure");
        if (!r.done)
            break;
    }
}
static void failed_calls(void) {
    failed_at(EIO);
}
static void no_memory(void) {
    failed_at(ENOBUFS);
}

/* --- line 31: answers of the kernel that are not what they should be ------------------------------------- */

/* Bytes of the answer of a recvfrom or recvmsg on netlink that just ended, where they are. */
static unsigned long long answer_at(const struct stop *stop) {
    if (stop->entry || (long long) stop->regs.rax <= 0)
        return 0;
    if (stop->regs.orig_rax == SYS_recvfrom) /* the record's acknowledgement asks for no sender */
        return stop->regs.r8 ? stop->regs.rsi : 0;
    struct msghdr msg;
    struct iovec iov;
    if (stop->regs.orig_rax != SYS_recvmsg || (int) stop->regs.rdi == WIRE_FD_FIRST + WIRE_NET ||
        !peek(stop->pid, stop->regs.rsi, &msg, sizeof(msg)) ||
        !peek(stop->pid, (unsigned long long) (size_t) msg.msg_iov, &iov, sizeof(iov)))
        return 0;
    return (unsigned long long) (size_t) iov.iov_base;
}
enum { ERROR, SEQUENCE, PORT, SHORT, LONG, FINISHED, TRUNCATED_ROW, KINDS };
static void forge(struct stop *stop, unsigned long long where, int kind, int error) {
    struct {
        struct nlmsghdr h;
        int error;
        struct nlmsghdr about;
    } m;
    size_t size = (size_t) stop->regs.rax < sizeof(m) ? (size_t) stop->regs.rax : sizeof(m);
    memset(&m, 0, sizeof(m));
    (void) peek(stop->pid, where, &m, size);
    if (kind == ERROR || kind == FINISHED || kind == SEQUENCE) {
        m.h.nlmsg_type = kind == FINISHED ? NLMSG_DONE : NLMSG_ERROR;
        m.h.nlmsg_len = kind == ERROR ? sizeof(m) : sizeof(m.h) + sizeof(int);
        m.error = -error;
        stop->regs.rax = m.h.nlmsg_len;
        size = sizeof(m);
    }
    if (kind == SEQUENCE)
        m.h.nlmsg_seq += 77;
    if (kind == PORT)
        m.h.nlmsg_pid += 77;
    if (kind == SHORT)
        stop->regs.rax = 3;
    if (kind == LONG)
        m.h.nlmsg_len = 0x7fffffff;
    if (kind == TRUNCATED_ROW)
        m.h.nlmsg_len = 7;
    (void) poke(stop->pid, where, &m, size);
}
struct forger {
    struct race r;
    int nth, seen, kind, error;
};
static int forge_nth(struct stop *stop, void *arg) {
    struct forger *f = arg;
    unsigned long long where = answer_at(stop);
    if (where && f->seen++ == f->nth)
        forge(stop, where, f->kind, f->error);
    return !stop->entry && is_reply(stop);
}
static void send_forged(void *arg) {
    send_request(&((struct forger *) arg)->r);
}
/* Each answer of the kernel to a NET_UP in turn is forged in one way. */
static void forged(int kind, int error) {
    int nth = 0, all = 0;
    for (; nth < 64 && !all; nth += every(2)) {
        struct forger f = {.nth = nth, .kind = kind, .error = error};
        pid_t workers[WIRE_WORKERS];
        f.r.h = start_ready(ALICE);
        workers_of(&f.r.h, workers);
        f.r.rq = request(WIRE_NET_UP, 0, 0);
        (void) trace(workers[WIRE_NET], send_forged, forge_nth, &f);
        int fd, answer = reply_of(&f.r, &fd);
        if (answer == 0)
            expect(fd >= 0 && port_of_bridge(), "answer %d forged (%d, %d): done, and it is not", nth, kind, error);
        expect(answer != 0 || kind != ERROR || error != EPERM || f.seen <= nth, "answer %d: EPERM is overlooked", nth);
        expect(answer == GONE || (kind != SHORT && kind != LONG && kind != TRUNCATED_ROW) || f.seen <= nth,
               "answer %d: cut or too long (%d), and taken (%d)", nth, kind, answer);
        if (fd >= 0)
            close(fd);
        expect(answer != FAILED(EPERM) || kind != SEQUENCE, "answer %d: an error of another number counts", nth);
        nothing_left(&f.r, nth, "a forged answer");
        all = f.seen <= nth;
    }
    expect(all && nth > 2, "control: %d answers of the kernel, not all of them forged", nth);
}
static void forged_errors(void) {
    static const int errors[] = {EPERM, EEXIST, ENOENT, 4095, 1, EBUSY, EINVAL, ENODEV, EINTR, EAGAIN};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i += (size_t) every(4))
        forged(ERROR, errors[i]);
}
static void forged_numbers(void) {
    forged(SEQUENCE, EPERM);
    forged(PORT, 0);
}
static void forged_lengths(void) {
    forged(SHORT, 0);
    forged(LONG, 0);
    forged(TRUNCATED_ROW, 0);
}
static void forged_ends(void) {
    forged(FINISHED, 0);
    forged(FINISHED, EINTR);
}
/* A message from another program, root's even, to each of the worker's netlink sockets. */
static void foreign_messages(void) {
    struct lab_helper h = start_ready(ALICE);
    pid_t workers[WIRE_WORKERS];
    int sent = 0, found = 0;
    workers_of(&h, workers);
    for (int fd = 0; fd < 64; fd++) {
        char path[64], target[64] = "", line[256];
        unsigned long inode = 0;
        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", workers[WIRE_NET], fd);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n <= 0 || sscanf(target, "socket:[%lu]", &inode) != 1)
            continue;
        FILE *list = fopen("/proc/net/netlink", "re");
        while (list && fgets(line, sizeof(line), list)) {
            unsigned protocol, port;
            unsigned long of;
            if (sscanf(line, "%*x %u %u %*x %*d %*d %*d %*d %*d %lu", &protocol, &port, &of) != 3 || of != inode ||
                !port)
                continue;
            struct {
                struct nlmsghdr h;
                int error;
                struct nlmsghdr about;
            } ack = {.h = {.nlmsg_len = sizeof(ack), .nlmsg_type = NLMSG_ERROR}};
            struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = port};
            int mine = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int) protocol);
            found++;
            for (int i = 0; i < 50; i++)
                sent += sendto(mine, &ack, sizeof(ack), MSG_DONTWAIT, (struct sockaddr *) &to, sizeof(to)) > 0;
            close(mine);
        }
        if (list)
            fclose(list);
    }
    expect(found > 0, "control: the worker has no netlink socket");
    expect(sent == 0, "%d foreign messages reach %d sockets", sent, found);
    struct guest g = lab_up(&h, ALICE, 0);
    expect(g.fd >= 0 && guest_resolve(&g), "it does not serve any more");
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    close(g.fd);
    lab_end(&h);
}

/* --- line 23: stopped and continued, over and over ------------------------------------------------------ */

static void storm(void) {
    struct lab_helper h = start_ready(ALICE);
    pid_t all[WIRE_WORKERS + 1] = {h.pid};
    workers_of(&h, all + 1);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 4000; i++) {
            (void) kill(all[i % 4], i / 4 % 2 ? SIGCONT : SIGSTOP);
            usleep(200);
        }
        for (int i = 0; i < 4; i++)
            (void) kill(all[i], SIGCONT);
        _exit(0);
    }
    for (int i = 0; i < 30; i++) {
        struct guest g = lab_up(&h, ALICE, (uint32_t) i % 4);
        expect(g.fd >= 0 && ask_net(&h, WIRE_NET_DOWN, (uint32_t) i % 4, 0) == 0, "round %d goes wrong", i);
        close(g.fd);
        (void) interface_goes(tap(ALICE, (uint32_t) i % 4));
    }
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
    for (int i = 0; i < 4; i++)
        (void) kill(all[i], SIGCONT);
    lab_end(&h);
}

const struct attack race_attacks[] = {
    {"18.1 its tap is renamed between any two calls", tap_renamed},
    {"18.2 its bridge is replaced by a foreign one between any two calls", bridge_replaced},
    {"18.3 the policy is replaced between any two calls", policy_replaced},
    {"18.4 its tap is replaced by a foreign interface of its name and number", tap_remade},
    {"23.5 stopped and continued over and over", storm},
    {"31.2 messages from other programs, root's even, on its netlink sockets", foreign_messages},
    {"31.3 errors in each answer of the kernel", forged_errors},
    {"31.4 answers with a wrong sequence or port", forged_numbers},
    {"31.5 answers that are cut, or longer than they are", forged_lengths},
    {"31.6 an end before the data, in each answer", forged_ends},
    {"32.1 killed before each call of bringing up", killed_up},
    {"32.2 killed before each call of taking down", killed_down},
    {"32.3 each call fails by EIO", failed_calls},
    {"32.4 each call fails by ENOBUFS", no_memory},
    {"33.3 held at each call, it holds no other account", held},
    {NULL, NULL}};
