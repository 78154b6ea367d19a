#include "net_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int passed, failed, skipped;
pid_t world;

void check(int good, const char *format, ...) {
    va_list args;
    printf(good ? "ok " : "not ok ");
    va_start(args, format);
    (void) vprintf(format, args);
    va_end(args);
    printf("\n");
    (void) fflush(stdout);
    good ? passed++ : failed++;
}

static int as_number(int r, const struct wire_reply *reply) {
    if (r)
        return -1;
    uint32_t detail = reply->verdict == WIRE_DENIED ? reply->reason : (uint32_t) reply->error;
    return (int) (reply->verdict * 1000 + detail);
}

int ask(struct lab_helper *h, uint32_t op, uint32_t slot, uint32_t kind) {
    struct wire_reply reply;
    return as_number(lab_call(h, op, slot, kind, &reply, NULL), &reply);
}

int ask_list(struct lab_helper *h, uint32_t slot, uint32_t kind, uint32_t address, uint32_t prefix, uint32_t lifetime) {
    struct wire_reply reply;
    struct wire_request rq = {.op = WIRE_NET_EGRESS, .slot = slot, .kind = kind, .cidr_count = 1};
    rq.cidrs[0] = (struct wire_cidr){address, prefix, lifetime};
    return as_number(lab_send(h, &rq, &reply, NULL), &reply);
}

uint64_t slots(struct lab_helper *h) {
    struct wire_reply reply;
    if (lab_call(h, WIRE_NET_LIST, 0, 0, &reply, NULL) || reply.verdict != WIRE_DONE)
        return ~0ull;
    return reply.slots[0];
}

void make_world(void) {
    int ready[2];
    char c;
    if (pipe(ready))
        exit(2);
    world = fork();
    if (world == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1)
            _exit(2);
        for (;;)
            pause();
    }
    if (read(ready[0], &c, 1) != 1)
        exit(2);
    lab_sh("ip link add up0 type veth peer name far netns %d && ip addr add 203.0.113.2/24 dev up0 && "
           "ip link set up0 up && nsenter -t %d -n sh -c 'ip link set lo up; ip addr add 203.0.113.1/24 dev far; "
           "ip link set far up; for i in 7 8 9 10; do ip addr add 198.51.100.$i/32 dev lo; done; ip addr add "
           "10.99.0.1/32 dev lo; "
           "ip route add 172.16.0.0/12 via 203.0.113.2; ip route add 10.60.0.0/24 via 203.0.113.2' && "
           "ip route add default via 203.0.113.1 && "
           "ip link add other type bridge && ip addr add 10.60.0.1/24 dev other && ip link set other up",
           world, world);
}

void say(uid_t uid, uint32_t to, const char *text) {
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(to)};
        char path[64];
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/net", world);
        if (uid == 0 && setns(open(path, O_RDONLY | O_CLOEXEC), CLONE_NEWNET))
            _exit(2);
        if (uid != 0 && (setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
            _exit(2);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(SAY_PORT)};
        if (bind(fd, (struct sockaddr *) &from, sizeof(from)))
            _exit(2);
        (void) sendto(fd, text, strlen(text), 0, (struct sockaddr *) &where, sizeof(where));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

int pings(struct guest *g, uint32_t to) {
    struct frame f = frame_icmp(g->gateway_mac, g->mac, g->address, to);
    guest_send(g, &f);
    return guest_pinged(g, to);
}
