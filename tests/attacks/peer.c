/* Lines 13, 20, 21, 22 and 33: who is at the other end, and how it behaves. */
#include "attack.h"

#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- line 20: what the helper takes for its engine ----------------------------------------- */

static int strange, at;
static void with_strange(void) {
    (void) dup2(strange, at);
}
/* In the place of each worker's socket; `strange` must be untouched by it. */
static void is_refused(int fd, const char *what) {
    if (fd < 0) {
        printf("    %s: %s\n", what, strerror(errno));
        skip("%s cannot be made here", what);
    }
    strange = fcntl(fd, F_DUPFD_CLOEXEC, 200); /* beyond what lab_start() places */
    for (at = WIRE_FD_FIRST; at < WIRE_FD_FIRST + WIRE_WORKERS; at++)
        expect(refuses(LAB_HELPER, ALICE, with_strange, "with its sockets"), "%s as descriptor %d", what, at);
}

static void kernel_sockets(void) {
    static const int protocols[] = {NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_KOBJECT_UEVENT};
    for (size_t i = 0; i < 3; i++)
        is_refused(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocols[i]), "a netlink socket");
    is_refused(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "a TCP socket");
    is_refused(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "a UDP socket");
    is_refused(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), "a packet socket");
}
static void devices(void) {
    struct ifreq want = {.ifr_name = "attack0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    char frame[2000];
    if (tun < 0 || ioctl(tun, TUNSETIFF, &want))
        give_up("cannot make a tap: %s", strerror(errno));
    is_refused(tun, "a tap");
    expect(read(tun, frame, sizeof(frame)) < 0, "something was written to the tap");
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    is_refused(terminal, "a terminal");
    expect(!readable(terminal, 0), "something was written to the terminal");
    is_refused(open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
    is_refused(open("/dev/loop7", O_RDONLY | O_CLOEXEC), "a block device");
}
static void plain_files(void) {
    struct stat st;
    int fd = open("/tmp/comm", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), ends[2];
    is_refused(fd, "a file");
    expect(fstat(fd, &st) == 0 && st.st_size == 0, "something was written to the file");
    if (pipe2(ends, O_CLOEXEC))
        give_up("pipe");
    is_refused(ends[1], "a pipe");
    expect(!readable(ends[0], 0), "something was written to the pipe");
    is_refused(memfd_create("x", MFD_CLOEXEC), "a memfd");
    is_refused(open("/etc", O_RDONLY | O_CLOEXEC), "a folder");
    is_refused(open("/etc/passwd", O_PATH | O_CLOEXEC), "an O_PATH descriptor");
}
static void anonymous(void) {
    sigset_t none;
    char ring[120] = {0};
    (void) sigemptyset(&none);
    is_refused(epoll_create1(EPOLL_CLOEXEC), "an epoll");
    is_refused(eventfd(1, EFD_CLOEXEC), "an eventfd");
    is_refused(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "a timerfd");
    is_refused(signalfd(-1, &none, SFD_CLOEXEC), "a signalfd");
    is_refused(inotify_init1(IN_CLOEXEC), "an inotify");
    is_refused((int) syscall(SYS_pidfd_open, getpid(), 0), "a pidfd");
    int io_uring = (int) syscall(SYS_io_uring_setup, 1, ring);
    if (io_uring >= 0)
        is_refused(io_uring, "an io_uring");
}
static void unix_kinds(void) {
    int pair[2];
    for (int type = 0; type < 2; type++) {
        if (socketpair(AF_UNIX, (type ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0, pair))
            give_up("socketpair");
        is_refused(pair[0], type ? "a datagram socket" : "a stream socket");
        expect(!readable(pair[1], 0) || recv(pair[1], pair, 1, MSG_DONTWAIT) <= 0, "something was written");
        close(pair[0]);
        close(pair[1]);
    }
}
/* Of the right kind, but nobody's other end, or one to accept from. */
static void not_connected(void) {
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/tmp/listening"};
    int plain = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0),
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void) unlink(a.sun_path);
    if (bind(fd, (struct sockaddr *) &a, sizeof(a)) || listen(fd, 5))
        give_up("cannot listen");
    int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void) connect(client, (struct sockaddr *) &a, sizeof(a));
    struct wire_request rq = request(WIRE_NET_UP, 0, 0);
    (void) !send(client, &rq, sizeof(rq), MSG_DONTWAIT | MSG_NOSIGNAL);
    int both[] = {plain, fd};
    for (int i = 0; i < 2; i++) {
        strange = fcntl(both[i], F_DUPFD_CLOEXEC, 200);
        at = WIRE_FD_FIRST;
        expect(refuses(LAB_HELPER, ALICE, with_strange, ""), "a socket that is %s", i ? "listening" : "not connected");
    }
    expect(!interface_exists(tap(ALICE, 0)), "it served a client of its own");
}
/* Two helpers as each other's engine, and two workers of one. */
static int ends[2];
static void to_each_other(void) {
    (void) dup2(ends[0], WIRE_FD_FIRST + WIRE_NET);
    (void) dup2(ends[1], WIRE_FD_FIRST + WIRE_VMM);
}
static void helpers_as_engines(void) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
        give_up("socketpair");
    for (int i = 0; i < 2; i++) {
        int high = fcntl(ends[i], F_DUPFD_CLOEXEC, 200);
        close(ends[i]);
        ends[i] = high;
    }
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, to_each_other);
    close(ends[0]);
    close(ends[1]);
    usleep(300000);
    expect(is_running(h.pid), "two workers as each other's engine do not wait");
    expect(!interface_exists(tap(ALICE, 0)), "one made the other act");
    close(h.disk);
    h.disk = -1;
    expect(ends_saying(&h, ""), "the end of one does not end all");
}

/* --- line 21 and 13 -------------------------------------------------------------------------------- */

/* Nobody can connect to the helper: it listens nowhere and has no name. */
static void no_names(void) {
    struct lab_helper h = start_ready(ALICE);
    pid_t all[WIRE_WORKERS + 1] = {h.pid};
    workers_of(&h, all + 1);
    for (int i = 0; i <= WIRE_WORKERS; i++) {
        for (int fd = 0; fd < 64; fd++) {
            char path[64], target[64] = "", want[64];
            unsigned long inode = 0;
            (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", all[i], fd);
            ssize_t n = readlink(path, target, sizeof(target) - 1);
            if (n <= 0 || sscanf(target, "socket:[%lu]", &inode) != 1)
                continue;
            (void) snprintf(want, sizeof(want), " %lu ", inode);
            const char *line = strstr(content("/proc/net/unix"), want);
            const char *end = line ? strchr(line + 1, '\n') : NULL;
            expect(!line || (end && memchr(line, '@', (size_t) (end - line)) == NULL &&
                             memchr(line, '/', (size_t) (end - line)) == NULL),
                   "process %d has a named socket: %.40s", i, line);
            const char *tcp = strstr(content("/proc/net/tcp"), want);
            expect(!tcp, "process %d has a TCP socket", i);
        }
    }
    lab_end(&h);
}
/* Sixty helpers of one account at once: another account's works, and all end. */
static void flood(void) {
    static struct lab_helper many[60];
    for (size_t i = 0; i < 60; i++)
        many[i] = start(ALICE);
    struct lab_helper h = start(BOB);
    long long from = io_now_ms();
    struct guest g = lab_up(&h, BOB, 0);
    expect(g.fd >= 0, "the other account is not served");
    expect(io_now_ms() - from < patience(6000), "it waits %lld ms", io_now_ms() - from);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    close(g.fd);
    lab_end(&h);
    for (size_t i = 0; i < 60; i++)
        lab_end(&many[i]);
}
/* The engine sends a request and is gone before the answer; its number may be another's by then. */
static void gone_client(void) {
    for (int i = 0; i < 5; i++) {
        struct lab_helper h = start_ready(ALICE);
        struct wire_request rq = request(WIRE_NET_UP, 0, 0);
        (void) !send(h.net, &rq, sizeof(rq), 0);
        if (i)
            usleep((useconds_t) i * 700);
        lab_end(&h);
        expect(interface_goes(tap(ALICE, 0)), "a tap is left for nobody");
    }
    clean(ALICE);
}

/* --- line 22: slow and silent peers ------------------------------------------------------------------ */

/* Asks and asks and reads nothing: bounded, and without a signal. */
static void never_reads(void) {
    struct lab_helper h = start_ready(ALICE);
    struct wire_request rq = request(WIRE_NET_LIST, 0, 0);
    int few = 2304;
    (void) setsockopt(h.net, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few));
    long long from = io_now_ms();
    while (io_now_ms() - from < patience(9000) && is_running(h.pid)) {
        if (send(h.net, &rq, sizeof(rq), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            break;
        usleep(1000);
    }
    expect(!is_running(h.pid) || is_closed(h.disk, 2000), "a peer that reads nothing holds a worker for %lld ms",
           io_now_ms() - from);
    lab_end(&h);
}
static void half_closed(void) {
    static const int how[] = {SHUT_WR, SHUT_RD, SHUT_RDWR};
    for (size_t i = 0; i < 3; i++) {
        struct lab_helper h = start_ready(ALICE);
        (void) shutdown(h.net, how[i]);
        struct wire_request rq = request(WIRE_NET_UP, 0, 0);
        (void) !send(h.net, &rq, sizeof(rq), MSG_NOSIGNAL);
        int status = 0;
        expect(is_closed(h.disk, 3000), "half %zu closed, and it goes on", i);
        expect(waitpid(h.pid, &status, 0) == h.pid && WIFEXITED(status), "it ends by signal %d", WTERMSIG(status));
        expect(interface_goes(tap(ALICE, 0)), "a tap is left");
        close(h.net), close(h.disk), close(h.vmm), close(h.errors);
    }
    clean(ALICE);
}
/* Whoever should record is stopped: what cannot be recorded is not done. */
static void no_record(void) {
    struct lab_helper h = start_ready(ALICE);
    struct wire_request rq = request(WIRE_NET_UP, 0, 0);
    (void) kill(h.pid, SIGSTOP);
    (void) !send(h.net, &rq, sizeof(rq), 0);
    expect(is_closed(h.net, 13000), "a worker waits for its parent for ever");
    expect(!interface_exists(tap(ALICE, 0)), "it acts without a record");
    (void) kill(h.pid, SIGCONT);
    lab_end(&h);
}
static void idle(void) {
    struct lab_helper h = start_ready(ALICE);
    pid_t workers[WIRE_WORKERS];
    usleep(1300000); /* what an earlier helper left is looked for once */
    workers_of(&h, workers);
    long before = 0, after = 0;
    for (int turn = 0; turn < 2; turn++) {
        for (int w = 0; w < WIRE_WORKERS; w++)
            *(turn ? &after : &before) += status_number(workers[w], "voluntary_ctxt_switches");
        if (!turn)
            usleep(500000);
    }
    expect(after == before, "idle workers woke up %ld times", after - before);
    lab_end(&h);
}

/* --- line 33: many at once ------------------------------------------------------------------------------ */

static struct lab_helper crowd[100];
static void hundred(void) {
    struct wire_request rq[2];
    lab_policy(ALLOW "pool 172.16.0.0/12 61000\nslots 64\n");
    for (uint32_t i = 0; i < 20; i++)
        crowd[i] = start(i % 2 ? BOB : ALICE);
    for (uint32_t i = 0; i < 100; i++) { /* five requests a helper, all before the first answer */
        rq[0] = request(WIRE_NET_UP, i / 2, 0);
        (void) !send(crowd[i % 20].net, &rq[0], sizeof(rq[0]), 0);
    }
    static int taps[100];
    int count = 0, refused = 0;
    for (uint32_t i = 0; i < 100; i++) {
        struct wire_reply reply;
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = {&reply, sizeof(reply)};
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        if (!readable(crowd[i % 20].net, 15000) || recvmsg(crowd[i % 20].net, &msg, MSG_CMSG_CLOEXEC) <= 0) {
            refused++;
            continue;
        }
        refused += reply.verdict != WIRE_DONE;
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        if (c)
            memcpy(&taps[count++], CMSG_DATA(c), sizeof(int));
    }
    expect(count == 100 && refused == 0, "%d taps, %d refused", count, refused);
    int missing = 0;
    for (uint32_t slot = 0; slot < 50; slot++)
        missing += !interface_exists(tap(ALICE, slot)) + !interface_exists(tap(BOB, slot));
    expect(missing == 0, "%d taps have not their names", missing);
    expect(slots_of(&crowd[0]) == (1ull << 50) - 1 && slots_of(&crowd[1]) == (1ull << 50) - 1, "the lists are wrong");
    for (int i = 0; i < count; i++)
        close(taps[i]);
    for (uint32_t i = 0; i < 100; i++)
        (void) ask_net(&crowd[i % 20], WIRE_NET_DOWN, i / 2, 0);
    for (int i = 0; i < 20; i++)
        lab_end(&crowd[i]);
}
/* Eight helpers of one account want one slot: one gets it. */
static void one_slot(void) {
    struct wire_request rq = request(WIRE_NET_UP, 2, 0);
    struct wire_reply reply;
    for (int turn = 0; turn < 5; turn++) {
        int won = 0, lost = 0, fds[8];
        for (int i = 0; i < 8; i++)
            crowd[i] = start(ALICE);
        for (int i = 0; i < 8; i++)
            (void) !send(crowd[i].net, &rq, sizeof(rq), 0);
        for (int i = 0; i < 8; i++) {
            char control[CMSG_SPACE(sizeof(int))];
            struct iovec iov = {&reply, sizeof(reply)};
            struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
            fds[i] = -1;
            if (recvmsg(crowd[i].net, &msg, MSG_CMSG_CLOEXEC) > 0 && CMSG_FIRSTHDR(&msg))
                memcpy(&fds[i], CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
            won += fds[i] >= 0;
            lost += fds[i] < 0 && reply.verdict == WIRE_FAILED && reply.error == EEXIST;
        }
        expect(won == 1 && lost == 7, "%d won, %d lost", won, lost);
        for (int i = 0; i < 8; i++)
            close(fds[i]);
        for (int i = 0; i < 8; i++)
            lab_end(&crowd[i]);
        clean(ALICE);
    }
}

const struct attack peer_attacks[] = {
    {"13.1 the engine is gone before its answer", gone_client},
    {"20.7 netlink, TCP, UDP and packet sockets as the engine's", kernel_sockets},
    {"20.8 a tap, a terminal and devices as the engine's socket", devices},
    {"20.9 files, pipes, folders and memfds as the engine's socket", plain_files},
    {"20.10 epoll, eventfd, timerfd, signalfd, inotify, pidfd and io_uring as it", anonymous},
    {"20.11 Unix sockets of other types as it", unix_kinds},
    {"20.12 a socket that listens, or that nobody is connected to, as it", not_connected},
    {"20.13 two workers as each other's engine", helpers_as_engines},
    {"21.1 a socket with a name, or one that listens, in any process", no_names},
    {"21.2 sixty helpers of one account: another's is served", flood},
    {"22.1 a peer that asks and never reads", never_reads},
    {"22.2 a peer that closes half of its socket", half_closed},
    {"22.3 the parent is stopped: nothing is done without its record", no_record},
    {"22.4 a peer that says nothing costs nothing", idle},
    {"33.1 100 requests of two accounts at once", hundred},
    {"33.2 eight helpers of one account want one slot", one_slot},
    {NULL, NULL}};
