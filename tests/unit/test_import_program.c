#include "import_help.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "build/banger-import"

/* Starts the built program as plan.h says; its messages in `text`, its status returned. */
static int program(const struct import_plan *plan, int input, int output, int tar, rlim_t file_limit, char *text,
                   size_t size) {
    int pipes[2], plan_fd = bytes_fd(plan, sizeof(*plan));
    cr_assert_eq(pipe(pipes), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        int list[7] = {open("/dev/null", O_RDWR), 0, pipes[1], plan_fd, input, output, tar};
        list[1] = list[0];
        for (int i = 0; i < 7; i++)
            list[i] = list[i] < 0 ? -1 : fcntl(list[i], F_DUPFD, 100);
        for (int i = 0; i < 7; i++) {
            if (list[i] >= 0 && dup2(list[i], i) < 0)
                _exit(126);
        }
        (void) close_range(7, ~0u, 0);
        const struct rlimit limit = {file_limit, file_limit};
        char *const argv[] = {(char[]){"banger-import"}, NULL}, *const env[] = {NULL};
        if (!file_limit || setrlimit(RLIMIT_FSIZE, &limit) == 0)
            execve(PROGRAM, argv, env);
        _exit(127);
    }
    (void) close(pipes[1]);
    (void) close(plan_fd);
    size_t used = 0;
    for (ssize_t got = 1; got > 0 && used<size - 1; used += got> 0 ? (size_t) got : 0)
        got = read(pipes[0], text + used, size - 1 - used);
    text[used] = '\0';
    (void) close(pipes[0]);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* The last line, parsed; every line must be an object. */
static cJSON *last_line(char *text) {
    cJSON *last = NULL;
    for (char *rest = text, *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (!*line)
            continue;
        cJSON_Delete(last);
        last = cJSON_Parse(line);
        cr_assert(cJSON_IsObject(last), "not a JSON line: %s", line);
    }
    cr_assert_not_null(last, "no line at all");
    return last;
}

static void need_program(void) {
    if (access(PROGRAM, X_OK))
        cr_skip_test("build/banger-import is not built");
}

static int sample(void) {
    struct pack p = pack_open();
    char path[64];
    for (int i = 0; i < 2000; i++) {
        (void) snprintf(path, sizeof(path), "usr/share/d%d/file-%d", i % 40, i);
        pack_file(&p, path, "content of a small file");
    }
    struct archive_entry *entry = pack_entry("bin/ping", S_IFREG | 0755);
    archive_entry_xattr_add_entry(entry, "user.x", "y", 1);
    pack_put(&p, entry, "ping", 4);
    return pack_close(&p);
}

Test(import_program, a_confined_import_succeeds) {
    need_program();
    char text[8192];
    const struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_ROOTFS};
    int out = image_fd();
    int status = program(&plan, sample(), out, -1, 0, text, sizeof(text));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", (unsigned) status, text);
    cJSON *line = last_line(text);
    cr_expect(cJSON_IsTrue(cJSON_GetObjectItem(line, "ok")));
    cr_expect_eq(cJSON_GetObjectItem(line, "size")->valuedouble, 1073741824.0);
    cr_expect_eq(cJSON_GetObjectItem(line, "entries")->valuedouble, 2001.0);
    cr_expect_null(cJSON_GetObjectItem(line, "release"));
    cJSON_Delete(line);
    image_check(out);

    const struct import_plan work = {
        .magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_WORK, .size = 1 << 30, .flags = IMPORT_HAS_TAR};
    int disk = image_fd();
    status = program(&work, out, disk, sample(), 0, text, sizeof(text));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x: %s", (unsigned) status, text);
    image_check(disk);
}

static void fails(const struct import_plan *plan, int input, rlim_t limit, const char *words) {
    char text[8192];
    int status = program(plan, input, image_fd(), -1, limit, text, sizeof(text));
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x: %s", (unsigned) status, text);
    cJSON *line = last_line(text);
    cr_expect(cJSON_IsFalse(cJSON_GetObjectItem(line, "ok")));
    cr_expect_gt(cJSON_GetObjectItem(line, "code")->valuedouble, 0);
    const char *error = cJSON_GetStringValue(cJSON_GetObjectItem(line, "error"));
    cr_expect(error && strstr(error, words), "%s", error);
    cJSON_Delete(line);
}

Test(import_program, failures_are_one_sentence) {
    need_program();
    struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_ROOTFS};
    fails(&plan, sample(), 1 << 20, "disk is full");
    fails(&plan, bytes_fd("junk", 4), 0, "not a tar file");
    char header[512];
    raw_header(header, "quote\"back\\slash\xff\n/../x", '0', "", 0);
    fails(&plan, bytes_fd(header, sizeof(header)), 0, "quote\"back\\slash??");
    plan.mode = 99;
    fails(&plan, sample(), 0, "plan is not one of this version");
    plan.magic = 1;
    fails(&plan, sample(), 0, "plan is not one of this version");
}

/* The kernel's own opinion, where this machine lets us mount. */
Test(import_program, the_kernel_mounts_and_writes_it) {
    if (geteuid() != 0 || unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL))
        cr_skip_test("mounting needs root");
    char folder[] = "/tmp/banger-import-XXXXXX", image[64], command[1024], out[64];
    cr_assert_not_null(mkdtemp(folder));
    (void) snprintf(image, sizeof(image), "%s.ext4", folder);
    struct pack p = pack_open();
    char path[300];
    for (int i = 0; i < 9000; i++) {
        (void) snprintf(path, sizeof(path), "deep/%0250d", i);
        pack_put(&p, pack_entry(path, S_IFREG | 0600), NULL, 0);
    }
    pack_file(&p, "etc/hosts", "127.0.0.1 localhost");
    const struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_ROOTFS};
    struct import_report report = {0};
    struct err e = {0};
    int tar = pack_close(&p), fd = open(image, O_RDWR | O_CREAT | O_EXCL, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(disk_rootfs(&plan, tar, fd, &report, &e), 0, "%s", e.text);
    (void) snprintf(command, sizeof(command),
                    "mount -o loop,errors=remount-ro %s %s 2>/dev/null || exit 42; cd %s && "
                    "for i in 1 77 8999; do test -f deep/$(printf %%0250d $i) || exit 2; done; "
                    "for i in $(seq 3000); do echo $i > deep/new-$i; done; cp -r deep copy && rm -rf deep && "
                    "dd if=/dev/zero of=zeros bs=1M count=30 status=none && sync && cd / && umount %s",
                    image, folder, folder, folder);
    int status = system(command); /* NOLINT(cert-env33-c): a test's own text */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) {
        (void) unlink(image);
        (void) rmdir(folder);
        cr_skip_test("the kernel lets nobody mount a loop device here");
    }
    cr_expect_eq(status, 0, "the kernel's turn ended with %x", (unsigned) status);
    image_check(fd);
    (void) snprintf(out, sizeof(out), "%s", image);
    (void) unlink(out);
    (void) rmdir(folder);
}
