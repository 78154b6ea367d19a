/* The throughput of a published port against socat doing the same: 127.0.0.1 to a server in
 * a namespace behind the real helper's tap, whose frames are carried over as a VMM does, with
 * offloads. Run by tests/netns/run.sh BUILD publish [N]. */
#include "../../unpriv/forward/forward.h"
#include "../netns/lab.h"
#include "theirs.h"

#include <arpa/inet.h>
#include <grp.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define RUNS_MAX    51
#define BYTES       (256ll << 20)
#define PIECE       (128 << 10)
#define VNET        12
#define SERVER_PORT 9000
#define OUR_PORT    9001
#define THEIR_PORT  9002

static char piece[PIECE];

static void check(int good, const char *what) {
    if (good)
        return;
    perror(what);
    exit(2);
}

/* --- the guest: a namespace, the tap's other end in it, a server --------------------------- */

struct ends {
    int from, to;
};

static void *carry(void *arg) {
    const struct ends *ends = arg;
    char *frame = malloc(VNET + 65536 + 64);
    for (;;) {
        ssize_t n = read(ends->from, frame, VNET + 65536 + 64);
        if (n <= 0 || write(ends->to, frame, (size_t) n) < 0)
            continue; /* a frame that is refused is lost, as on a wire */
    }
    return NULL;
}

static void offload(int tap) {
    int header = VNET;
    check(ioctl(tap, TUNSETVNETHDRSZ, &header) == 0, "TUNSETVNETHDRSZ");
    check(ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0, "TUNSETOFFLOAD");
    (void) fcntl(tap, F_SETFL, O_RDWR);
}

/* Reads all of a connection, then says how much that was. */
static void serve(void) {
    const int on = 1;
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    (void) setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    check(bind(listener, (const struct sockaddr *) &any, sizeof(any)) == 0 && listen(listener, 8) == 0, "the server");
    for (;;) {
        int client = accept(listener, NULL, NULL);
        long long sum = 0;
        for (ssize_t n; (n = read(client, piece, sizeof(piece))) > 0;)
            sum += n;
        check(write(client, &sum, sizeof(sum)) == sizeof(sum), "the server's answer");
        (void) close(client);
    }
}

static pid_t start_guest(const struct guest *g, int ready) {
    pid_t pid = fork();
    if (pid)
        return pid;
    struct ifreq want = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    const uint8_t *m = g->mac;
    struct in_addr address = {htonl(g->address)};
    check(unshare(CLONE_NEWNET) == 0, "unshare");
    int inner = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    check(inner >= 0 && ioctl(inner, TUNSETIFF, &want) == 0, "the guest's interface");
    offload(inner);
    offload(g->fd);
    lab_sh("ip link set lo up; ip link set eth0 address %02x:%02x:%02x:%02x:%02x:%02x; ip addr add %s/22 dev eth0; "
           "ip link set eth0 up",
           m[0], m[1], m[2], m[3], m[4], m[5], inet_ntoa(address));
    struct ends in = {g->fd, inner}, out = {inner, g->fd};
    pthread_t threads[2];
    check(pthread_create(&threads[0], NULL, carry, &in) == 0 && pthread_create(&threads[1], NULL, carry, &out) == 0,
          "threads");
    check(write(ready, "", 1) == 1, "ready");
    serve();
    return 0;
}

/* --- what is compared -------------------------------------------------------------------------- */

static pid_t as_account(void (*become)(const struct guest *g, int fd), const struct guest *g, int fd) {
    gid_t gid = LAB_GROUP;
    pid_t pid = fork();
    if (pid)
        return pid;
    check(setgroups(1, &gid) == 0 && setresgid(LAB_UID, LAB_UID, LAB_UID) == 0 &&
              setresuid(LAB_UID, LAB_UID, LAB_UID) == 0,
          "changing to the account");
    become(g, fd);
    perror("exec");
    _exit(2);
}

static void become_ours(const struct guest *g, int fd) {
    (void) g;
    (void) dup2(fd, FORWARD_FD_CONTROL);
    execl("/usr/local/libexec/banger/banger-forward", "banger-forward", (char *) NULL);
}

static void become_theirs(const struct guest *g, int fd) {
    char from[64], to[64];
    struct in_addr address = {htonl(g->address)};
    (void) fd;
    (void) snprintf(from, sizeof(from), "TCP-LISTEN:%d,bind=127.0.0.1,reuseaddr,fork", THEIR_PORT);
    (void) snprintf(to, sizeof(to), "TCP:%s:%d", inet_ntoa(address), SERVER_PORT);
    execlp("socat", "socat", from, to, (char *) NULL);
}

static void publish(int control, const struct guest *g) {
    struct forward_request request = {.version = FORWARD_VERSION, .id = 1, .guest = g->address, .count = 1};
    struct forward_reply reply = {.error = -1};
    request.rules[0] = (struct forward_rule){
        .address = {127, 0, 0, 1}, .family = AF_INET, .protocol = IPPROTO_TCP, .host = OUR_PORT, .guest = SERVER_PORT};
    check(send(control, &request, sizeof(request), 0) == sizeof(request) &&
              recv(control, &reply, sizeof(reply), 0) == sizeof(reply) && reply.error == 0,
          "banger-forward");
}

static int try_connect(uint16_t port) {
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < 100; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (const struct sockaddr *) &to, sizeof(to)) == 0)
            return fd;
        (void) close(fd);
        usleep(20000);
    }
    check(0, "connect");
    return -1;
}

/* MiB a second. */
static double measure(uint16_t port) {
    long long sum = 0;
    double began = now_ms();
    int fd = try_connect(port);
    for (long long left = BYTES; left > 0;) {
        ssize_t n = write(fd, piece, left < PIECE ? (size_t) left : PIECE);
        check(n > 0, "write");
        left -= n;
    }
    (void) shutdown(fd, SHUT_WR);
    check(recv(fd, &sum, sizeof(sum), MSG_WAITALL) == sizeof(sum) && sum == BYTES, "the server's count");
    (void) close(fd);
    return (double) (BYTES >> 20) / ((now_ms() - began) / 1e3);
}

int main(int argc, char **argv) {
    int runs = argc > 2 ? atoi(argv[2]) : 7, control[2], ready[2];
    double ours[RUNS_MAX], theirs[RUNS_MAX];
    char byte;
    if (runs < 3 || runs > RUNS_MAX)
        runs = 7;
    (void) signal(SIGPIPE, SIG_IGN);
    lab_policy("allow gid 61999\npool 172.16.0.0/12 61000\nnat yes\nuplink default\n");
    struct lab_helper h = lab_start(LAB_HELPER, LAB_UID, 1, NULL);
    struct guest g = lab_up(&h, LAB_UID, 0);
    check(g.fd >= 0 && pipe(ready) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control) == 0, "the lab");
    pid_t children[3] = {start_guest(&g, ready[1])};
    check(read(ready[0], &byte, 1) == 1, "the guest");
    children[1] = as_account(become_ours, &g, control[1]);
    children[2] = as_account(become_theirs, &g, -1);
    publish(control[0], &g);
    (void) measure(OUR_PORT);
    (void) measure(THEIR_PORT);
    for (int i = 0; i < runs; i++) {
        ours[i] = measure(OUR_PORT);
        theirs[i] = measure(THEIR_PORT);
    }
    double o = median(ours, runs), t = median(theirs, runs);
    printf("bench publish ours=%.0fMiB/s theirs=%.0fMiB/s ratio=%.2f aim=>=2 %s\n", o, t, o / t,
           o / t >= 2 ? "ok" : "short");
    for (int i = 0; i < 3; i++)
        (void) kill(children[i], SIGKILL);
    lab_end(&h);
    return 0;
}
