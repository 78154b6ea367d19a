#include "import_help.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A stream of raw headers, each without data, with or without the end mark. */
struct raw {
    const char *path, *link;
    char type;
    uint64_t size;
};

static int raw_fd(const struct raw *list, size_t count, int mark) {
    char *data = calloc(count + 2, 512);
    for (size_t i = 0; i < count; i++)
        raw_header(data + i * 512, list[i].path, list[i].type, list[i].link, list[i].size);
    int fd = bytes_fd(data, (count + (mark ? 2 : 0)) * 512);
    free(data);
    return fd;
}

static void refuse(const struct raw *list, size_t count, const char *first, const char *second) {
    struct err e = image_refused(raw_fd(list, count, 1), 0, 0);
    cr_expect(strstr(e.text, first), "%s", e.text);
    cr_expect(strstr(e.text, second), "%s", e.text);
}

Test(import_tar, hostile_entries_are_refused_by_name) {
    const struct raw dots = {"a/../../etc/passwd", "", '0', 0};
    refuse(&dots, 1, "\"a/../../etc/passwd\"", "\"..\"");
    const struct raw last = {"a/..", "", '5', 0};
    refuse(&last, 1, "\"a/..\"", "\"..\"");
    const struct raw out = {"x", "../../etc/shadow", '1', 0};
    refuse(&out, 1, "\"x\"", "\"..\"");
    const struct raw missing = {"x", "/etc/shadow", '1', 0};
    refuse(&missing, 1, "\"x\"", "links to is not in the archive");
    const struct raw nothing = {"x", "", '2', 0};
    refuse(&nothing, 1, "\"x\"", "symbolic link to nothing");
    const struct raw file[] = {{"f", "", '0', 0}, {"f/x", "", '0', 0}};
    refuse(file, 2, "\"f/x\"", "which is a file, as a folder");
    const struct raw link[] = {{"l", "/etc", '2', 0}, {"l/passwd", "", '0', 0}};
    refuse(link, 2, "\"l/passwd\"", "which is a symbolic link, as a folder");
    const struct raw over[] = {{"d/f", "", '0', 0}, {"d", "", '0', 0}};
    refuse(over, 2, "\"d\"", "already a folder with files");
    const struct raw folder[] = {{"d", "", '5', 0}, {"e", "d", '1', 0}};
    refuse(folder, 2, "\"e\"", "hard link to a folder");
    const struct raw top = {"./", "", '2', 0};
    refuse(&top, 1, "\"./\"", "");
    const struct raw lost = {"lost+found", "", '0', 0};
    refuse(&lost, 1, "lost+found", "not a folder");
}

Test(import_tar, names_and_depths_are_bounded) {
    char path[6000];
    memset(path, 'n', sizeof(path));
    path[256] = '\0';
    struct pack p = pack_open();
    pack_file(&p, path, "");
    struct err e = image_refused(pack_close(&p), 0, 0);
    cr_expect(strstr(e.text, "longer than 255"), "%s", e.text);

    for (size_t i = 0; i < 600; i += 2)
        memcpy(path + i, "d/", 2);
    memcpy(path + 600, "f", 2);
    p = pack_open();
    pack_file(&p, path, "");
    e = image_refused(pack_close(&p), 0, 0);
    cr_expect(strstr(e.text, "nested deeper than 256"), "%s", e.text);

    memset(path, 'n', sizeof(path));
    for (size_t i = 0; i < 5000; i += 100)
        path[i + 99] = '/';
    path[5000] = '\0';
    p = pack_open();
    pack_file(&p, path, "");
    e = image_refused(pack_close(&p), 0, 0);
    cr_expect(strstr(e.text, "path is longer than"), "%s", e.text);
}

Test(import_tar, the_longest_names_are_kept) {
    char path[512];
    memset(path, 'n', 255);
    path[255] = '/';
    memset(path + 256, 'm', 255);
    path[511] = '\0';
    struct pack p = pack_open();
    pack_file(&p, path, "deep");
    pack_file(&p, "./d//./\xc3\xa4\xe6\x97\xa5", "umlaut");
    pack_file(&p, "/absolute", "is the guest's top");
    int fd = image_of(pack_close(&p), 0, NULL);
    ext2_filsys fs = image_open(fd);
    cr_expect(image_says(fs, path, "deep"));
    cr_expect(image_says(fs, "/d/\xc3\xa4\xe6\x97\xa5", "umlaut"));
    cr_expect_neq(image_find(fs, "/absolute"), 0);
    (void) ext2fs_close_free(&fs);
}

Test(import_tar, every_truncation_is_told) {
    struct pack p = pack_open();
    pack_folder(&p, "d");
    pack_file(&p, "d/f", "some text");
    pack_symlink(&p, "d/l", "f");
    int fd = pack_close(&p);
    char data[20480];
    ssize_t size = read(fd, data, sizeof(data));
    cr_assert_gt(size, 2048);
    size_t end = (size_t) size;
    while (data[end - 1] == 0)
        end--;
    end = (end + 511) / 512 * 512; /* of the last header; the mark follows */
    for (size_t cut = 0; cut <= end + 512; cut += cut < 64 ? 7 : 256) {
        struct err e = image_refused(bytes_fd(data, cut), 0, 0);
        cr_expect(strstr(e.text, "cut short") || strstr(e.text, "empty") || strstr(e.text, "not a tar"), "%zu: %s", cut,
                  e.text);
    }
    int image = image_of(bytes_fd(data, end + 1024), 0, NULL);
    (void) close(image);
}

Test(import_tar, what_is_no_archive_is_told) {
    static const char text[] = "<html>404 not found</html> and some more text so that there is enough to look at";
    struct err e = image_refused(bytes_fd(text, sizeof(text)), 0, 0);
    cr_expect(strstr(e.text, "not a tar file"), "%s", e.text);
    e = image_refused(bytes_fd("", 0), 0, 0);
    cr_expect(strstr(e.text, "empty"), "%s", e.text);
}

Test(import_tar, limits_bound_input_and_content) {
    struct pack p = pack_open();
    char *data = malloc(4 << 20);
    memset(data, 'x', 4 << 20);
    pack_put(&p, pack_entry("f", S_IFREG | 0644), data, 4 << 20);
    int fd = pack_close(&p);
    struct err e = image_refused(fd, 0, 2 << 20);
    cr_expect_eq(e.code, EFBIG);
    cr_expect(strstr(e.text, "larger than the 2 MiB"), "%s", e.text);
    free(data);
}

Test(import_tar, everything_after_the_end_mark_is_read) {
    struct pack p = pack_open();
    pack_file(&p, "f", "x");
    int fd = pack_close(&p);
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    cr_assert_eq(pwrite(fd, "padding", 7, st.st_size + 3000000), 7);
    struct import_report report = {0};
    int image = image_of(dup(fd), 0, &report);
    cr_expect_eq(report.bytes, (uint64_t) st.st_size + 3000007);
    (void) close(image);
}

static void packed(int (*filter)(struct archive *)) {
    struct pack p = {.archive = archive_write_new(), .fd = image_fd()};
    (void) filter(p.archive);
    (void) archive_write_set_format_gnutar(p.archive);
    cr_assert_eq(archive_write_open_fd(p.archive, p.fd), ARCHIVE_OK);
    pack_file(&p, "d/f", "packed text");
    char noise[600000];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char) ((state = state * 1664525u + 1013904223u) >> 24);
    pack_put(&p, pack_entry("noise", S_IFREG | 0644), noise, sizeof(noise));
    int fd = pack_close(&p);
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    int whole = dup(fd);
    int image = image_of(whole, 0, NULL);
    ext2_filsys fs = image_open(image);
    cr_expect(image_says(fs, "/d/f", "packed text"));
    (void) ext2fs_close_free(&fs);
    cr_assert_eq(ftruncate(fd, st.st_size / 2), 0);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    struct err e = image_refused(fd, 0, 0);
    cr_expect(strstr(e.text, "cut short"), "%s", e.text);
}

Test(import_tar, gzip_and_zstd_are_unpacked) {
    packed(archive_write_add_filter_gzip);
    packed(archive_write_add_filter_zstd);
}

Test(import_tar, owners_that_do_not_fit_are_refused) {
    struct pack p = pack_open();
    struct archive_entry *entry = pack_entry("f", S_IFREG | 0644);
    archive_entry_set_uid(entry, (la_int64_t) 1 << 33);
    pack_put(&p, entry, NULL, 0);
    struct err e = image_refused(pack_close(&p), 0, 0);
    cr_expect(strstr(e.text, "owner's number"), "%s", e.text);
}
