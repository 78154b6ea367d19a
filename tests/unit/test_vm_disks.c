/* Sparse copies of real files. */
#include "../../common/cleanup.h"
#include "../../common/wire.h"
#include "../../unpriv/vm/internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (1 << 20)

static int scratch(const char *folder) {
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0, "%s", folder);
    return fd;
}

/* 64 MiB with data at the front, in the middle, and an odd hole at the end. */
static int sparse_file(const char *folder) {
    int fd = scratch(folder);
    static char data[MIB];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char) (i * 31 >> 3);
    cr_assert_eq(pwrite(fd, data, sizeof(data), 0), (ssize_t) sizeof(data));
    cr_assert_eq(pwrite(fd, data, 5000, 20 * MIB + 12345), 5000);
    cr_assert_eq(ftruncate(fd, 64 * MIB + 77), 0);
    return fd;
}

static void same_content(int a, int b) {
    static char one[MIB];
    static char two[MIB];
    for (off_t at = 0;; at += MIB) {
        ssize_t n = pread(a, one, sizeof(one), at);
        cr_assert_eq(pread(b, two, sizeof(two), at), n);
        if (n <= 0)
            return;
        cr_assert_eq(memcmp(one, two, (size_t) n), 0);
    }
}

static void copy_keeps_holes(const char *from_folder, const char *to_folder) {
    struct err e = {0};
    struct copy_how nobody = {0};
    struct stat st;
    cleanup_fd int from = sparse_file(from_folder);
    cleanup_fd int to = scratch(to_folder);
    int r = copy_disk(from, to, &nobody, &e);
    cr_assert_eq(r, 0, "%s", e.text);
    same_content(from, to);
    cr_assert_eq(fstat(to, &st), 0);
    cr_assert_eq(st.st_size, 64 * MIB + 77);
    cr_assert_lt(st.st_blocks * 512, 4 * MIB, "holes were filled");
}

Test(vm_disks, a_copy_is_equal_and_keeps_holes) {
    copy_keeps_holes("/var/tmp", "/var/tmp");
}

Test(vm_disks, across_file_systems_too) {
    copy_keeps_holes("/var/tmp", "/dev/shm");
    copy_keeps_holes("/dev/shm", "/var/tmp");
}

Test(vm_disks, an_empty_file_is_a_disk_too) {
    struct copy_how nobody = {0};
    struct stat st;
    cleanup_fd int from = scratch("/var/tmp");
    cleanup_fd int to = scratch("/var/tmp");
    cr_assert_eq(ftruncate(from, 8 * MIB), 0);
    cr_assert_eq(copy_disk(from, to, &nobody, NULL), 0);
    cr_assert_eq(fstat(to, &st), 0);
    cr_assert_eq(st.st_size, 8 * MIB);
    cr_assert_eq(st.st_blocks, 0);
}

Test(vm_disks, a_larger_disk_stays_larger) {
    struct copy_how nobody = {0};
    struct stat st;
    cleanup_fd int from = sparse_file("/var/tmp");
    cleanup_fd int to = scratch("/var/tmp");
    cr_assert_eq(ftruncate(to, 100 * MIB), 0);
    cr_assert_eq(copy_disk(from, to, &nobody, NULL), 0);
    cr_assert_eq(fstat(to, &st), 0);
    cr_expect_eq(st.st_size, 100 * MIB);
    cr_assert_eq(ftruncate(to, 64 * MIB + 77), 0);
    same_content(from, to);
}

static int stop_at_second(void *arg) {
    int *calls = arg;
    return ++*calls == 2;
}

Test(vm_disks, stops_when_told) {
    struct err e = {0};
    int calls = 0;
    struct copy_how copy = {.cancelled = stop_at_second, .arg = &calls};
    cleanup_fd int from = sparse_file("/dev/shm");
    cleanup_fd int to = scratch("/var/tmp"); /* never a reflink */
    cr_assert_eq(copy_disk(from, to, &copy, &e), -ECANCELED);
    cr_assert_eq(e.code, ECANCELED);
    cr_assert_eq(calls, 2);
}

Test(vm_disks, a_full_disk_is_said) {
    struct err e = {0};
    struct copy_how nobody = {0};
    cleanup_fd int from = sparse_file("/dev/shm");
    cleanup_fd int to = open("/dev/full", O_RDWR | O_CLOEXEC);
    if (to < 0)
        cr_skip("no /dev/full");
    cr_assert_lt(copy_disk(from, to, &nobody, &e), 0);
    cr_assert_gt(strlen(e.text), 10);
}

static int unshared_copy(const char *folder) {
    struct err e = {0};
    struct copy_how how = {.unshared = 1};
    cleanup_fd int from = sparse_file(folder);
    cleanup_fd int to = scratch(folder);
    cr_assert_eq(copy_disk(from, to, &how, &e), 0, "%s", e.text);
    same_content(from, to);
    return 0;
}

Test(vm_disks, an_unshared_copy_is_equal_too) {
    unshared_copy("/var/tmp");
}

/* --- overlays ------------------------------------------------------------------------ */

static int folder_at(char path[32]) {
    cr_assert(mkdtemp(path));
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

Test(vm_disks, an_overlay_is_reserved_to_its_last_byte) {
    char path[32] = "/var/tmp/unit-overlay.XXXXXX";
    struct err e = {0};
    struct stat st;
    cleanup_fd int dir = folder_at(path);
    cleanup_fd int base = sparse_file("/var/tmp");
    cleanup_fd int overlay = vm_overlay_make(dir, base, &e);
    cr_assert_geq(overlay, 0, "%s", e.text);
    cr_assert_eq(fstat(overlay, &st), 0);
    cr_expect_eq((uint64_t) st.st_size, wire_snap_overlay(64 * MIB + 77));
    cr_expect_geq(st.st_blocks * 512, st.st_size);
    static char zeros[MIB];
    static char got[MIB];
    for (off_t at = 0; at < st.st_size; at += MIB) {
        ssize_t n = pread(overlay, got, sizeof(got), at);
        cr_assert_gt(n, 0);
        cr_assert_eq(memcmp(got, zeros, (size_t) n), 0);
    }
    cr_expect_eq(vm_overlay_make(dir, base, &e), -EEXIST, "one that is there is never taken for a new one");
    cr_expect_eq(unlinkat(dir, VM_OVERLAY, 0), 0);
    cr_expect_eq(rmdir(path), 0);
}

Test(vm_disks, an_overlay_that_does_not_fit_is_said_and_leaves_nothing) {
    char path[32] = "/var/tmp/unit-overlay.XXXXXX";
    struct err e = {0};
    cleanup_fd int dir = folder_at(path);
    cleanup_fd int base = scratch("/var/tmp");
    cr_assert_eq(ftruncate(base, 8ll << 40), 0);
    cr_expect_eq(vm_overlay_make(dir, base, &e), -ENOSPC);
    cr_expect_not_null(strstr(e.text, "not enough disk space"), "%s", e.text);
    cr_expect_eq(rmdir(path), 0, "the folder is empty");
}
