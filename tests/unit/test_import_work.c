#include "import_help.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORK_SIZE ((uint64_t) 8 << 30)

static struct pack base_pack(void) {
    struct pack p = pack_open();
    struct archive_entry *entry = pack_entry("root", S_IFDIR | 0777);
    archive_entry_set_uid(entry, 77);
    pack_put(&p, entry, NULL, 0);
    pack_file(&p, "root/.bashrc", "alias ll");
    pack_file(&p, "root/.ssh/authorized_keys", "old key");
    pack_file(&p, "etc/secret", "not under root");
    entry = pack_entry("root/d/tool", S_IFREG | 0755);
    archive_entry_set_uid(entry, 1000);
    archive_entry_set_mtime(entry, 4000000000, 5);
    archive_entry_xattr_add_entry(entry, "user.note", "kept", 4);
    archive_entry_acl_add_entry(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_GROUP, 50, NULL);
    archive_entry_acl_add_entry(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_MASK, -1, NULL);
    pack_put(&p, entry, "#!", 2);
    pack_hardlink(&p, "root/d/again", "root/d/tool");
    pack_symlink(&p, "root/short", "/etc/passwd");
    char target[300];
    memset(target, 't', 299);
    target[299] = '\0';
    pack_symlink(&p, "root/long", target);
    pack_put(&p, pack_entry("root/pipe", S_IFIFO | 0600), NULL, 0);
    return p;
}

static int work_of(int base, int tar, struct import_report *report) {
    const struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_WORK, .size = WORK_SIZE};
    struct err e = {0};
    int out = image_fd();
    cr_assert_eq(disk_work(&plan, base, tar, out, report, &e), 0, "%s", e.text);
    image_check(out);
    return out;
}

static struct err work_refused(int base, int tar) {
    const struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_WORK, .size = WORK_SIZE};
    struct import_report report = {0};
    struct err e = {0};
    int out = image_fd();
    cr_assert_lt(disk_work(&plan, base, tar, out, &report, &e), 0, "it was accepted");
    (void) close(out);
    return e;
}

Test(import_work, root_of_the_base_becomes_the_disk) {
    struct pack p = base_pack();
    struct import_report report = {0};
    int fd = work_of(image_of(pack_close(&p), 0, NULL), -1, &report);
    cr_expect_eq(report.size, WORK_SIZE);
    ext2_filsys fs = image_open(fd);
    cr_expect_eq(image_inode(fs, "/").i_mode, S_IFDIR | 0700);
    cr_expect_eq(image_inode(fs, "/").i_uid, 0);
    cr_expect_eq(image_inode(fs, "/.ssh").i_mode, S_IFDIR | 0700);
    cr_expect_eq(image_inode(fs, "/.ssh/authorized_keys").i_mode, S_IFREG | 0600);
    cr_expect(image_says(fs, "/.bashrc", "alias ll"));
    cr_expect_eq(image_find(fs, "/etc"), 0);
    struct ext2_inode_large i = image_inode(fs, "/d/tool");
    cr_expect_eq(inode_uid(i), 1000);
    cr_expect_eq(i.i_links_count, 2);
    cr_expect_eq((int32_t) i.i_mtime + ((int64_t) (i.i_mtime_extra & 3) << 32), 4000000000);
    cr_expect_eq(i.i_mtime_extra >> 2, 5);
    cr_expect_eq(image_find(fs, "/d/tool"), image_find(fs, "/d/again"));
    size_t size = 0;
    char *value = image_xattr(fs, "/d/tool", "user.note", &size);
    cr_assert(value && size == 4 && memcmp(value, "kept", 4) == 0);
    (void) ext2fs_free_mem(&value);
    value = image_xattr(fs, "/d/tool", "system.posix_acl_access", &size);
    cr_assert(value && size == 4 + 5 * 8);
    (void) ext2fs_free_mem(&value);
    cr_expect_eq(image_inode(fs, "/pipe").i_mode, S_IFIFO | 0600);
    ext2_ino_t number = 0;
    struct ext2_inode link;
    cr_assert_eq(ext2fs_lookup(fs, EXT2_ROOT_INO, "long", 4, NULL, &number), 0);
    cr_assert_eq(ext2fs_read_inode(fs, number, &link), 0);
    cr_expect_eq(link.i_size, 299);
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    cr_expect_lt(st.st_blocks * 512, 4 << 20);
    (void) ext2fs_close_free(&fs);
}

Test(import_work, the_tar_lies_over_the_base) {
    struct pack p = base_pack();
    int base = image_of(pack_close(&p), 0, NULL);
    p = pack_open();
    struct archive_entry *entry = pack_entry(".ssh/authorized_keys", S_IFREG | 0666);
    archive_entry_set_uid(entry, 1234);
    pack_put(&p, entry, "new key", 7);
    pack_file(&p, "d/more", "more");
    struct import_report report = {0};
    int fd = work_of(base, pack_close(&p), &report);
    ext2_filsys fs = image_open(fd);
    cr_expect(image_says(fs, "/.ssh/authorized_keys", "new key"));
    cr_expect_eq(image_inode(fs, "/.ssh/authorized_keys").i_mode, S_IFREG | 0600);
    cr_expect_eq(image_inode(fs, "/.ssh/authorized_keys").i_uid, 0);
    cr_expect(image_says(fs, "/d/more", "more"));
    cr_expect(image_says(fs, "/d/tool", "#!"));
    cr_expect_not(image_holds(fd, "old key"));
    (void) ext2fs_close_free(&fs);
}

Test(import_work, a_base_without_root_gives_an_empty_disk) {
    struct pack p = pack_open();
    pack_symlink(&p, "root", "/home"); /* is not followed */
    pack_file(&p, "home/x", "x");
    struct import_report report = {0};
    int fd = work_of(image_of(pack_close(&p), 0, NULL), -1, &report);
    ext2_filsys fs = image_open(fd);
    cr_expect_eq(image_find(fs, "/x"), 0);
    cr_expect_eq(image_inode(fs, "/").i_mode, S_IFDIR | 0700);
    (void) ext2fs_close_free(&fs);
}

Test(import_work, a_base_of_mke2fs_is_read) {
    static const char *const kinds[] = {"ext2", "ext3", "ext4"};
    char folder[] = "/tmp/banger-import-XXXXXX", path[64], file[96], out[4096];
    if (access("/sbin/mke2fs", X_OK) || !mkdtemp(folder))
        cr_skip_test("there is no mke2fs here");
    (void) snprintf(path, sizeof(path), "%s/root", folder);
    cr_assert_eq(mkdir(path, 0755), 0);
    (void) snprintf(file, sizeof(file), "%s/f", path);
    FILE *f = fopen(file, "w");
    for (int i = 0; i < 200000; i++) /* indirect blocks, too */
        cr_assert_gt(fprintf(f, "%07d ", i), 0);
    cr_assert_eq(fclose(f), 0);
    for (int i = 0; i < 3; i++) {
        int base = image_fd();
        cr_assert_eq(ftruncate(base, 64 << 20), 0);
        const char *const argv[] = {
            "/sbin/mke2fs", "-q",   "-F", "-t", kinds[i], "-b", "1024", "-O", i == 2 ? "inline_data" : "filetype",
            "-d",           folder, NULL};
        cr_assert_eq(run_on(base, out, sizeof(out), argv), 0, "%s", out);
        struct import_report report = {0};
        int fd = work_of(base, -1, &report);
        ext2_filsys fs = image_open(fd);
        size_t size = 0;
        char *text = image_read(fs, "/f", &size);
        cr_expect_eq(size, 1600000);
        cr_expect(memcmp(text + 8 * 199999, "0199999 ", 8) == 0);
        free(text);
        (void) ext2fs_close_free(&fs);
        (void) close(base);
        (void) close(fd);
    }
    (void) unlink(file);
    (void) rmdir(path);
    (void) rmdir(folder);
}

Test(import_work, what_is_no_file_system_is_told) {
    char junk[8192];
    memset(junk, 'j', sizeof(junk));
    struct err e = work_refused(bytes_fd(junk, sizeof(junk)), -1);
    cr_expect(strstr(e.text, "no ext4 file system"), "%s", e.text);
    struct pack p = base_pack();
    int base = image_of(pack_close(&p), 0, NULL);
    cr_assert_eq(ftruncate(base, 600 << 10), 0); /* its inodes are gone */
    e = work_refused(base, -1);
    cr_expect(strstr(e.text, "damaged"), "%s", e.text);
}

/* Checksums off, so that what was changed is looked at: the library trusts the rest. */
static void damage(int base, uint32_t from, uint32_t count, uint32_t seed) {
    uint32_t state = seed * 2654435761u + 1;
    for (uint32_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        off_t at = (off_t) from + (off_t) (state >> 8) % (256 << 10);
        unsigned char byte = (unsigned char) (state >> 4);
        cr_assert_eq(pwrite(base, &byte, 1, at), 1);
    }
}

Test(import_work, damaged_bases_end_in_words_or_in_a_clean_disk) {
    for (uint32_t seed = 1; seed <= 24; seed++) {
        struct pack p = base_pack();
        int base = image_of(pack_close(&p), 64 << 20, NULL);
        ext2_filsys fs = NULL;
        char name[64];
        (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", base);
        cr_assert_eq(ext2fs_open(name, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs), 0);
        ext2fs_clear_feature_metadata_csum(fs->super);
        ext2fs_mark_super_dirty(fs);
        uint32_t table = (uint32_t) ext2fs_inode_table_loc(fs, 0) * 4096;
        cr_assert_eq(ext2fs_close(fs), 0);
        damage(base, seed % 2 ? table - (256 << 10) / 2 : 129 * 4096, 200, seed);
        const struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_WORK, .size = 64 << 20};
        struct import_report report = {0};
        struct err e = {0};
        int out = image_fd();
        if (disk_work(&plan, base, -1, out, &report, &e) == 0)
            image_check(out);
        else
            cr_expect_gt(strlen(e.text), 10);
        (void) close(base);
        (void) close(out);
    }
}

/* The root disk without its /root, the work disk in its place; what is deleted stays behind. */
Test(import_work, both_disks_become_an_image) {
    const struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_COPY, .size = 64 << 20};
    struct pack p = base_pack(), q = pack_open();
    struct import_report report = {0};
    struct err e = {0};
    pack_folder(&q, "root");
    pack_file(&q, "root/only", "of the work disk");
    int work = work_of(image_of(pack_close(&q), 0, NULL), -1, &report);
    int root = image_of(pack_close(&p), 0, NULL), out = image_fd(), alone = image_fd();
    cr_assert_eq(disk_copy(&plan, root, work, out, &report, &e), 0, "%s", e.text);
    image_check(out);
    ext2_filsys fs = image_open(out);
    cr_expect(image_says(fs, "root/only", "of the work disk"));
    cr_expect_eq(image_find(fs, "root/d/tool"), 0);
    cr_expect_neq(image_find(fs, "lost+found"), 0);
    cr_expect_eq(image_find(fs, "root/lost+found"), 0);
    cr_expect_eq(image_inode(fs, "root").i_mode, S_IFDIR | 0700);
    ext2fs_free(fs);
    cr_assert_eq(disk_copy(&plan, root, -1, alone, &report, &e), 0, "%s", e.text);
    image_check(alone);
    fs = image_open(alone);
    cr_expect_eq(image_find(fs, "root/d/tool"), image_find(fs, "root/d/again"));
    cr_expect_neq(image_find(fs, "root/d/tool"), 0);
    cr_expect_eq(report.size, 64 << 20);
    ext2fs_free(fs);
    (void) close(work);
    (void) close(root);
    (void) close(out);
    (void) close(alone);
}

/* A guest that was killed leaves its journal to be replayed. */
Test(import_work, a_disk_that_was_not_unmounted_becomes_no_image) {
    const struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_COPY};
    struct pack p = base_pack();
    struct import_report report = {0};
    struct err e = {0};
    int root = image_of(pack_close(&p), 0, NULL), out = image_fd();
    uint32_t incompat = 0;
    cr_assert_eq(pread(root, &incompat, sizeof(incompat), 1024 + 0x60), sizeof(incompat));
    incompat |= EXT3_FEATURE_INCOMPAT_RECOVER;
    cr_assert_eq(pwrite(root, &incompat, sizeof(incompat), 1024 + 0x60), sizeof(incompat));
    cr_assert_lt(disk_copy(&plan, root, -1, out, &report, &e), 0);
    (void) close(root);
    (void) close(out);
}
