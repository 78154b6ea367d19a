#include "import_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct pack pack_open(void) {
    (void) setlocale(LC_CTYPE, "C.UTF-8");
    struct pack p = {.archive = archive_write_new(), .fd = image_fd()};
    cr_assert_not_null(p.archive);
    cr_assert_eq(archive_write_set_format_pax(p.archive), ARCHIVE_OK);
    cr_assert_eq(archive_write_set_bytes_per_block(p.archive, 10240), ARCHIVE_OK);
    cr_assert_eq(archive_write_open_fd(p.archive, p.fd), ARCHIVE_OK);
    return p;
}

struct archive_entry *pack_entry(const char *path, unsigned mode) {
    struct archive_entry *entry = archive_entry_new();
    cr_assert_not_null(entry);
    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, mode);
    archive_entry_set_mtime(entry, 1000000, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    return entry;
}

void pack_put(struct pack *p, struct archive_entry *entry, const void *data, size_t size) {
    if (!archive_entry_size_is_set(entry))
        archive_entry_set_size(entry, (la_int64_t) size);
    cr_assert_geq(archive_write_header(p->archive, entry), ARCHIVE_WARN, "%s", archive_error_string(p->archive));
    if (size)
        cr_assert_eq(archive_write_data(p->archive, data, size), (la_ssize_t) size);
    archive_entry_free(entry);
}

void pack_file(struct pack *p, const char *path, const char *text) {
    pack_put(p, pack_entry(path, S_IFREG | 0644), text, strlen(text));
}

void pack_folder(struct pack *p, const char *path) {
    pack_put(p, pack_entry(path, S_IFDIR | 0755), NULL, 0);
}

void pack_symlink(struct pack *p, const char *path, const char *target) {
    struct archive_entry *entry = pack_entry(path, S_IFLNK | 0777);
    archive_entry_set_symlink(entry, target);
    pack_put(p, entry, NULL, 0);
}

void pack_hardlink(struct pack *p, const char *path, const char *target) {
    struct archive_entry *entry = pack_entry(path, S_IFREG | 0644);
    archive_entry_set_hardlink(entry, target);
    pack_put(p, entry, NULL, 0);
}

int pack_close(struct pack *p) {
    cr_assert_eq(archive_write_close(p->archive), ARCHIVE_OK);
    archive_write_free(p->archive);
    cr_assert_eq(lseek(p->fd, 0, SEEK_SET), 0);
    return p->fd;
}

void raw_header(char *out, const char *path, char type, const char *link, uint64_t size) {
    memset(out, 0, 512);
    memcpy(out, path, strnlen(path, 100));
    memcpy(out + 100,
           "0000644\0"
           "0000000\0"
           "0000000\0",
           24);
    (void) snprintf(out + 124, 12, "%011llo", (unsigned long long) size);
    memcpy(out + 136, "00000000000\0        ", 20);
    out[156] = type;
    memcpy(out + 157, link, strnlen(link, 100));
    memcpy(out + 257,
           "ustar\0"
           "00",
           8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += (unsigned char) out[i];
    (void) snprintf(out + 148, 8, "%06o", sum);
    out[155] = ' ';
}

int bytes_fd(const void *data, size_t size) {
    int fd = image_fd();
    cr_assert_eq(write(fd, data, size), (ssize_t) size);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

int image_fd(void) {
    int fd = memfd_create("import", MFD_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

int image_of(int tar, uint64_t size, struct import_report *report) {
    struct import_report own = {0};
    struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_ROOTFS, .size = size};
    struct err e = {0};
    int out = image_fd();
    cr_assert_eq(disk_rootfs(&plan, tar, out, report ? report : &own, &e), 0, "%s", e.text);
    (void) close(tar);
    image_check(out);
    return out;
}

struct err image_refused(int tar, uint64_t size, uint64_t limit) {
    struct import_report report = {0};
    struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_ROOTFS, .size = size, .limit = limit};
    struct err e = {0};
    int out = image_fd();
    int r = disk_rootfs(&plan, tar, out, &report, &e);
    cr_assert_lt(r, 0, "it was accepted");
    cr_assert_eq(r, -e.code, "the code %d is not the error's %d", r, e.code);
    cr_assert(strlen(e.text) > 20, "no sentence: %s", e.text);
    (void) close(tar);
    (void) close(out);
    return e;
}

int run_on(int fd, char *out, size_t size, const char *const argv[]) {
    char path[64];
    const char *args[16] = {0};
    size_t n = 0;
    int pipes[2];
    for (; argv[n] && n < 14; n++)
        args[n] = argv[n];
    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    args[n] = path;
    cr_assert_eq(pipe(pipes), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void) fcntl(fd, F_SETFD, 0);
        if (dup2(pipes[1], 1) >= 0 && close(pipes[0]) == 0)
            execv(args[0], (char *const *) args);
        _exit(127);
    }
    (void) close(pipes[1]);
    size_t used = 0;
    for (ssize_t got = 1; got > 0 && used<size - 1; used += got> 0 ? (size_t) got : 0)
        got = read(pipes[0], out + used, size - 1 - used);
    out[used] = '\0';
    (void) close(pipes[0]);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void image_check(int fd) {
    char out[8192];
    const char *const argv[] = {"/sbin/e2fsck", "-fn", NULL};
    int status = run_on(fd, out, sizeof(out), argv);
    cr_assert_eq(status, 0, "e2fsck ended with %d: %s", status, out);
    int lines = 0;
    for (const char *at = out; *at; at++)
        lines += *at == '\n';
    cr_assert_eq(lines, 6, "e2fsck has something to say: %s", out); /* five passes and the summary */
}

int image_holds(int fd, const char *text) {
    char *chunk = malloc(1 << 20);
    cr_assert_not_null(chunk);
    size_t size = strlen(text);
    int found = 0;
    off_t at = lseek(fd, 0, SEEK_DATA);
    while (at >= 0 && !found) {
        ssize_t n = pread(fd, chunk, 1 << 20, at);
        if (n <= (ssize_t) size)
            break;
        found = memmem(chunk, (size_t) n, text, size) != NULL;
        at = lseek(fd, at + n - (off_t) size, SEEK_DATA);
    }
    free(chunk);
    return found;
}

ext2_filsys image_open(int fd) {
    ext2_filsys fs = NULL;
    char name[64];
    (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    errcode_t code = ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs);
    cr_assert_eq(code, 0, "the image does not open: %ld", (long) code);
    return fs;
}

ext2_ino_t image_find(ext2_filsys fs, const char *path) {
    ext2_ino_t number = 0;
    return ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &number) ? 0 : number;
}

struct ext2_inode_large image_inode(ext2_filsys fs, const char *path) {
    struct ext2_inode_large inode;
    memset(&inode, 0, sizeof(inode));
    ext2_ino_t number = image_find(fs, path);
    cr_assert_neq(number, 0, "%s is not in the image", path);
    cr_assert_eq(ext2fs_read_inode_full(fs, number, (struct ext2_inode *) &inode, sizeof(inode)), 0);
    return inode;
}

char *image_read(ext2_filsys fs, const char *path, size_t *size) {
    struct ext2_inode_large inode = image_inode(fs, path);
    ext2_file_t file = NULL;
    *size = EXT2_I_SIZE(&inode);
    char *data = calloc(1, *size + 1);
    cr_assert_not_null(data);
    cr_assert_eq(ext2fs_file_open(fs, image_find(fs, path), 0, &file), 0);
    size_t used = 0;
    while (used < *size) {
        unsigned got = 0;
        cr_assert_eq(ext2fs_file_read(file, data + used, (unsigned) (*size - used), &got), 0);
        cr_assert_gt(got, 0);
        used += got;
    }
    (void) ext2fs_file_close(file);
    return data;
}

int image_says(ext2_filsys fs, const char *path, const char *text) {
    size_t size = 0;
    char *data = image_read(fs, path, &size);
    int same = size == strlen(text) && memcmp(data, text, size) == 0;
    free(data);
    return same;
}

void *image_xattr(ext2_filsys fs, const char *path, const char *name, size_t *size) {
    struct ext2_xattr_handle *handle = NULL;
    void *value = NULL;
    cr_assert_eq(ext2fs_xattrs_open(fs, image_find(fs, path), &handle), 0);
    cr_assert_eq(ext2fs_xattrs_read(handle), 0);
    errcode_t code = ext2fs_xattr_get(handle, name, &value, size);
    (void) ext2fs_xattrs_close(&handle);
    return code ? NULL : value;
}
