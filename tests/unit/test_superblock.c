/* Superblocks: a real one, and what must not pass for one that a guest can mount. */
#include "../../unpriv/image/superblock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE (16ull << 20)

static uint8_t block[SUPERBLOCK_SIZE];

/* 16 MiB in blocks of 4 KiB, as mke2fs makes them. */
static void begin(void) {
    memset(block, 0, sizeof(block));
    block[0x05] = 0x10; /* 4096 blocks */
    block[0x18] = 2;
    block[0x21] = 0x80;
    block[0x29] = 0x10;
    block[0x38] = 0x53;
    block[0x39] = 0xef;
    block[0x3a] = 1;
    block[0x4c] = 1;
    block[0x59] = 1; /* inodes of 256 bytes */
    block[0x60] = 0xc2;
    block[0x61] = 0x02;
}
TestSuite(superblock, .init = begin);

static void refused(const char *words) {
    struct err e = {0};
    cr_expect_eq(superblock_check(block, SIZE, &e), -EINVAL, "%s", words);
    cr_expect(strstr(e.text, words), "%s", e.text);
    begin();
}

Test(superblock, a_whole_one_passes) {
    struct err e = {0};
    cr_expect_eq(superblock_check(block, SIZE, &e), 0, "%s", e.text);
    block[0x4c] = 0; /* revision 0 says no inode size */
    block[0x59] = 0;
    cr_expect_eq(superblock_check(block, SIZE, &e), 0, "%s", e.text);
}

Test(superblock, each_member_counts) {
    block[0x39] = 0;
    refused("no ext4");
    block[0x18] = 6;
    refused("does not fit");
    block[0x05] = 0x11;
    refused("does not fit");
    block[0x05] = 0;
    refused("does not fit");
    block[0x150] = 1;
    refused("does not fit");
    block[0x21] = 0;
    refused("does not fit");
    block[0x23] = 1;
    refused("does not fit");
    block[0x29] = 0;
    refused("does not fit");
    block[0x58] = 1;
    refused("does not fit");
    block[0x60] |= 8;
    refused("features");
    block[0x63] = 0x40;
    refused("features");
    block[0x60] |= 4;
    refused("unmount");
    block[0x3a] = 0;
    refused("unmount");
    block[0x3a] = 3;
    refused("unmount");
}

Test(superblock, files) {
    struct err e = {0};
    char path[] = "/tmp/banger-superblock-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    (void) unlink(path);
    cr_expect_eq(superblock_check_file(fd, &e), -EINVAL);
    cr_expect(strstr(e.text, "too short"), "%s", e.text);
    cr_assert_eq(ftruncate(fd, SIZE), 0);
    cr_expect_eq(superblock_check_file(fd, &e), -EINVAL);
    cr_assert_eq(pwrite(fd, block, sizeof(block), SUPERBLOCK_OFFSET), (ssize_t) sizeof(block));
    cr_expect_eq(superblock_check_file(fd, &e), 0, "%s", e.text);
    (void) close(fd);
    fd = open("/tmp", O_RDONLY);
    cr_expect_eq(superblock_check_file(fd, &e), -EINVAL);
    cr_expect(strstr(e.text, "no regular file"), "%s", e.text);
    (void) close(fd);
}
