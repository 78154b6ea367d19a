/* Lines 10 and 17: control messages and the descriptors in them. */
#include "attack.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static union {
    char bytes[2048];
    struct cmsghdr align;
} control;

/* Sends `rq` with the control bytes as they stand. */
static int send_control(int sock, const struct wire_request *rq, size_t control_size) {
    struct iovec iov = {(void *) rq, sizeof(*rq)};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = control_size};
    return sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t) sizeof(*rq) ? 0 : -errno;
}

/* `count` copies of a pipe's end in one control message; `*from` is the other end. */
static size_t fill(size_t count, int *from, int *end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        give_up("pipe");
    struct cmsghdr *c = &control.align;
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(c) + i * sizeof(int), &ends[1], sizeof(int));
    *from = ends[0];
    *end = ends[1];
    return CMSG_SPACE(sizeof(int) * count);
}

/* `count` descriptors with a request of `worker`: the helper ends, and none stays open. */
static void too_many(enum wire_worker worker, const struct wire_request *rq, size_t count) {
    int from, end;
    struct lab_helper h = start(ALICE);
    size_t size = fill(count, &from, &end);
    int r = send_control(socket_of(&h, worker), rq, size);
    close(end);
    expect(r == 0, "cannot send %zu: %d", count, r);
    expect(ends_saying(&h, MALFORMED), "%zu descriptors", count);
    expect(is_closed(from, 2000), "of %zu descriptors some stay open", count);
    close(from);
}

static void unasked(void) {
    static const size_t counts[] = {1, 2, 3, 15, 16, 17, 18, 253};
    struct wire_request rq = request(WIRE_NET_LIST, 0, 0);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        too_many(WIRE_NET, &rq, counts[i]);
}

static void miscounted(void) {
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.memory_mib = rq.vcpus = 1;
    for (size_t count = 1; count <= SPAWN_FDS + 2; count++) {
        if (count != SPAWN_FDS)
            too_many(WIRE_VMM, &rq, count);
    }
    rq.style = SPAWN_TRIAL;
    too_many(WIRE_VMM, &rq, SPAWN_TRIAL_FDS - 1);
    too_many(WIRE_VMM, &rq, SPAWN_TRIAL_FDS + 1);
    rq.in_cgroup = 1;
    too_many(WIRE_VMM, &rq, SPAWN_TRIAL_FDS);
    rq = request(WIRE_SNAP_UP, 0, 0);
    too_many(WIRE_DISK, &rq, SNAP_FDS - 1);
    too_many(WIRE_DISK, &rq, SNAP_FDS + 1);
    struct lab_helper h = start(ALICE);
    expect(send(h.disk, &rq, sizeof(rq), 0) > 0 && ends_saying(&h, MALFORMED), "a snapshot of nothing");
}

/* The room after the last descriptor holds another, and the length says so. */
static void padded(void) {
    int from, end;
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.style = SPAWN_TRIAL;
    struct lab_helper h = start(ALICE);
    (void) fill(SPAWN_TRIAL_FDS + 1, &from, &end);
    control.align.cmsg_len = CMSG_SPACE(sizeof(int) * SPAWN_TRIAL_FDS); /* a fourth lies in the padding */
    expect(send_control(h.vmm, &rq, CMSG_SPACE(sizeof(int) * SPAWN_TRIAL_FDS)) == 0, "cannot send");
    close(end);
    expect(ends_saying(&h, MALFORMED), "a descriptor in the padding");
    expect(is_closed(from, 2000), "it stays open");
    close(from);
}

/* Two control messages, each of them small enough. */
static void split(void) {
    int from, end;
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.style = SPAWN_TRIAL;
    struct lab_helper h = start(ALICE);
    size_t size = fill(SPAWN_TRIAL_FDS - 1, &from, &end);
    memcpy(control.bytes + size, control.bytes, size);
    int r = send_control(h.vmm, &rq, 2 * size);
    close(end);
    expect(r == 0, "cannot send: %d", r);
    expect(ends_saying(&h, MALFORMED), "two control messages");
    expect(is_closed(from, 2000), "their descriptors stay open");
    close(from);
}

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76 /* since Linux 6.5 */
#endif
static int passing; /* a socket's option */
static void pass_more(void) {
    int on = 1;
    for (int fd = WIRE_FD_FIRST; fd < WIRE_FD_FIRST + WIRE_WORKERS; fd++)
        (void) setsockopt(fd, SOL_SOCKET, passing, &on, sizeof(on));
}
/* The caller has the socket before the helper has, and can make it carry credentials. */
static void credentials(void) {
    struct wire_request rq = request(WIRE_NET_UP, 0, 0);
    passing = SO_PASSCRED;
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, pass_more);
    struct ucred false_ids = {.pid = 1, .uid = 0, .gid = 0};
    control.align = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(false_ids)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    memcpy(CMSG_DATA(&control.align), &false_ids, sizeof(false_ids));
    expect(send_control(h.net, &rq, CMSG_SPACE(sizeof(false_ids))) == 0, "cannot send");
    expect(ends_saying(&h, MALFORMED), "root's credentials");
    expect(!interface_exists(tap(ALICE, 0)), "and they count");
    h = lab_start(LAB_HELPER, ALICE, 1, pass_more);
    expect(send(h.net, &rq, sizeof(rq), 0) > 0 && ends_saying(&h, MALFORMED), "the kernel's credentials");
}

/* The caller has the kernel add its pidfd to the descriptors of a good request. Older kernels add none. */
static void pidfds(void) {
    int pair[2], on = 1, from, end;
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.style = SPAWN_TRIAL;
    passing = SO_PASSPIDFD;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        give_up("socketpair");
    int possible = setsockopt(pair[0], SOL_SOCKET, passing, &on, sizeof(on)) == 0;
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, pass_more);
    /* The socket is made so before the helper is executed. */
    for (int i = 0; i < 200 && strcmp(content("/proc/%d/comm", h.pid), "banger-helper\n") != 0; i++)
        usleep(10000);
    size_t size = fill(SPAWN_TRIAL_FDS, &from, &end);
    expect(send_control(h.vmm, &rq, size) == 0, "cannot send");
    close(end);
    if (possible)
        expect(ends_saying(&h, MALFORMED), "a pidfd beside the descriptors");
    else
        lab_end(&h);
    close(from);
    fdpass_close(pair, 2);
}

static struct {
    pid_t pid;
    struct rlimit limit;
} limited;
static int lower(void *arg) {
    (void) arg;
    return prlimit(limited.pid, RLIMIT_NOFILE, &limited.limit, NULL) != 0;
}

/* The account lowers a limit of the running worker. More than fit beside what is open: the kernel cuts the control
 * message. */
static void truncated(void) {
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.memory_mib = rq.vcpus = 1;
    struct lab_helper h = start_ready(ALICE);
    pid_t workers[WIRE_WORKERS];
    int from, end;
    workers_of(&h, workers);
    limited.pid = workers[WIRE_VMM];
    limited.limit = (struct rlimit){count_fds(limited.pid) + 6, 64};
    if (as_account(ALICE, lower, NULL))
        skip("the account may not lower a limit of a process of its own uid here");
    size_t size = fill(SPAWN_FDS, &from, &end);
    expect(send_control(h.vmm, &rq, size) == 0, "cannot send");
    close(end);
    expect(ends_saying(&h, MALFORMED), "a cut control message");
    expect(is_closed(from, 2000), "its descriptors stay open");
    close(from);
}

/* 300 requests with descriptors that are denied: the worker has as many open as before. */
static void leaked(void) {
    struct lab_helper h = start_ready(ALICE);
    pid_t workers[WIRE_WORKERS];
    workers_of(&h, workers);
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.memory_mib = rq.vcpus = 1;
    size_t before = count_fds(workers[WIRE_VMM]);
    int fds[SPAWN_FDS], ends[2];
    if (pipe2(ends, O_CLOEXEC))
        give_up("pipe");
    for (int i = 0; i < SPAWN_FDS; i++)
        fds[i] = ends[1];
    for (int i = 0; i < 300; i++) {
        int r = ask(&h, WIRE_VMM, &rq, fds, SPAWN_FDS);
        if (r != DENIED(POLICY_DESCRIPTOR))
            give_up("request %d: %d", i, r);
    }
    close(ends[1]);
    expect(count_fds(workers[WIRE_VMM]) == before, "%zu descriptors became %zu", before, count_fds(workers[WIRE_VMM]));
    expect(is_closed(ends[0], 500), "some are still open");
    close(ends[0]);
    lab_end(&h);
}

/* Received ones must not be inherited by what the vmm worker starts. */
static void received_close_on_exec(void) {
    struct lab_helper h = start_ready(ALICE);
    struct machine m = machine(&h, ALICE, 0);
    int r = spawn(&h, &m, 0);
    expect(r == 0 && strstr(machine_says(&m), "ready"), "no VM: %d", r);
    expect(strstr(machine_says(&m), "fds 0 1 2 10 11 12 13 14 .") != NULL, "the VMM has others: %s", machine_says(&m));
    machine_end(&m);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    lab_end(&h);
}

const struct attack control_attacks[] = {
    {"10.8 1 to 253 descriptors that the operation does not take", unasked},
    {"10.9 one descriptor fewer or more than the operation takes", miscounted},
    {"10.10 a descriptor smuggled in the control message's padding", padded},
    {"10.11 descriptors in two control messages", split},
    {"10.12 SCM_CREDENTIALS of root, on a socket made to pass them", credentials},
    {"10.13 a control message that the kernel cut (MSG_CTRUNC)", truncated},
    {"10.14 a pidfd that the kernel adds to the descriptors", pidfds},
    {"17.6 300 requests with descriptors leave none behind", leaked},
    {"17.7 a VMM inherits a descriptor that is not its own", received_close_on_exec},
    {NULL, NULL}};
