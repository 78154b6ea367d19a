/* What a VM's start asks of the helper, NET_UP and SNAP_UP, against `ip`, `nft`,
 * `losetup` and `dmsetup` making the same. The account has another VM up all along, so
 * bridge and tables exist on both sides: what is measured is one more VM.
 *
 *   up_bench FOLDER [N]     as root, tests/vm/parts/bench.sh; FOLDER is on ext4
 */
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../netns/lab.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX  200
#define BASE_SIZE (1ll << 30)
#define AIM       15.0

static char base[256], overlay[256];

static double now_ms(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static int less(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t) n, sizeof(*v), less);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void die(const char *what) {
    fprintf(stderr, "up_bench: %s\n", what);
    exit(2);
}

/* What an administrator would run, without a shell in between; `out` (may be NULL) is
 * the line it prints. */
static void run(char *const argv[], char out[64]) {
    int ends[2], status;
    if (pipe2(ends, O_CLOEXEC))
        die("pipe");
    pid_t pid = vfork();
    if (pid == 0) {
        if (out)
            (void) dup2(ends[1], 1);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    ssize_t n = out ? read(ends[0], out, 63) : 0;
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die(argv[0]);
    if (out) {
        out[n > 0 ? n : 0] = '\0';
        out[strcspn(out, "\n")] = '\0';
    }
}
#define RUN(out, ...) run((char *const[]){__VA_ARGS__, NULL}, out)

static void theirs_prepare(void) {
    RUN(NULL, "ip", "link", "add", "name", "their0", "type", "bridge");
    RUN(NULL, "ip", "addr", "add", "10.9.0.1/22", "dev", "their0");
    RUN(NULL, "ip", "link", "set", "their0", "up");
    RUN(NULL, "nft",
        "add table bridge theirs; "
        "add set bridge theirs guests { type ifname . ether_addr . ipv4_addr; }; "
        "add chain bridge theirs pre { type filter hook prerouting priority -300; }; "
        "add rule bridge theirs pre iifname . ether saddr . ip saddr @guests accept");
}

static char loops[2][64];

static void theirs_up(void) {
    char table[256];
    RUN(NULL, "ip", "tuntap", "add", "dev", "theirt0", "mode", "tap", "vnet_hdr");
    RUN(NULL, "ip", "link", "set", "theirt0", "master", "their0");
    RUN(NULL, "ip", "link", "set", "theirt0", "up");
    RUN(NULL, "nft", "add element bridge theirs guests { theirt0 . 02:62:00:00:00:00 . 10.9.0.2 }");
    RUN(loops[0], "losetup", "--find", "--show", "--read-only", base);
    RUN(loops[1], "losetup", "--find", "--show", overlay);
    (void) snprintf(table, sizeof(table), "0 %lld snapshot %s %s P 8", BASE_SIZE / 512, loops[0], loops[1]);
    RUN(NULL, "dmsetup", "create", "theirs", "--table", table);
}

static void theirs_down(void) {
    RUN(NULL, "dmsetup", "remove", "--retry", "theirs");
    RUN(NULL, "losetup", "--detach", loops[0]);
    RUN(NULL, "losetup", "--detach", loops[1]);
    RUN(NULL, "nft", "delete element bridge theirs guests { theirt0 . 02:62:00:00:00:00 . 10.9.0.2 }");
    RUN(NULL, "ip", "link", "del", "theirt0");
}

/* A fresh overlay, all of its blocks reserved, as the engine makes it beforehand. */
static void make_overlay(void) {
    (void) unlink(overlay);
    int fd = open(overlay, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t) wire_snap_overlay(BASE_SIZE)) || fchown(fd, LAB_UID, LAB_UID))
        die("cannot make the overlay");
    close(fd);
}

static int snap(struct lab_helper *h, enum wire_op op, uint32_t slot, int *device) {
    struct wire_request r = {.version = WIRE_VERSION, .size = sizeof(r), .op = op, .slot = slot};
    struct wire_reply reply = {.verdict = ~0u};
    int fds[SNAP_FDS] = {-1, -1}, up = op == WIRE_SNAP_UP, fd = -1;
    size_t count = 0;
    if (up) {
        fds[SNAP_BASE] = open(base, O_RDONLY | O_CLOEXEC);
        fds[SNAP_OVERLAY] = open(overlay, O_RDWR | O_CLOEXEC);
    }
    if (fdpass_send(h->disk, &r, sizeof(r), fds, up ? SNAP_FDS : 0) || io_wait(h->disk, POLLIN, 20000) ||
        fdpass_recv(h->disk, &reply, sizeof(reply), &fd, 1, &count) != (ssize_t) sizeof(reply))
        die("the disk worker is gone");
    for (int i = 0; up && i < SNAP_FDS; i++)
        close(fds[i]);
    if (reply.verdict != WIRE_DONE)
        fprintf(stderr, "operation %d: verdict %u reason %u error %d step %u\n", (int) op, reply.verdict, reply.reason,
                reply.error, reply.step);
    if (device)
        *device = count ? fd : -1;
    return reply.verdict == WIRE_DONE ? 0 : -1;
}

static double ours(struct lab_helper *h, uint32_t slot, struct guest *g, int *device) {
    double start = now_ms();
    *g = lab_up(h, LAB_UID, slot);
    if (g->fd < 0 || snap(h, WIRE_SNAP_UP, slot, device))
        die("the helper did not make it");
    return now_ms() - start;
}

static void ours_down(struct lab_helper *h, uint32_t slot, const struct guest *g, int device) {
    struct wire_reply reply;
    close(device);
    (void) snap(h, WIRE_SNAP_DOWN, slot, NULL);
    close(g->fd);
    (void) lab_call(h, WIRE_NET_DOWN, slot, 0, &reply, NULL);
}

int main(int argc, char **argv) {
    int runs = argc > 2 ? atoi(argv[2]) : 15;
    double mine[RUNS_MAX], theirs[RUNS_MAX];
    if (argc < 2 || runs < 10 || runs > RUNS_MAX)
        die("usage: up_bench FOLDER [N], N from 10 to 200");
    (void) signal(SIGPIPE, SIG_IGN);
    (void) snprintf(base, sizeof(base), "%s/base", argv[1]);
    (void) snprintf(overlay, sizeof(overlay), "%s/overlay", argv[1]);
    int fd = open(base, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, BASE_SIZE) || fchown(fd, LAB_UID, LAB_UID))
        die("cannot make the base");
    close(fd);
    lab_policy("allow gid 61999\npool 172.16.0.0/12 61000\nslots 32\nnat yes\nuplink default\n");
    struct lab_helper h = lab_start(LAB_HELPER, LAB_UID, 1, NULL);
    struct guest other = lab_up(&h, LAB_UID, 31);
    if (other.fd < 0)
        die("the helper made no network");
    theirs_prepare();
    for (int i = 0; i < runs; i++) {
        struct guest g;
        int device;
        make_overlay();
        mine[i] = ours(&h, (uint32_t) (i % 31), &g, &device);
        ours_down(&h, (uint32_t) (i % 31), &g, device);
        make_overlay();
        double start = now_ms();
        theirs_up();
        theirs[i] = now_ms() - start;
        theirs_down();
    }
    double m = median(mine, runs), t = median(theirs, runs);
    printf("audit net_up_snap_up value=%.1fx aim=>=%.0fx %s (ours %.2f ms, ip+nft+losetup+dmsetup %.2f ms, medians of "
           "%d)\n",
           t / m, AIM, t / m >= AIM ? "ok" : "short", m, t, runs);
    close(other.fd);
    lab_end(&h);
    return 0;
}
