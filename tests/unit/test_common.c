/* common/: errors and their escaping, descriptors in messages, JSON readers, the
 * log's lines, seccomp and Landlock applied for real in a child. */
#include "../../common/err.h"
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/json.h"
#include "../../common/log.h"
#include "../../common/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *in, *out;
} sanitized[] = {
    {"plain", "plain"},
    {"a\nb\tc", "a?b?c"},
    {"\x1b[31mred", "?[31mred"},
    {"del\x7f", "del?"},
    {"caf\xc3\xa9", "caf\xc3\xa9"},
    {"c1 \xc2\x9b as UTF-8", "c1 ?? as UTF-8"},
    {"c1 \x9b raw", "c1 ? raw"},
    {"cut \xe2\x82", "cut ??"},
    {"overlong \xc0\xaf", "overlong ??"},
    {"surrogate \xed\xa0\x80", "surrogate ???"},
    {"\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7"},
    {"turned \xe2\x80\xae\xe2\x81\xa9", "turned ??????"},
    {"dash \xe2\x80\x94", "dash \xe2\x80\x94"},
};

Test(err, sanitize_table) {
    for (size_t i = 0; i < sizeof(sanitized) / sizeof(sanitized[0]); i++) {
        char text[64];
        (void) snprintf(text, sizeof(text), "%s", sanitized[i].in);
        text_sanitize(text);
        cr_expect_str_eq(text, sanitized[i].out, "row %zu: %s", i, text);
    }
}

Test(err, set_sys_prefix) {
    struct err e = {0};
    cr_assert_eq(err_set(&e, EINVAL, "bad %s", "thing"), -EINVAL);
    cr_assert_str_eq(e.text, "bad thing");
    cr_assert_eq(err_prefix(&e, "line %d", 3), -EINVAL);
    cr_assert_str_eq(e.text, "line 3: bad thing");
    cr_assert_eq(err_sys(&e, ENOENT, "cannot open %s", "x"), -ENOENT);
    cr_assert_str_eq(e.text, "cannot open x: No such file or directory");
    cr_assert_eq(err_set(NULL, EPERM, "nobody listens"), -EPERM);
}

Test(err, long_text_is_cut_not_overrun) {
    struct err e = {0};
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void) err_set(&e, EINVAL, "%s", text);
    (void) err_prefix(&e, "%s", text);
    cr_assert_eq(strlen(e.text), sizeof(e.text) - 1);
}

static void pair(int type, int out[2]) {
    cr_assert_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out), 0);
}

Test(fdpass, carries_descriptors_close_on_exec) {
    int s[2], p[2], got[FDPASS_MAX];
    size_t count = 0;
    char data[8];
    pair(SOCK_SEQPACKET, s);
    cr_assert_eq(pipe(p), 0);
    cr_assert_eq(fdpass_send(s[0], "ab", 2, p, 2), 0);
    cr_assert_eq(fdpass_recv(s[1], data, sizeof(data), got, FDPASS_MAX, &count), 2);
    cr_assert_eq(count, 2);
    cr_assert(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(io_write(got[1], "x", 1), 0);
    cr_assert_eq(io_read(p[0], data, 1), 0);
    cr_assert_eq(data[0], 'x');
}

static int open_count(void) {
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

Test(fdpass, one_descriptor_too_many_is_bad_and_closed) {
    int s[2], got[FDPASS_MAX];
    size_t count = 9;
    char data[8];
    pair(SOCK_SEQPACKET, s);
    int fds[3] = {0, 1, 2};
    int before = open_count();
    cr_assert_eq(fdpass_send(s[0], "a", 1, fds, 3), 0);
    cr_assert_eq(fdpass_recv(s[1], data, sizeof(data), got, 2, &count), -EBADMSG);
    cr_assert_eq(count, 0);
    cr_assert_eq(open_count(), before);
}

Test(fdpass, a_message_longer_than_the_buffer_is_bad) {
    int s[2], got[1];
    size_t count;
    char data[4];
    pair(SOCK_SEQPACKET, s);
    cr_assert_eq(fdpass_send(s[0], "12345", 5, NULL, 0), 0);
    cr_assert_eq(fdpass_recv(s[1], data, sizeof(data), got, 1, &count), -EBADMSG);
}

Test(fdpass, peer_gone) {
    int s[2], got[1];
    size_t count;
    char data[4];
    pair(SOCK_SEQPACKET, s);
    (void) close(s[0]);
    cr_assert_eq(fdpass_recv(s[1], data, sizeof(data), got, 1, &count), 0);
    cr_assert_eq(fdpass_send(s[1], "x", 1, NULL, 0), -EPIPE);
    cr_assert_eq(fdpass_send(s[1], "x", 1, (int[FDPASS_MAX + 1]){0}, FDPASS_MAX + 1), -EINVAL);
}

Test(io, read_and_wait) {
    int p[2];
    char data[8];
    cr_assert_eq(pipe(p), 0);
    cr_assert_eq(io_wait(p[0], POLLIN, 20), -ETIMEDOUT);
    cr_assert_eq(io_write(p[1], "abc", 3), 0);
    cr_assert_eq(io_wait(p[0], POLLIN, 20), 0);
    (void) close(p[1]);
    cr_assert_eq(io_read(p[0], data, 4), -ENODATA);
}

Test(json, readers_name_the_member) {
    struct err e = {0};
    int64_t n = 7;
    cJSON *o = cJSON_Parse("{\"s\":\"text\",\"n\":5,\"half\":1.5,\"none\":null,\"yes\":true,\"big\":1e300}");
    cr_assert_str_eq(json_string(o, "s", &e), "text");
    cr_assert_null(json_string(o, "n", &e));
    cr_assert_str_eq(e.text, "\"n\" must be a string");
    cr_assert_null(json_string(o, "x", &e));
    cr_assert_str_eq(e.text, "\"x\" is missing");
    cr_assert_str_eq(json_string_or(o, "none", "dflt", &e), "dflt");
    cr_assert_eq(json_integer(o, "n", 0, 5, &n, &e), 0);
    cr_assert_eq(n, 5);
    cr_assert_eq(json_integer(o, "n", 0, 4, &n, &e), -EINVAL);
    cr_assert_eq(json_integer(o, "half", 0, 4, &n, &e), -EINVAL);
    cr_assert_eq(json_integer(o, "big", 0, INT64_MAX, &n, &e), -EINVAL);
    n = 7;
    cr_assert_eq(json_integer_or(o, "x", 0, 4, &n, &e), 0);
    cr_assert_eq(n, 7);
    cr_assert(json_true(o, "yes"));
    cr_assert_not(json_true(o, "n"));
    uint32_t on = 7;
    cr_assert(json_boolean_or(o, "x", &on, &e) == 0 && json_boolean_or(o, "none", &on, &e) == 0 && on == 7);
    cr_assert(json_boolean_or(o, "yes", &on, &e) == 0 && on == 1);
    cr_assert_eq(json_boolean_or(o, "n", &on, &e), -EINVAL);
    cr_assert_str_eq(e.text, "\"n\" must be true or false");
    cJSON_Delete(o);
}

Test(log, a_line_is_one_json_object_whatever_the_text) {
    int p[2];
    char line[4096] = {0};
    cr_assert_eq(pipe(p), 0);
    log_open(p[1], LOG_LEVEL_INFO);
    log_debug(1, "not shown");
    log_warn(0xabcu, "quote \" backslash \\ newline \n escape \x1b");
    (void) close(p[1]);
    cr_assert_gt(io_read_some(p[0], line, sizeof(line) - 1), 0);
    cJSON *o = cJSON_Parse(line);
    cr_assert_not_null(o, "not JSON: %s", line);
    cr_assert_str_eq(json_string(o, "text", NULL), "quote \" backslash \\ newline ? escape ?");
    cr_assert_str_eq(json_string(o, "op", NULL), "0000000000000abc");
    cr_assert_str_eq(json_string(o, "level", NULL), "warn");
    cJSON_Delete(o);
    cr_assert_eq(log_level_from("error"), LOG_LEVEL_ERROR);
    cr_assert_eq(log_level_from("loud"), -1);
}

/* Runs `body` in a child; its wait status. */
static int in_child(void (*body)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    int status = -1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static const int few_calls[] = {SYS_exit_group, SYS_write, SYS_getpid, SYS_socket};

/* Straight to the kernel: the sanitizers' exit hooks would make calls of their own. */
static void leave(int status) {
    (void) syscall(SYS_exit_group, status);
}

static void call_unlisted(void) {
    struct sandbox_calls calls = {.allowed = few_calls, .count = 4, .kill = 1};
    if (sandbox_seccomp(&calls))
        leave(9);
    (void) syscall(SYS_getpid);
    (void) syscall(SYS_getuid);
    leave(8);
}
static void call_unix_socket(void) {
    struct sandbox_calls calls = {.allowed = few_calls, .count = 4, .deny_unix = 1};
    if (sandbox_seccomp(&calls))
        leave(9);
    if (syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        leave(1);
    if (syscall(SYS_getuid) != -1 || errno != EPERM)
        leave(2);
    leave(syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0) >= 0 ? 0 : 3);
}

/* What comes after the rule is still right: other calls, and the list's end. */
static void call_stream_sockets(void) {
    static const struct {
        long domain;
        int type;
    } others[] = {{AF_INET, SOCK_STREAM},
                  {AF_NETLINK, SOCK_RAW},
                  {AF_UNIX, SOCK_DGRAM},
                  {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC},
                  {AF_INET | 1l << 32, SOCK_STREAM}};
    struct sandbox_calls calls = {.allowed = few_calls, .count = 4, .unix_streams = 1};
    if (sandbox_seccomp(&calls))
        leave(9);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (syscall(SYS_socket, others[i].domain, others[i].type, 0) >= 0 || errno != EPERM)
            leave(1 + (int) i);
    }
    if (syscall(SYS_getuid) != -1 || syscall(SYS_getpid) <= 0)
        leave(7);
    leave(syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) >= 0 ? 0 : 8);
}

Test(sandbox, a_list_that_is_too_long) {
    static const int many[241];
    struct sandbox_calls calls = {.allowed = many, .count = sizeof(many) / sizeof(many[0])};
    cr_assert_eq(sandbox_seccomp(&calls), -EINVAL);
}

static atomic_int filtered;
static void *with_own_filter(void *unused) {
    struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
    struct sock_fprog program = {.len = 1, .filter = &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        filtered = -1;
    else
        filtered = 1;
    for (;;)
        pause();
    return unused;
}
/* A filter for all threads is none where one of them has its own. */
Test(sandbox, a_thread_that_cannot_follow) {
    struct sandbox_calls calls = {.allowed = few_calls, .count = 4, .sync = 1};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, with_own_filter, NULL), 0);
    while (filtered == 0)
        (void) poll(NULL, 0, 1);
    cr_assert_eq(filtered, 1);
    cr_assert_eq(sandbox_seccomp(&calls), -ESRCH);
}

Test(sandbox, an_unlisted_call_kills) {
    int status = in_child(call_unlisted);
    cr_assert(WIFSIGNALED(status), "status %x", status);
    cr_assert_eq(WTERMSIG(status), SIGSYS);
}

Test(sandbox, unix_sockets_are_denied_others_are_not) {
    cr_assert_eq(in_child(call_unix_socket), 0);
}

Test(sandbox, only_unix_stream_sockets) {
    cr_assert_eq(in_child(call_stream_sockets), 0);
}

static void open_outside_landlock(void) {
    int tmp = open("/tmp", O_PATH | O_CLOEXEC);
    struct sandbox_path paths[] = {{tmp, SANDBOX_READ}};
    int abi = sandbox_landlock(paths, 1);
    if (abi < 0)
        _exit(9);
    if (abi == 0)
        _exit(77);
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
        _exit(1);
    if (open("/tmp/banger-must-not-be-made", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
        _exit(2);
    _exit(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ? 0 : 3);
}

Test(sandbox, landlock_leaves_only_what_is_listed) {
    int status = in_child(open_outside_landlock);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_eq(status, 0);
}
