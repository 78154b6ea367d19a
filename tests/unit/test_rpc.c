/* rpc.h: the real server on a real Unix socket: garbage, long lines, too many
 * descriptors, slow and vanishing clients, too many clients, stopping. */
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../../unpriv/cli/client.h"
#include "../../unpriv/daemon/engine.h"
#include "../../unpriv/daemon/rpc.h"
#include "../../unpriv/daemon/rpc_line.h"
#include "../../unpriv/store/paths.h"
#include "../../unpriv/store/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int state = -1;
static int listener = -1;
static pthread_t server;
static int served = 1;

static void *serve(void *arg) {
    struct err e = {0};
    (void) arg;
    served = rpc_serve(listener, &e);
    return NULL;
}

static void begin(void) {
    struct err e = {0};
    log_open(STDERR_FILENO, LOG_LEVEL_ERROR);
    strcpy(folder, "/tmp/banger-rpc-XXXXXX");
    cr_assert(mkdtemp(folder));
    state = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    engine.state = state;
    (void) snprintf(engine.state_path, sizeof(engine.state_path), "%s", folder);
    cr_assert_eq(store_open(folder, &e), 0, "%s", e.text);
    listener = paths_listen(state, "s");
    cr_assert_geq(listener, 0);
    cr_assert_eq(pthread_create(&server, NULL, serve, NULL), 0);
}

static void end(void) {
    char command[128];
    rpc_stop();
    cr_assert_eq(pthread_join(server, NULL), 0);
    cr_expect_eq(served, 0);
    cr_expect_lt(paths_connect(state, "s"), 0); /* nobody is taken in after the end */
    store_close();
    (void) snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(rpc, .init = begin, .fini = end, .timeout = 60);

static int connect_client(void) {
    int sock = paths_connect(state, "s");
    cr_assert_geq(sock, 0, "%s", strerror(-sock));
    return sock;
}

/* The whole answer, until the server closes. */
static void read_answer(int sock, char *out, size_t size) {
    size_t have = 0;
    while (have + 1 < size) {
        cr_assert_eq(io_wait(sock, POLLIN, 20000), 0, "no answer");
        ssize_t n = recv(sock, out + have, size - 1 - have, 0);
        if (n <= 0)
            break;
        have += (size_t) n;
    }
    out[have] = '\0';
    (void) close(sock);
}

static void expect(const char *request, size_t size, const char *words) {
    char got[4096];
    int sock = connect_client();
    (void) send(sock, request, size, MSG_NOSIGNAL);
    read_answer(sock, got, sizeof(got));
    cr_expect(strstr(got, words), "%.60s -> %s", request, got);
    const char *newline = strchr(got, '\n');
    cr_expect(newline && newline[1] == '\0', "one line: %s", got);
}

static void expect_text(const char *request, const char *words) {
    expect(request, strlen(request), words);
}

Test(rpc, a_request_is_answered) {
    expect_text("{\"op\":\"image.list\"}\n", "\"ok\":true");
    expect_text("{\"op\":\"image.list\",\"args\":null}\r\n", "\"result\":{\"images\":[]}");
    expect_text("{\"op\":\"image.show\",\"args\":{\"name\":\"x\"}}\n", "no image is named x; `banger image list`");
}

Test(rpc, each_wrong_request_gets_one_sentence) {
    expect_text("garbage\n", "not one JSON object");
    expect_text("\n", "not one JSON object");
    expect_text("[]\n", "not one JSON object");
    expect_text("{\"op\":\"image.list\"} x\n", "not one JSON object");
    expect_text("{\"op\":\"image.list\"}\n{\"op\":\"image.list\"}\n", "one connection carries one request");
    expect_text("{}\n", "\\\"op\\\" is missing");
    expect_text("{\"op\":7}\n", "\\\"op\\\" must be a string");
    expect_text("{\"op\":\"nope\"}\n", "knows no operation nope");
    expect_text("{\"op\":\"\\u001b[31m\"}\n", "knows no operation ?[31m");
    expect_text("{\"op\":\"image.list\",\"args\":[]}\n", "\\\"args\\\" must be an object");
    expect_text("{\"op\":\"image.show\",\"args\":{\"name\":1}}\n", "\\\"name\\\" must be a string");
    expect_text("{\"op\":\"image.show\"}\n", "\\\"name\\\" is missing");
    expect_text("{\"op\":\"image.import\",\"args\":{\"name\":\"../x\"}}\n", "cannot name an image");
    expect_text("{\"op\":\"image.import\",\"args\":{\"name\":\"x\",\"kind\":\"debian\"}}\n", "takes one descriptor");
    expect_text("{\"op\":\"kernel.import\",\"args\":{\"name\":\"x\"}}\n", "takes two descriptors");
    expect("{\"op\":\"x\0\"}\n", 12, "no NUL bytes");
}

Test(rpc, long_and_deep_lines_are_refused) {
    char *line = malloc(2 * RPC_LINE_MAX);
    cr_assert(line);
    memset(line, ' ', 2 * RPC_LINE_MAX);
    expect(line, 2 * (size_t) RPC_LINE_MAX, "longer than 65536 bytes");
    memset(line, '[', RPC_LINE_MAX - 1);
    line[RPC_LINE_MAX - 1] = '\n';
    expect(line, RPC_LINE_MAX, "at most 32 levels");
    free(line);
}

Test(rpc, a_request_in_pieces_is_one_request) {
    static const char request[] = "{\"op\":\"image.list\"}\n";
    char got[512];
    int sock = connect_client();
    for (size_t i = 0; i + 1 < sizeof(request); i++) {
        cr_assert_eq(send(sock, &request[i], 1, MSG_NOSIGNAL), 1);
        (void) poll(NULL, 0, 2);
    }
    cr_assert_eq(shutdown(sock, SHUT_WR), 0); /* a half-closed client still gets its answer */
    read_answer(sock, got, sizeof(got));
    cr_expect(strstr(got, "\"ok\":true"), "%s", got);
}

Test(rpc, a_line_cut_short_is_said_and_silence_is_not) {
    char got[512];
    int sock = connect_client();
    cr_assert_eq(send(sock, "{\"op\"", 5, MSG_NOSIGNAL), 5);
    cr_assert_eq(shutdown(sock, SHUT_WR), 0);
    read_answer(sock, got, sizeof(got));
    cr_expect(strstr(got, "ended before its newline"), "%s", got);
    sock = connect_client();
    cr_assert_eq(shutdown(sock, SHUT_WR), 0);
    read_answer(sock, got, sizeof(got));
    cr_expect_str_eq(got, "");
}

static int open_count(void) {
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

Test(rpc, too_many_descriptors_are_refused_and_none_leaks) {
    static const char request[] = "{\"op\":\"image.list\"}\n";
    char got[512];
    const int fds[] = {0, 0, 0, 0, 0};
    expect_text(request, "\"ok\":true"); /* the server has opened what it keeps */
    (void) poll(NULL, 0, 100);
    const int before = open_count();
    for (size_t count = 0; count <= 5; count++) {
        int sock = connect_client();
        cr_assert_eq(fdpass_send(sock, request, strlen(request), fds, count), 0);
        read_answer(sock, got, sizeof(got));
        cr_expect(strstr(got, count <= RPC_FDS_MAX ? "\"ok\":true" : "at most 4 descriptors"), "%zu: %s", count, got);
    }
    (void) poll(NULL, 0, 100);
    cr_expect_leq(open_count(), before);
}

Test(rpc, the_65th_client_is_told_so_and_the_others_go_on) {
    int socks[64];
    char got[512];
    for (int i = 0; i < 64; i++)
        socks[i] = connect_client();
    (void) poll(NULL, 0, 300);
    expect_text("", "busy with 64 requests");
    for (int i = 0; i < 64; i++) {
        cr_assert_eq(send(socks[i], "{\"op\":\"image.list\"}\n", 20, MSG_NOSIGNAL), 20);
        read_answer(socks[i], got, sizeof(got));
        cr_expect(strstr(got, "\"ok\":true"), "%d: %s", i, got);
    }
    (void) poll(NULL, 0, 100);
    expect_text("{\"op\":\"image.list\"}\n", "\"ok\":true");
}

/* The CLI's request, which is more than the socket takes at once: the server hangs up while it is being sent. */
static void expect_client(const char *words) {
    static char much[400000];
    cJSON *args = cJSON_CreateObject();
    struct err e = {0};
    memset(much, 'x', sizeof(much) - 1);
    (void) cJSON_AddStringToObject(args, "name", much);
    cr_expect_lt(client_simple("image.show", args, NULL, &e), 0);
    cr_expect(strstr(e.text, words), "%s", e.text);
}

Test(rpc, a_client_that_is_refused_before_it_has_sent_all_says_why) {
    int socks[64];
    char got[512];
    cr_assert(mkdirat(state, "banger", 0700) == 0 && mkdirat(state, "banger/run", 0700) == 0);
    cr_assert_eq(linkat(state, "s", state, "banger/run/bangerd.sock", 0), 0);
    cr_assert(setenv("HOME", folder, 1) == 0 && setenv("XDG_STATE_HOME", folder, 1) == 0);
    expect_client("longer than 65536 bytes");
    for (int i = 0; i < 64; i++)
        socks[i] = connect_client();
    (void) poll(NULL, 0, 300);
    expect_client("busy with 64 requests");
    for (int i = 0; i < 64; i++) {
        cr_assert_eq(send(socks[i], "{}\n", 3, MSG_NOSIGNAL), 3);
        read_answer(socks[i], got, sizeof(got));
    }
}

Test(rpc, a_slow_client_is_given_up_on) {
    struct err e = {0};
    int pair[2];
    int fds[RPC_FDS_MAX];
    size_t count = 0;
    cJSON *request = NULL;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    cr_assert_eq(send(pair[0], "{", 1, 0), 1);
    const long long began = io_now_ms();
    cr_expect_eq(rpc_line_read(pair[1], 200, &request, fds, &count, &e), -ETIMEDOUT);
    cr_expect_lt(io_now_ms() - began, 2000);
}

Test(rpc, gone_means_closed_or_half_closed) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const struct rpc rpc = {.sock = pair[1]};
    cr_expect_eq(rpc_gone(&rpc), 0);
    /* A client that reads nothing holds nobody up: progress is dropped, not waited for. */
    const long long began = io_now_ms();
    for (int i = 0; i < 10000; i++)
        rpc_progress(&rpc, "disk", "copying", i, 10000);
    cr_expect_lt(io_now_ms() - began, 5000);
    cr_expect_eq(rpc_gone(&rpc), 0);
    cr_assert_eq(shutdown(pair[0], SHUT_WR), 0);
    cr_expect_eq(rpc_gone(&rpc), 1); /* cancelled, and waiting for the last line */
    (void) close(pair[0]);
    cr_expect_eq(rpc_gone(&rpc), 1);
    (void) close(pair[1]);
}

Test(rpc, an_event_carries_its_descriptor) {
    int pair[2];
    char got[256] = "";
    int fds[2];
    size_t count = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const struct rpc rpc = {.sock = pair[1]};
    cJSON *extra = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(extra, "n", 1);
    cr_assert_eq(rpc_event(&rpc, "log", extra, pair[1]), 0);
    cr_assert_gt(fdpass_recv(pair[0], got, sizeof(got) - 1, fds, 2, &count), 0);
    cr_expect_str_eq(got, "{\"n\":1,\"event\":\"log\"}\n");
    cr_expect_eq(count, 1);
    rpc_warn(&rpc, "a\nb %d", 1);
    memset(got, 0, sizeof(got));
    cr_assert_gt(recv(pair[0], got, sizeof(got) - 1, 0), 0);
    cr_expect_str_eq(got, "{\"warning\":\"a?b 1\"}\n");
}
