/* The helper's disk worker against the kernel's device-mapper: run by tests/vm/disk.sh
 * --inside as root of a guest, with the installed helper and plain accounts. */
#include "disk_lab.h"

#include "../../policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MIB 1048576ull

/* --- what a snapshot is for ------------------------------------------------------- */

static void test_data(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct disk d = disk_make(ALICE, "data", 16 * MIB);
    uint64_t before = disk_sum(d.base);
    int fd = disk_up(&h, 1, &d);
    check(fd >= 0, "data: SNAP_UP (%s)", disk_said());
    struct stat st;
    check(fd >= 0 && fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR &&
              (uint64_t) lseek(fd, 0, SEEK_END) == d.size,
          "data: a block device of the base's size, read-write");
    check(disk_sum(fd) == before, "data: it begins as the base");
    check(disk_fill(fd, 3 * MIB, MIB, 'a') && disk_fill(fd, d.size - 4096, 4096, 'z') && fsync(fd) == 0,
          "data: it can be written, to its end");
    check(disk_is(fd, 3 * MIB, MIB, 'a') && disk_is(fd, d.size - 4096, 4096, 'z'), "data: and read back");
    check(disk_sum(d.base) == before, "data: the base is untouched");
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    check(disk_is(other, 3 * MIB, MIB, 'a') && disk_exists(ALICE, 1), "data: a second descriptor keeps it");
    close(other);
    check(disk_gone(ALICE, 1), "data: device and both loop devices go with the last descriptor");

    fd = disk_up(&h, 2, &d);
    check(fd >= 0 && disk_is(fd, 3 * MIB, MIB, 'a') && disk_is(fd, d.size - 4096, 4096, 'z') &&
              disk_is(fd, 0, MIB, 'B'),
          "data: the overlay brings it back (%s)", disk_said());
    close(fd);
    check(disk_gone(ALICE, 2), "data: gone again");
    lab_end(&h);
    disk_drop(&d);
}

/* The helper's end ends no snapshot. */
static void test_life(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct disk d = disk_make(ALICE, "life", MIB), e = disk_make(ALICE, "life2", MIB);
    int fd = disk_up(&h, 3, &d);
    check(disk_ask(&h, WIRE_SNAP_UP, 3, &e) == FAILED(EEXIST), "life: a live slot is never adopted (%s)", disk_said());
    check(disk_exists(ALICE, 3) && disk_fill(fd, 0, MIB, 'x') && disk_loops() == 2, "life: nor harmed");
    check(disk_ask(&h, WIRE_SNAP_DOWN, 3, NULL) == FAILED(EBUSY), "life: SNAP_DOWN while it is open (%s)", disk_said());
    check(disk_slots(&h) == 1ull << 3, "life: SNAP_LIST has it");
    int fe = disk_up(&h, 0, &e);
    check(fe >= 0 && disk_slots(&h) == (1ull << 3 | 1), "life: and another");
    close(fe);
    kill(h.pid, SIGKILL);
    lab_end(&h);
    check(disk_is(fd, 0, MIB, 'x') && disk_fill(fd, 4096, 4096, 'y'), "life: a killed helper leaves it working");
    h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(disk_ask(&h, WIRE_SNAP_UP, 3, &e) == FAILED(EEXIST) && disk_ask(&h, WIRE_SNAP_DOWN, 3, NULL) == FAILED(EBUSY),
          "life: the next helper sees it too");
    close(fd);
    check(disk_gone(ALICE, 3) && disk_slots(&h) == 0, "life: gone with its last descriptor");
    check(disk_ask(&h, WIRE_SNAP_DOWN, 3, NULL) == 0, "life: SNAP_DOWN of nothing is done");
    int good = 1;
    for (int i = 0; good && i < 40; i++) {
        fd = disk_up(&h, 3, &d);
        good = fd >= 0;
        close(fd);
    }
    check(good, "life: up again right after the last descriptor, 40 times (%s)", disk_said());
    check(disk_gone(ALICE, 3) && disk_loops() == 0, "life: and nothing left");
    lab_end(&h);
    disk_drop(&d);
    disk_drop(&e);
}

/* --- what is refused ------------------------------------------------------------------ */

static void test_refused(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct disk d = disk_make(ALICE, "refused", MIB), bob = disk_make(BOB, "bobs", MIB);
    uint64_t size = wire_snap_overlay(MIB);
    const struct {
        const char *what;
        int base, overlay, want;
    } cases[] = {
        {"a base that may be written", disk_open(ALICE, "refused.base", O_RDWR), d.overlay, POLICY_DESCRIPTOR},
        {"an overlay that may only be read", d.base, disk_open(ALICE, "refused.overlay", O_RDONLY), POLICY_DESCRIPTOR},
        {"an overlay that may only be written", d.base, disk_open(ALICE, "refused.overlay", O_WRONLY),
         POLICY_DESCRIPTOR},
        {"O_PATH as base", disk_open(ALICE, "refused.base", O_PATH), d.overlay, POLICY_DESCRIPTOR},
        {"O_PATH as overlay", d.base, disk_open(ALICE, "refused.overlay", O_PATH), POLICY_DESCRIPTOR},
        {"one file as both", disk_open(ALICE, "refused.overlay", O_RDONLY), d.overlay, POLICY_DESCRIPTOR},
        {"a foreign base", bob.base, d.overlay, POLICY_DESCRIPTOR},
        {"a foreign overlay", d.base, bob.overlay, POLICY_DESCRIPTOR},
        {"an overlay a block too small", d.base, disk_file(ALICE, "small", size - 4096, size - 4096, O_RDWR),
         POLICY_OVERLAY},
        {"a sparse overlay", d.base, disk_file(ALICE, "sparse", size, 0, O_RDWR), POLICY_OVERLAY},
        {"an overlay reserved but for its last block", d.base, disk_file(ALICE, "nearly", size, size - 4096, O_RDWR),
         POLICY_OVERLAY},
        {"an empty base", disk_file(ALICE, "empty", 0, 0, O_RDONLY), d.overlay, POLICY_DESCRIPTOR},
        {"a base of odd size", disk_file(ALICE, "odd", 4096 + 100, 4096, O_RDONLY), d.overlay, POLICY_DESCRIPTOR},
        {"a base beyond disk-max", disk_file(ALICE, "large", 65 * MIB, 0, O_RDONLY), d.overlay, POLICY_DISK},
        {"a folder as base", disk_open(ALICE, ".", O_RDONLY), d.overlay, POLICY_DESCRIPTOR},
        {"a block device as base", disk_device(O_RDONLY), d.overlay, POLICY_DESCRIPTOR},
        {"a block device as overlay", d.base, disk_device(O_RDWR), POLICY_DESCRIPTOR},
        {"a character device as overlay", d.base, open("/dev/null", O_RDWR | O_CLOEXEC), POLICY_DESCRIPTOR},
        {"a socket as overlay", d.base, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), POLICY_DESCRIPTOR},
        {"a file of /proc as base", open("/proc/self/status", O_RDONLY | O_CLOEXEC), d.overlay, POLICY_DESCRIPTOR},
        {"a base on ramfs", disk_elsewhere(ALICE, "ramfs", MIB, O_RDONLY), d.overlay, POLICY_DESCRIPTOR},
        {"an overlay on ramfs", d.base, disk_elsewhere(ALICE, "ramfs", size, O_RDWR), POLICY_DESCRIPTOR},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct disk c = {.base = cases[i].base, .overlay = cases[i].overlay};
        int good = c.base >= 0 && c.overlay >= 0 && disk_ask(&h, WIRE_SNAP_UP, 1, &c) == DENIED(cases[i].want);
        check(good, "refused: %s (%s)", cases[i].what, disk_said());
        if (c.base != d.base && c.base != bob.base)
            close(c.base);
        if (c.overlay != d.overlay && c.overlay != bob.overlay)
            close(c.overlay);
    }
    check(disk_slots(&h) == 0 && disk_loops() == 0, "refused: and nothing was made");
    check(disk_ask(&h, WIRE_SNAP_UP, 8, &d) == DENIED(POLICY_SLOT), "refused: a slot beyond the policy's");
    int fd = disk_up(&h, 1, &d);
    check(fd >= 0, "refused: the same worker still serves (%s)", disk_said());
    close(fd);
    (void) disk_gone(ALICE, 1);
    /* The kernel's own refusal: an overlay that is another thing's header. */
    check(pwrite(d.overlay, "not a snapshot's", 16, 0) == 16 && disk_ask(&h, WIRE_SNAP_UP, 1, &d) / 1000 == WIRE_FAILED,
          "refused: by the kernel, an overlay that is none (%s)", disk_said());
    check(disk_gone(ALICE, 1) && disk_loops() == 0, "refused: leaves nothing");
    lab_end(&h);
    disk_drop(&d);
    disk_drop(&bob);
}

/* --- accounts apart ------------------------------------------------------------------- */

static void test_apart(void) {
    struct lab_helper a = lab_start(LAB_HELPER, ALICE, 1, NULL), b = lab_start(LAB_HELPER, BOB, 1, NULL);
    struct disk da = disk_make(ALICE, "apart", MIB), db = disk_make(BOB, "apart", MIB);
    int fa = disk_up(&a, 2, &da);
    check(fa >= 0 && disk_slots(&b) == 0, "apart: another account does not list it");
    check(disk_ask(&b, WIRE_SNAP_DOWN, 2, NULL) == 0 && disk_exists(ALICE, 2), "apart: nor remove it");
    int fb = disk_up(&b, 2, &db);
    check(fb >= 0 && disk_fill(fa, 0, MIB / 2, '1') && disk_fill(fb, 0, MIB, '2') && disk_is(fa, 0, MIB / 2, '1') &&
              disk_is(fb, 0, MIB, '2'),
          "apart: two accounts on one slot number, each its own (%s)", disk_said());
    check(disk_slots(&a) == 1 << 2 && disk_slots(&b) == 1 << 2, "apart: each lists its own");
    struct stat st;
    check(fstat(fa, &st) == 0 && disk_no_access(BOB, st.st_rdev), "apart: the host's node is closed to accounts");

    check(disk_truncate(&da) == 0 && disk_settle() &&
              (!disk_reads(fa, MIB * 3 / 4) || disk_is(fa, MIB * 3 / 4, 4096, 0)) && disk_is(fb, 0, MIB, '2') &&
              disk_fill(fb, 0, MIB, '3') && disk_slots(&a) == 1 << 2,
          "apart: a base that its owner truncates fails, or reads as zeros, for its owner alone");
    close(fa);
    close(fb);
    check(disk_gone(ALICE, 2) && disk_gone(BOB, 2), "apart: both gone");

    /* What root made under such names is nobody's. */
    lab_sh("dmsetup create banger-%08x-002 --table '0 8 zero' && dmsetup create banger-%08x-0033 --table '0 8 zero' && "
           "dmsetup create banger-%08x-003 -u BANGER-%08x-004-00000001 --table '0 8 zero' && "
           "dmsetup create xbanger-%08x-001 -u BANGER-%08x-001-00000001 --table '0 8 zero'",
           ALICE, ALICE, ALICE, ALICE, ALICE, ALICE);
    check(disk_slots(&a) == 0, "apart: SNAP_LIST knows only names and uuids of its own form");
    struct disk dc = disk_make(ALICE, "apart2", MIB);
    check(disk_ask(&a, WIRE_SNAP_UP, 2, &dc) == FAILED(EEXIST) &&
              disk_ask(&a, WIRE_SNAP_DOWN, 2, NULL) == FAILED(EEXIST) &&
              disk_ask(&a, WIRE_SNAP_DOWN, 3, NULL) == FAILED(EEXIST) && disk_ask(&a, WIRE_SNAP_DOWN, 1, NULL) == 0,
          "apart: what root named so is neither adopted nor removed (%s)", disk_said());
    check(lab_try("for n in banger-%08x-002 banger-%08x-003 banger-%08x-0033 xbanger-%08x-001; do "
                  "dmsetup remove --retry $n || exit 1; done",
                  ALICE, ALICE, ALICE, ALICE),
          "apart: it was all still there");
    lab_end(&a);
    lab_end(&b);
    disk_drop(&da);
    disk_drop(&db);
    disk_drop(&dc);
}

/* --- never full ------------------------------------------------------------------------ */

/* Every block twice, on bases around the sizes where one metadata chunk more is needed. */
static void test_full(const char *where) {
    static const unsigned chunks[] = {1024, 1, 2, 255, 256, 257, 511, 512, 513};
    size_t count = strcmp(where, "tmpfs") == 0 ? 1 : sizeof(chunks) / sizeof(chunks[0]);
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    for (size_t i = 0; i < count; i++) {
        struct disk d = disk_make(ALICE, "full", chunks[i] * 4096ull);
        int fd = disk_up(&h, 1, &d);
        int full = strcmp(where, "a full disk") != 0 || disk_fill_host();
        int good = fd >= 0 && full && disk_scatter(fd, d.size, 'p') && disk_scatter(fd, d.size, 'q') &&
                   disk_is(fd, 0, d.size, 'q') && disk_valid(ALICE, 1);
        check(good, "full: on %s, each of %u blocks written twice, and still valid (%s)", where, chunks[i],
              disk_status(ALICE, 1));
        close(fd);
        (void) disk_gone(ALICE, 1);
        fd = disk_up(&h, 1, &d);
        check(fd >= 0 && disk_is(fd, 0, d.size, 'q'), "full: and %u blocks are there again (%s)", chunks[i],
              disk_said());
        close(fd);
        (void) disk_gone(ALICE, 1);
        disk_drop(&d);
        disk_free_host();
    }
    lab_end(&h);
}

/* A base whose last block is half a one. */
static void test_odd(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct disk d = disk_make(ALICE, "odd", MIB + 512);
    int fd = disk_up(&h, 1, &d);
    check(fd >= 0 && disk_fill(fd, MIB, 512, 'o') && fsync(fd) == 0 && disk_is(fd, MIB, 512, 'o') &&
              (uint64_t) lseek(fd, 0, SEEK_END) == d.size,
          "full: a base's last 512 bytes (%s)", disk_said());
    close(fd);
    (void) disk_gone(ALICE, 1);
    fd = disk_up(&h, 1, &d);
    check(fd >= 0 && disk_is(fd, MIB, 512, 'o') && disk_is(fd, MIB - 512, 512, 'B'), "full: and they stay");
    close(fd);
    (void) disk_gone(ALICE, 1);
    lab_end(&h);
    disk_drop(&d);
}

/* --- killed ------------------------------------------------------------------------------ */

/* Killed before each system call in turn that changes something; a new helper must manage. */
static void test_kill(void) {
    struct disk d = disk_make(ALICE, "kill", MIB);
    int kept = 0, steps = 0, good = 1, mended = 1, reached = 1;
    while (reached && good && mended) {
        struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
        reached = disk_kill_at(&h, 1, &d, ++steps);
        int left = disk_settle() && disk_exists(ALICE, 1), loops = disk_loops();
        kept += left;
        if (left ? !disk_empty(ALICE, 1) || loops > 2 : loops != 0)
            good = 0;
        h = lab_start(LAB_HELPER, ALICE, 1, NULL);
        int listed = disk_slots(&h) == (left ? 2u : 0u);
        if (steps % 2 == 0 && disk_ask(&h, WIRE_SNAP_DOWN, 1, NULL))
            mended = 0;
        int fd = disk_up(&h, 1, &d);
        if (!listed || fd < 0 || !disk_is(fd, 0, MIB, 'B'))
            mended = 0;
        close(fd);
        if (!disk_gone(ALICE, 1) || disk_loops() != 0)
            mended = 0;
        lab_end(&h);
    }
    check(good,
          "kill: before each of %d system calls of SNAP_UP; at most a device without a live table stays (%d times)",
          steps - 1, kept);
    check(mended && steps > 20, "kill: and the next helper mends it each time, after call %d (%s)", steps, disk_said());
    disk_drop(&d);
}

/* --- privileges, time ---------------------------------------------------------------------- */

static void test_privileges(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct disk d = disk_make(ALICE, "caps", MIB);
    int fd = disk_up(&h, 1, &d);
    check(lab_try("grep -q 'CapPrm:.0000000008200000' /proc/%d/status && grep -q 'CapEff:.0000000000000000' "
                  "/proc/%d/status && grep -q 'Seccomp:.2' /proc/%d/status && test \"$(cd /proc/%d/root && find . | "
                  "sort | grep -v policy | tr '\\n' ' ')\" = '. ./dev ./dev/loop-control ./dev/mapper "
                  "./dev/mapper/control '",
                  disk_worker(&h), disk_worker(&h), disk_worker(&h), disk_worker(&h)),
          "caps: sys_admin and mknod, none effective; a filter; two nodes and the policy");
    check(
        lab_try("test \"$(for f in /proc/%d/fd/*; do readlink $f; done | grep -cv 'socket:\\|pipe:\\|null\\|console\\|"
                "tty')\" = 2 && readlink /proc/%d/fd/* | grep -q mapper/control",
                disk_worker(&h), disk_worker(&h)),
        "caps: it keeps no descriptors but the two control nodes");
    check(lab_try("for p in $(cat /proc/%d/task/%d/children) %d; do test $p = %d || ! readlink /proc/$p/fd/* | grep -q "
                  "mapper || exit 1; "
                  "done",
                  h.pid, h.pid, h.pid, disk_worker(&h)),
          "caps: and no other process of the helper has that");
    close(fd);
    (void) disk_gone(ALICE, 1);
    lab_end(&h);
    disk_drop(&d);
}

static void test_time(void) {
    enum { ROUNDS = 15 };
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct disk d = disk_make(ALICE, "time", 16 * MIB);
    double ours[ROUNDS], theirs[ROUNDS];
    int up = 0, gone = 0, by_hand = 0, by_hand_gone = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double t = disk_now();
        int fd = disk_up(&h, 1, &d);
        ours[i] = disk_now() - t;
        up += fd >= 0;
        close(fd);
        gone += disk_gone(ALICE, 1);
        t = disk_now();
        by_hand += disk_by_hand(&d);
        theirs[i] = disk_now() - t;
        by_hand_gone += disk_by_hand_gone();
    }
    check(up == ROUNDS && gone == ROUNDS, "time: %d times up, %d times gone of %d", up, gone, ROUNDS);
    check(by_hand == ROUNDS && by_hand_gone == ROUNDS, "time: by hand: %d times up, %d times gone", by_hand,
          by_hand_gone);
    double mine = disk_median(ours, ROUNDS), other = disk_median(theirs, ROUNDS);
    check(mine < other, "time: SNAP_UP %.1f ms, losetup and dmsetup %.1f ms: %.1f times", mine, other, other / mine);
    lab_end(&h);
    disk_drop(&d);
}

int main(void) {
    (void) signal(SIGPIPE, SIG_IGN);
    disk_world();
    disk_place("ext4");
    test_data();
    test_life();
    test_refused();
    test_apart();
    test_odd();
    test_full("ext4");
    test_kill();
    test_privileges();
    test_time();
    disk_place("tmpfs");
    test_full("tmpfs");
    disk_place("full");
    test_full("a full disk");
    disk_place(NULL);
    return disk_summary();
}
