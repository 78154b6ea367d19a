#include "import_help.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MIB ((uint64_t) 1 << 20)

static void put_types(struct pack *p) {
    struct archive_entry *entry = pack_entry("dev/sda70000", S_IFBLK | 0660);
    archive_entry_set_rdev(entry, makedev(259, 70000));
    archive_entry_set_gid(entry, 6);
    pack_put(p, entry, NULL, 0);
    entry = pack_entry("dev/null", S_IFCHR | 0666);
    archive_entry_set_rdev(entry, makedev(1, 3));
    pack_put(p, entry, NULL, 0);
    pack_put(p, pack_entry("dev/pipe", S_IFIFO | 0600), NULL, 0);
    entry = pack_entry("tool", S_IFREG | 04755);
    archive_entry_set_uid(entry, 300000);
    archive_entry_set_gid(entry, 4000000000);
    archive_entry_set_mtime(entry, 5000000000, 123456789);
    pack_put(p, entry, "tool", 4);
    pack_hardlink(p, "also/tool", "tool");
    pack_hardlink(p, "tool3", "./tool");
}

Test(import_ext4, types_owners_modes_times_and_links) {
    struct pack p = pack_open();
    put_types(&p);
    struct import_report report = {0};
    int fd = image_of(pack_close(&p), 0, &report);
    cr_assert_eq(report.size, 1024 * MIB);
    cr_assert_eq(report.entries, 6);
    ext2_filsys fs = image_open(fd);
    struct ext2_inode_large i = image_inode(fs, "/tool");
    cr_expect_eq(i.i_mode, S_IFREG | 04755);
    cr_expect_eq(inode_uid(i), 300000);
    cr_expect_eq(inode_gid(i), 4000000000);
    cr_expect_eq(i.i_links_count, 3);
    cr_expect_eq((uint64_t) i.i_mtime + ((uint64_t) (i.i_mtime_extra & 3) << 32), 5000000000);
    cr_expect_eq(i.i_mtime_extra >> 2, 123456789);
    cr_expect_eq(image_find(fs, "/tool"), image_find(fs, "/also/tool"));
    cr_expect_eq(image_find(fs, "/tool"), image_find(fs, "/tool3"));
    i = image_inode(fs, "/dev/null");
    cr_expect_eq(i.i_mode, S_IFCHR | 0666);
    cr_expect_eq(i.i_block[0], 0x103);
    i = image_inode(fs, "/dev/sda70000");
    cr_expect_eq(i.i_mode, S_IFBLK | 0660);
    cr_expect_eq(inode_gid(i), 6);
    cr_expect_eq(i.i_block[0], 0);
    cr_expect_eq(i.i_block[1], (70000u & 0xff) | 259u << 8 | (70000u & ~0xffu) << 12);
    cr_expect_eq(image_inode(fs, "/dev/pipe").i_mode, S_IFIFO | 0600);
    cr_expect_eq(image_inode(fs, "/dev").i_mode, S_IFDIR | 0755, "a parent that is missing is made");
    cr_expect_eq(image_inode(fs, "/").i_links_count, 5, "dev, also, lost+found");
    (void) ext2fs_close_free(&fs);
}

Test(import_ext4, symbolic_links_of_all_lengths) {
    static const size_t lengths[] = {1, 59, 60, 61, 4095};
    struct pack p = pack_open();
    char name[32], target[4096], got[4097];
    for (size_t i = 0; i < 5; i++) {
        memset(target, 'a', sizeof(target));
        target[0] = '/';
        target[lengths[i]] = '\0';
        (void) snprintf(name, sizeof(name), "l%zu", lengths[i]);
        pack_symlink(&p, name, target);
    }
    int fd = image_of(pack_close(&p), 0, NULL);
    ext2_filsys fs = image_open(fd);
    for (size_t i = 0; i < 5; i++) {
        ext2_ino_t number = 0;
        struct ext2_inode inode;
        (void) snprintf(name, sizeof(name), "l%zu", lengths[i]);
        cr_assert_eq(ext2fs_lookup(fs, EXT2_ROOT_INO, name, (int) strlen(name), NULL, &number), 0);
        cr_assert_eq(ext2fs_read_inode(fs, number, &inode), 0);
        cr_expect_eq(inode.i_size, lengths[i]);
        if (lengths[i] < 60) {
            cr_expect(memcmp(inode.i_block, lengths[i] == 1 ? "/" : "/aaa", lengths[i] == 1 ? 1 : 4) == 0);
        } else {
            blk64_t block = 0;
            cr_assert_eq(ext2fs_bmap2(fs, number, &inode, NULL, 0, 0, NULL, &block), 0);
            cr_assert_eq(pread(fd, got, 4096, (off_t) block * 4096), 4096);
            got[4096] = '\0';
            cr_expect_eq(strlen(got), lengths[i]);
        }
    }
    (void) ext2fs_close_free(&fs);
}

Test(import_ext4, extended_attributes_and_access_lists) {
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 0x20};
    char long_value[2000];
    memset(long_value, 'v', sizeof(long_value));
    struct pack p = pack_open();
    struct archive_entry *entry = pack_entry("ping", S_IFREG | 0755);
    archive_entry_xattr_add_entry(entry, "security.capability", cap, sizeof(cap));
    archive_entry_xattr_add_entry(entry, "user.long", long_value, sizeof(long_value));
    archive_entry_xattr_add_entry(entry, "com.other.system", "x", 1);
    pack_put(&p, entry, "ping", 4);
    entry = pack_entry("acl", S_IFREG | 0640);
    const int type = ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
    archive_entry_acl_add_entry(entry, type, 7, ARCHIVE_ENTRY_ACL_USER, 1234, NULL);
    archive_entry_acl_add_entry(entry, type, 5, ARCHIVE_ENTRY_ACL_MASK, -1, NULL);
    pack_put(&p, entry, NULL, 0);
    int fd = image_of(pack_close(&p), 0, NULL);
    ext2_filsys fs = image_open(fd);
    size_t size = 0;
    unsigned char *value = image_xattr(fs, "/ping", "security.capability", &size);
    cr_assert(value && size == sizeof(cap) && memcmp(value, cap, size) == 0);
    (void) ext2fs_free_mem(&value);
    value = image_xattr(fs, "/ping", "user.long", &size);
    cr_assert(value && size == sizeof(long_value) && memcmp(value, long_value, size) == 0);
    (void) ext2fs_free_mem(&value);
    cr_expect_null(image_xattr(fs, "/ping", "com.other.system", &size), "Linux has no place for it");
    unsigned char *acl = image_xattr(fs, "/acl", "system.posix_acl_access", &size);
    cr_assert(acl && size == 4 + 5 * 8, "owner, user 1234, group, mask, other");
    cr_expect_eq(acl[12], 2, "the second is a user");
    cr_expect_eq(acl[16] | acl[17] << 8, 1234);
    (void) ext2fs_free_mem(&acl);
    (void) ext2fs_close_free(&fs);
}

Test(import_ext4, too_large_attributes_are_refused) {
    char value[6000] = {1};
    struct pack p = pack_open();
    struct archive_entry *entry = pack_entry("f", S_IFREG | 0755);
    archive_entry_xattr_add_entry(entry, "user.large", value, sizeof(value));
    pack_put(&p, entry, NULL, 0);
    struct err e = image_refused(pack_close(&p), 0, 0);
    cr_assert(strstr(e.text, "extended attributes"), "%s", e.text);
}

Test(import_ext4, large_folders_are_indexed) {
    struct pack p = pack_open();
    char path[300];
    for (int i = 0; i < 5000; i++) {
        (void) snprintf(path, sizeof(path), "many/name-%d", i);
        pack_file(&p, path, "x");
    }
    for (int i = 0; i < 9000; i++) { /* 15 a block: more than 507 blocks, so two levels */
        (void) snprintf(path, sizeof(path), "deep/%0250d", i);
        pack_put(&p, pack_entry(path, S_IFIFO | 0600), NULL, 0);
    }
    int fd = image_of(pack_close(&p), 0, NULL);
    ext2_filsys fs = image_open(fd);
    cr_expect(image_inode(fs, "/many").i_flags & EXT2_INDEX_FL);
    cr_expect(image_inode(fs, "/deep").i_flags & EXT2_INDEX_FL);
    cr_expect_gt(image_inode(fs, "/deep").i_size, 508 * 4096);
    cr_expect_not(image_inode(fs, "/").i_flags & EXT2_INDEX_FL);
    cr_expect_neq(image_find(fs, "/many/name-4999"), 0);
    cr_expect_eq(image_find(fs, "/many/name-5000"), 0);
    (void) ext2fs_close_free(&fs);
}

/* Contents of `size` bytes at `offset` that are never zero. */
static void fill(char *data, size_t size, uint64_t offset) {
    for (size_t i = 0; i < size; i++)
        data[i] = (char) (1 + (offset + i) % 251);
}

Test(import_ext4, sparse_files_keep_their_holes) {
    struct pack p = pack_open();
    const size_t size = 160 * MIB, step = 64 << 10;
    struct archive_entry *entry = pack_entry("sparse", S_IFREG | 0644);
    archive_entry_set_size(entry, (la_int64_t) size);
    for (size_t at = 0; at < size; at += step) /* 2,560 pieces: an extent tree of two levels */
        archive_entry_sparse_add_entry(entry, (la_int64_t) (at + 8192), 4096);
    cr_assert_geq(archive_write_header(p.archive, entry), ARCHIVE_WARN);
    char *data = calloc(1, size);
    for (size_t at = 0; at < size; at += step)
        fill(data + at + 8192, 4096, at);
    cr_assert_eq(archive_write_data(p.archive, data, size), (la_ssize_t) size);
    archive_entry_free(entry);
    memset(data, 0, MIB);
    data[300000] = 1; /* zeros that were written out become holes as well */
    pack_put(&p, pack_entry("zeros", S_IFREG | 0644), data, MIB);
    fill(data, MIB, 0);
    memset(data + 5000, 0, 20000);
    pack_put(&p, pack_entry("few-zeros", S_IFREG | 0644), data, MIB - 77);
    int fd = image_of(pack_close(&p), 0, NULL);
    ext2_filsys fs = image_open(fd);
    struct ext2_inode_large i = image_inode(fs, "/sparse");
    cr_expect_eq(EXT2_I_SIZE(&i), size);
    cr_expect_lt(i.i_blocks, 2700 * 8, "%u", i.i_blocks);
    cr_expect_eq(image_inode(fs, "/zeros").i_blocks, 8);
    cr_expect_eq(image_inode(fs, "/few-zeros").i_blocks, 2048, "short runs of zeros are not worth an extent");
    size_t got = 0;
    char *back = image_read(fs, "/few-zeros", &got);
    cr_assert_eq(got, MIB - 77);
    cr_expect(memcmp(back, data, got) == 0);
    free(back);
    back = image_read(fs, "/sparse", &got);
    memset(data, 0, size);
    for (size_t at = 0; at < size; at += step)
        fill(data + at + 8192, 4096, at);
    cr_expect(memcmp(back, data, got) == 0);
    free(back);
    free(data);
    (void) ext2fs_close_free(&fs);
}

Test(import_ext4, content_goes_around_the_copies_of_the_superblock) {
    struct pack p = pack_open();
    const size_t size = 150 * MIB + 5;
    char *data = malloc(size);
    fill(data, size, 0);
    pack_file(&p, "before", "b");
    pack_put(&p, pack_entry("large", S_IFREG | 0644), data, size);
    pack_file(&p, "after", "a");
    int fd = image_of(pack_close(&p), 0, NULL);
    ext2_filsys fs = image_open(fd);
    size_t got = 0;
    char *back = image_read(fs, "/large", &got);
    cr_assert_eq(got, size);
    cr_expect(memcmp(back, data, size) == 0);
    free(back);
    free(data);
    (void) ext2fs_close_free(&fs);
}

Test(import_ext4, every_size_is_clean) {
    static const uint64_t sizes[] = {32 * MIB,         64 * MIB,         128 * MIB - 4096, 128 * MIB, 128 * MIB + 4096,
                                     130 * MIB,        140 * MIB + 4096, 256 * MIB - 8192, 257 * MIB, 1024 * MIB + 100,
                                     3000 * MIB + 512, 8192 * MIB,       9000 * MIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pack p = pack_open();
        put_types(&p);
        struct import_report report = {0};
        int fd = image_of(pack_close(&p), sizes[i], &report);
        struct stat st;
        cr_assert_eq(fstat(fd, &st), 0);
        cr_expect_eq((uint64_t) st.st_size, sizes[i] / 4096 * 4096);
        cr_expect_eq(report.size, (uint64_t) st.st_size);
        cr_expect_lt(st.st_blocks * 512, (off_t) (8 * MIB), "what is empty is a hole");
        (void) close(fd);
    }
}

Test(import_ext4, the_size_follows_the_content) {
    char path[32];
    struct pack p = pack_open();
    const size_t each = 100 * MIB;
    char *data = malloc(each);
    fill(data, each, 1);
    for (int i = 0; i < 8; i++) {
        (void) snprintf(path, sizeof(path), "f%d", i);
        pack_put(&p, pack_entry(path, S_IFREG | 0644), data, each);
    }
    free(data);
    struct import_report report = {0};
    int fd = image_of(pack_close(&p), 0, &report);
    cr_expect_geq(report.size, 1200 * MIB);
    cr_expect_lt(report.size, 1400 * MIB);
    cr_expect_geq(report.used, 800 * MIB);
    (void) close(fd);
}

Test(import_ext4, many_inodes_get_a_table_that_holds_them) {
    char path[32];
    struct pack p = pack_open();
    for (int i = 0; i < 70000; i++) { /* more than 1 GiB has by default */
        (void) snprintf(path, sizeof(path), "d%d/f%d", i % 300, i);
        pack_put(&p, pack_entry(path, S_IFIFO | 0600), NULL, 0);
    }
    int fd = image_of(pack_close(&p), 0, NULL);
    ext2_filsys fs = image_open(fd);
    cr_expect_gt(fs->super->s_free_inodes_count, 7000);
    cr_expect_neq(image_find(fs, "/d99/f69999"), 0);
    (void) ext2fs_close_free(&fs);
}

Test(import_ext4, no_group_is_left_for_the_guest_to_clear) {
    struct pack p = pack_open();
    pack_file(&p, "f", "x");
    int fd = image_of(pack_close(&p), 2048 * MIB, NULL);
    ext2_filsys fs = image_open(fd);
    for (dgrp_t i = 0; i < fs->group_desc_count; i++)
        cr_expect(ext2fs_bg_flags_test(fs, i, EXT2_BG_INODE_ZEROED));
    cr_expect(ext2fs_has_feature_journal(fs->super));
    cr_expect(ext2fs_has_feature_metadata_csum(fs->super));
    cr_expect_not(ext2fs_has_feature_orphan_file(fs->super), "a 5.10 kernel would refuse it");
    (void) ext2fs_close_free(&fs);
}

static int same_bytes(int a, int b) {
    char *left = malloc(1 << 20), *right = malloc(1 << 20);
    off_t at = 0;
    ssize_t n = 0;
    int same = 1;
    while (same && (n = pread(a, left, 1 << 20, at)) > 0) {
        same = pread(b, right, (size_t) n, at) == n && memcmp(left, right, (size_t) n) == 0;
        at += n;
    }
    free(left);
    free(right);
    return same && at > 0;
}

Test(import_ext4, the_same_input_gives_the_same_bytes) {
    int images[2];
    for (int i = 0; i < 2; i++) {
        struct pack p = pack_open();
        put_types(&p);
        struct archive_entry *entry = pack_entry("x", S_IFREG | 0755);
        archive_entry_xattr_add_entry(entry, i ? "user.a" : "user.b", "1", 1); /* order does not count */
        archive_entry_xattr_add_entry(entry, i ? "user.b" : "user.a", "1", 1);
        pack_put(&p, entry, "x", 1);
        images[i] = image_of(pack_close(&p), 64 * MIB, NULL);
        if (i == 0)
            (void) sleep(1);
    }
    cr_assert(same_bytes(images[0], images[1]));
}

Test(import_ext4, what_was_replaced_is_gone_from_the_disk) {
    struct pack p = pack_open();
    pack_file(&p, "key", "the-old-secret");
    pack_file(&p, "other", "something else");
    pack_file(&p, "key", "the-new-one");
    pack_file(&p, "linked", "kept-by-link");
    pack_hardlink(&p, "second", "linked");
    pack_file(&p, "linked", "fresh");
    pack_folder(&p, "was-folder");
    pack_symlink(&p, "was-folder", "other");
    int fd = image_of(pack_close(&p), 0, NULL);
    cr_expect_not(image_holds(fd, "the-old-secret"));
    cr_expect(image_holds(fd, "the-new-one"));
    ext2_filsys fs = image_open(fd);
    cr_expect(image_says(fs, "/second", "kept-by-link"));
    cr_expect(image_says(fs, "/linked", "fresh"));
    cr_expect_eq(image_inode(fs, "/second").i_links_count, 1);
    (void) ext2fs_close_free(&fs);
}

Test(import_ext4, a_disk_that_is_too_small_is_told) {
    struct pack p = pack_open();
    char *data = malloc(50 * MIB);
    fill(data, 50 * MIB, 0);
    pack_put(&p, pack_entry("f", S_IFREG | 0644), data, 50 * MIB);
    free(data);
    struct err e = image_refused(pack_close(&p), 40 * MIB, 0);
    cr_expect_eq(e.code, ENOSPC);
    cr_expect(strstr(e.text, "does not fit on a disk of 40 MiB"), "%s", e.text);
    p = pack_open();
    pack_file(&p, "f", "x");
    e = image_refused(pack_close(&p), MIB, 0);
    cr_expect(strstr(e.text, "too small"), "%s", e.text);
}

Test(import_ext4, a_full_host_disk_is_told) {
    struct pack p = pack_open();
    char *data = malloc(50 * MIB);
    fill(data, 50 * MIB, 0);
    pack_put(&p, pack_entry("f", S_IFREG | 0644), data, 50 * MIB);
    free(data);
    int tar = pack_close(&p);
    (void) signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {20 * MIB, 20 * MIB};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct err e = image_refused(tar, 0, 0);
    cr_expect(strstr(e.text, "disk is full"), "%s", e.text);
}
