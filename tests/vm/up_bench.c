/* What a VM's start asks of the helper, NET_UP and SNAP_UP, against `ip`, `nft`,
 * `losetup` and `dmsetup` making the same. The account has another VM up all along, so
 * bridge and tables exist on both sides: what is measured is one more VM. And, as what the
 * kernel takes for it whoever asks, the calls alone that make the tap, the bridge port, the
 * loop devices and the snapshot, by this process as root: no rule, policy, worker or record.
 *
 *   up_bench FOLDER [N]     as root, tests/vm/parts/bench.sh; FOLDER is on ext4
 */
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../bench/theirs.h"
#include "../netns/lab.h"

#include <linux/dm-ioctl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/loop.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define RUNS_MAX  200
#define BASE_SIZE (1ll << 30)
#define AIM       15.0

static char base[256], overlay[256];

static void die(const char *what) {
    fprintf(stderr, "up_bench: %s\n", what);
    exit(2);
}

static char loops[2][64];

static void theirs_up(void) {
    char table[256];
    their_network_up();
    RUN(loops[0], "losetup", "--find", "--show", "--read-only", base);
    RUN(loops[1], "losetup", "--find", "--show", overlay);
    (void) snprintf(table, sizeof(table), "0 %lld snapshot %s %s P 8", BASE_SIZE / 512, loops[0], loops[1]);
    RUN(NULL, "dmsetup", "create", "theirs", "--table", table);
}

static void theirs_down(void) {
    RUN(NULL, "dmsetup", "remove", "--retry", "theirs");
    RUN(NULL, "losetup", "--detach", loops[0]);
    RUN(NULL, "losetup", "--detach", loops[1]);
    their_network_down();
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

/* `*net`: NET_UP's part. */
static double ours(struct lab_helper *h, uint32_t slot, struct guest *g, int *device, double *net) {
    double start = now_ms();
    *g = lab_up(h, LAB_UID, slot);
    *net = now_ms() - start;
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

/* --- the calls alone ------------------------------------------------------------ */

struct bare {
    int control, sock, tap, loops[2];
};

static void call(int fd, unsigned long request, void *argument, const char *what) {
    if (ioctl(fd, request, argument) < 0)
        die(what);
}

static void bare_tap(struct bare *b) {
    struct ifreq tap = {.ifr_name = "bare0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    struct ifreq port = {.ifr_name = "their0"};
    b->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    call(b->tap, TUNSETIFF, &tap, "cannot make a tap");
    call(b->sock, SIOCGIFINDEX, &tap, "cannot find the tap");
    port.ifr_ifindex = tap.ifr_ifindex;
    call(b->sock, SIOCBRADDIF, &port, "cannot make the tap a bridge port");
    tap.ifr_flags = IFF_UP;
    call(b->sock, SIOCSIFFLAGS, &tap, "cannot set the tap up");
}

static int bare_loop(const char *path, int flags) {
    char name[32];
    struct loop_config config = {.info.lo_flags = LO_FLAGS_AUTOCLEAR | (flags == O_RDONLY ? LO_FLAGS_READ_ONLY : 0)};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    (void) snprintf(name, sizeof(name), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
    int fd = open(name, flags | O_CLOEXEC), file = open(path, flags | O_CLOEXEC);
    config.fd = (uint32_t) file;
    call(fd, LOOP_CONFIGURE, &config, "cannot attach a loop device");
    close(file);
    close(control);
    return fd;
}

static uint32_t number_of(int fd) {
    struct stat st;
    return fstat(fd, &st) ? 0 : minor(st.st_rdev);
}

static void bare_dm(const struct bare *b, unsigned long request, const char *what) {
    struct {
        struct dm_ioctl dm;
        struct dm_target_spec target;
        char words[64];
    } io = {.dm = {.version = {4, 0, 0}, .data_size = sizeof(io), .data_start = sizeof(io.dm), .name = "bare"},
            .target = {.length = BASE_SIZE / 512, .target_type = "snapshot"}};
    io.dm.target_count = request == DM_TABLE_LOAD;
    (void) snprintf(io.words, sizeof(io.words), "7:%u 7:%u P 8", number_of(b->loops[0]), number_of(b->loops[1]));
    call(b->control, request, &io, what);
}

static double bare_up(struct bare *b) {
    double start = now_ms();
    bare_tap(b);
    b->loops[0] = bare_loop(base, O_RDONLY);
    b->loops[1] = bare_loop(overlay, O_RDWR);
    bare_dm(b, DM_DEV_CREATE, "cannot make a device");
    bare_dm(b, DM_TABLE_LOAD, "cannot load its table");
    bare_dm(b, DM_DEV_SUSPEND, "cannot resume it");
    return now_ms() - start;
}

static void bare_down(const struct bare *b) {
    bare_dm(b, DM_DEV_REMOVE, "cannot remove it");
    close(b->loops[0]);
    close(b->loops[1]);
    close(b->tap);
}

int main(int argc, char **argv) {
    int runs = argc > 2 ? atoi(argv[2]) : 15;
    double mine[RUNS_MAX], net[RUNS_MAX], theirs[RUNS_MAX], bare[RUNS_MAX];
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
    their_network();
    struct bare b = {.control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC),
                     .sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    for (int i = 0; i < runs; i++) {
        struct guest g;
        int device;
        make_overlay();
        mine[i] = ours(&h, (uint32_t) (i % 31), &g, &device, &net[i]);
        ours_down(&h, (uint32_t) (i % 31), &g, device);
        make_overlay();
        double start = now_ms();
        theirs_up();
        theirs[i] = now_ms() - start;
        theirs_down();
        make_overlay();
        bare[i] = bare_up(&b);
        bare_down(&b);
    }
    double m = median(mine, runs), t = median(theirs, runs);
    printf(
        "audit net_up_snap_up value=%.1fx aim=>=%.0fx %s (ours %.2f ms, of it NET_UP %.2f ms; ip+nft+losetup+dmsetup "
        "%.2f ms; medians of %d)\n",
        t / m, AIM, t / m >= AIM ? "ok" : "short", m, median(net, runs), t, runs);
    printf("# the kernel's calls alone, without rules: %.2f ms, %.1fx\n", median(bare, runs), t / median(bare, runs));
    close(other.fd);
    lab_end(&h);
    return 0;
}
