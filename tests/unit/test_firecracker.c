/* Firecracker's command line, the replies of its API, and its vsock's first line. */
#include "../../common/io.h"
#include "../../unpriv/vmm/http.h"
#include "../../unpriv/vmm/hybrid.h"
#include "../../unpriv/vmm/jail/jail.h"
#include "../../unpriv/vmm/vmm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK_200                                                                                                         \
    "HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
#define OK_204 "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n"
#define FULL                                                                                                           \
    "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n\r\n"                       \
    "{ \"error\": \"Too many open connections\" }"

/* --- replies -------------------------------------------------------------------------- */

static int parse(const char *text, struct http_reply *reply) {
    return http_parse(text, strlen(text), reply);
}

Test(firecracker, replies) {
    struct http_reply reply;
    cr_assert_eq(parse(OK_204, &reply), 1);
    cr_expect_eq(reply.status, 204);
    cr_expect_eq(reply.body_size, 0);
    cr_assert_eq(parse(FULL, &reply), 1, "no blank after the code");
    cr_expect_eq(reply.status, 503);
    cr_expect_eq(reply.body_size, 40);
    cr_assert_eq(parse(OK_200 "content-length:\t2 \r\n\r\n{}HTTP/1.1", &reply), 1);
    cr_expect_eq(reply.status, 200);
    cr_expect_eq(memcmp(reply.body, "{}", 2), 0);
    cr_expect_eq(reply.size, sizeof(OK_200 "content-length:\t2 \r\n\r\n{}") - 1, "what follows is the next one's");
    cr_assert_eq(parse("HTTP/1.1 400 Bad Request\r\nDeprecation: true\r\n\r\n", &reply), 1);
    cr_expect_eq(reply.status, 400);
}

Test(firecracker, a_reply_is_complete_with_its_last_byte) {
    static const char *const whole[] = {OK_204, FULL, OK_200 "Content-Length: 3\r\n\r\nabc"};
    struct http_reply reply;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        for (size_t have = 0; have < strlen(whole[i]); have++)
            cr_expect_eq(http_parse(whole[i], have, &reply), 0, "%zu bytes of \"%s\"", have, whole[i]);
    }
}

Test(firecracker, what_is_no_reply) {
    static const char *const bad[] = {
        "HTTP/1.0 200 \r\n\r\n",
        "HTTP/1.1 20 \r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 600 \r\n\r\n",
        "HTTP/1.1 100 \r\n\r\n",
        "HTTP/1.1 204 \n\r\n",
        "\r\n",
        "\n",
        "HTTP/1.1\r\n",
        "HTTP/1.1 2x4 \r\n\r\n",
        "hello\r\n",
        OK_200 "no colon\r\n\r\n",
        OK_200 ": x\r\n\r\n",
        OK_200 " folded: x\r\n\r\n",
        OK_200 "Content-Length: \r\n\r\n",
        OK_200 "Content-Length: -1\r\n\r\n",
        OK_200 "Content-Length: 2 2\r\n\r\n",
        OK_200 "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        OK_200 "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 \r\nContent-Length: 1\r\n\r\nx",
    };
    struct http_reply reply;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(parse(bad[i], &reply), -EPROTO, "%s", bad[i]);
    cr_expect_eq(http_parse("HTTP/1.1 200 \0\r\n\r\n", 18, &reply), -EPROTO, "a NUL");
    cr_expect_eq(parse(OK_200 "Content-Length: 65537\r\n\r\n", &reply), -EMSGSIZE);
    cr_expect_eq(parse(OK_200 "Content-Length: 184467440737095516160\r\n\r\n", &reply), -EMSGSIZE);
    static char longest[HTTP_HEAD_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    cr_expect_eq(http_parse(longest, HTTP_HEAD_MAX - 1, &reply), 0);
    cr_expect_eq(http_parse(longest, HTTP_HEAD_MAX, &reply), -EMSGSIZE);
}

/* --- a connection ----------------------------------------------------------------------- */

/* A server that says `text` in pieces of `piece` bytes, and then is gone unless `stays`. */
static int serve(const char *text, size_t piece, int stays, pid_t *child) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *child = fork();
    if (*child == 0) {
        char in[1024];
        (void) close(pair[0]);
        (void) !read(pair[1], in, sizeof(in));
        for (size_t at = 0, size = strlen(text); at < size; at += piece) {
            (void) !write(pair[1], text + at, size - at < piece ? size - at : piece);
            (void) usleep(200);
        }
        if (stays)
            (void) !read(pair[1], in, sizeof(in)); /* until the other end closes */
        _exit(0);
    }
    (void) close(pair[1]);
    return pair[0];
}

static int call(const char *text, size_t piece, int stays, char out[64], struct err *e) {
    pid_t child;
    struct http http;
    struct http_reply reply;
    struct vmm_wait wait = {.deadline = io_now_ms() + 400};
    int fd = serve(text, piece, stays, &child);
    cr_assert_eq(http_open(&http, fd, e), 0);
    int r = http_call(&http, "PUT", "/vsock", "{}", &wait, &reply, e);
    if (r == 0)
        (void) snprintf(out, 64, "%d %.*s", reply.status, (int) reply.body_size, reply.body);
    http_close(&http);
    (void) close(fd);
    (void) waitpid(child, NULL, 0);
    return r;
}

Test(firecracker, calls) {
    char out[64] = "";
    struct err e = {0};
    for (size_t piece = 1; piece < 200; piece += 66) {
        cr_expect_eq(call(FULL, piece, 0, out, &e), 0, "%s", e.text);
        cr_expect_str_eq(out, "503 { \"error\": \"Too many open connections\" }");
    }
    cr_expect_eq(call(OK_200 "Content-Length: 9\r\n\r\ncut", 200, 0, out, &e), -ECONNRESET);
    cr_expect_eq(call("", 1, 0, out, &e), -ECONNRESET);
    cr_expect_eq(call(OK_200 "Content-Length: 9\r\n\r\ncut", 200, 1, out, &e), -ETIMEDOUT);
    cr_expect_str_eq(e.text, "the VMM does not answer");
    cr_expect_eq(call("220 mail\r\n", 200, 1, out, &e), -EPROTO);
}

/* Two requests on one connection; the second reply came with the first. */
Test(firecracker, a_connection_is_kept) {
    int pair[2];
    char in[1024] = "";
    struct err e = {0};
    struct http http;
    struct http_reply reply;
    struct vmm_wait wait = {.deadline = io_now_ms() + 2000};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(http_open(&http, pair[0], &e), 0);
    cr_assert_eq(io_write(pair[1], OK_204 FULL, strlen(OK_204 FULL)), 0);
    cr_expect_eq(http_call(&http, "PUT", "/drives/root", "{\"a\":1}", &wait, &reply, &e), 0);
    cr_expect_eq(reply.status, 204);
    cr_expect_eq(http_call(&http, "GET", "/", NULL, &wait, &reply, &e), 0);
    cr_expect_eq(reply.status, 503);
    cr_expect_gt(read(pair[1], in, sizeof(in) - 1), 0);
    cr_expect_str_eq(in, "PUT /drives/root HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
                         "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
                         "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
    http_close(&http);
    (void) close(pair[0]);
    (void) close(pair[1]);
}

/* --- vsock ------------------------------------------------------------------------------ */

Test(firecracker, vsock_answers) {
    static const char *const bad[] = {"ok 1\n",  "OK\n",
                                      "OK \n",   "OK 1 \n",
                                      "OK -1\n", "OK 4294967296\n",
                                      "OK 1\n2", "OK 00000000000000000000000000001"};
    uint32_t port = 0;
    cr_assert_eq(hybrid_parse("OK 1073741824\n", 14, &port), 1);
    cr_expect_eq(port, 1u << 30);
    for (size_t have = 0; have < 14; have++)
        cr_expect_eq(hybrid_parse("OK 1073741824\n", have, &port), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(hybrid_parse(bad[i], strlen(bad[i]), &port), -EPROTO, "%s", bad[i]);
}

static int connect_to(const char *text, size_t piece, int stays, char rest[16]) {
    pid_t child;
    struct err e = {0};
    struct vmm_wait wait = {.deadline = io_now_ms() + 400};
    int fd = serve(text, piece, stays, &child);
    int r = hybrid_connect(fd, 1024, &wait, &e);
    ssize_t n = r ? 0 : read(fd, rest, 15);
    rest[n > 0 ? n : 0] = '\0';
    (void) close(fd);
    (void) waitpid(child, NULL, 0);
    return r;
}

Test(firecracker, vsock_connections) {
    char rest[16];
    cr_expect_eq(connect_to("OK 1073741824\nhello", 100, 1, rest), 0);
    cr_expect_str_eq(rest, "hello", "what follows the line is the guest's");
    cr_expect_eq(connect_to("OK 1073741824\n", 1, 0, rest), 0);
    cr_expect_eq(connect_to("", 1, 0, rest), -ECONNREFUSED, "nobody listens");
    cr_expect_eq(connect_to("OK 107", 100, 0, rest), -ECONNREFUSED);
    cr_expect_eq(connect_to("OK 107", 100, 1, rest), -ETIMEDOUT);
    cr_expect_eq(connect_to("HTTP/1.1 400 \r\n", 100, 1, rest), -EPROTO);
}

/* --- the command line --------------------------------------------------------------------- */

static struct vmm_config config = {.name = "web-1", .vcpus = 2, .memory_mib = 512, .cmdline = "banger.name=web-1"};

Test(firecracker, command_line) {
    struct jail_args args;
    struct err e = {0};
    static char binary[] = "firecracker", *argv[JAIL_ARGS_MAX + 2];
    static const char *const wanted[] = {"firecracker", "--api-sock", "/vm/api.sock", "--id",    "web-1",
                                         "--log-path",  "/vm/log",    "--level",      "Warning", NULL};
    int fd = vmm_firecracker.arguments(&config, &e);
    cr_assert_geq(fd, 0, "%s", e.text);
    cr_assert_eq(jailargs_read(fd, &args), 0);
    (void) close(fd);
    jailargs_vector(&args, binary, argv);
    for (size_t i = 0; wanted[i]; i++)
        cr_assert_str_eq(argv[i], wanted[i]);
    cr_expect_null(argv[9]);
}

Test(firecracker, what_it_cannot_do) {
    struct err e = {0};
    config.name = "a_b";
    cr_expect_eq(vmm_firecracker.arguments(&config, &e), -EINVAL);
    config.name = "";
    cr_expect_eq(vmm_firecracker.arguments(&config, &e), -EINVAL);
    config.name = "web-1";
    config.vcpus = 33;
    cr_expect_eq(vmm_firecracker.arguments(&config, &e), -EINVAL);
    cr_expect_not_null(strstr(e.text, "--vmm qemu"));
}
