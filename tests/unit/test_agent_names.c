/* The guest's resolver: the agent as a real process, asked over UDP and TCP, answered as the engine would. */
#include "../../common/io.h"
#include "../../guest/agent/agent.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000
#define QUERY   "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\1b\0\0\1\0\1" /* A of a.b */
#define SIZE    (sizeof(QUERY) - 1)

static int host = -1, client = -1;
static pid_t agent;
static uint16_t number;

static void say(enum mux_type type, const void *payload, uint32_t length) {
    struct mux_header header = {.magic = MUX_MAGIC, .type = (uint8_t) type, .length = length};
    cr_assert_eq(io_write(host, &header, sizeof(header)), 0);
    cr_assert_eq(io_write(host, payload, length), 0);
}

/* The next frame of that type, within `ms`: its payload's length, or 0. */
static size_t hear(enum mux_type type, uint8_t payload[MUX_PAYLOAD_MAX], int ms) {
    struct mux_header header;
    do {
        if (io_wait(host, POLLIN, ms))
            return 0;
        cr_assert_eq(io_read(host, &header, sizeof(header)), 0);
        cr_assert_eq(io_read(host, payload, header.length), 0);
    } while (header.type != type);
    return header.length;
}

static int connected(int type) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(number), .sin_addr.s_addr = inet_addr(AGENT_NAMES_ADDRESS)};
    int sock = socket(AF_INET, type, 0);
    cr_assert_eq(connect(sock, (struct sockaddr *) &to, sizeof(to)), 0);
    return sock;
}

static void setup(void) {
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct mux_hello hello = {.version = MUX_VERSION};
    int pair[2];
    number = (uint16_t) (20000 + getpid() % 20000);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(agent_names_open(number), 0);
    agent = fork();
    if (agent == 0) {
        (void) close(pair[0]);
        _exit(agent_serve((struct agent_port){pair[1], -1}) == 0 ? 0 : 1);
    }
    (void) close(pair[1]);
    host = pair[0];
    say(MUX_HELLO, &hello, sizeof(hello));
    cr_assert_gt(hear(MUX_WELCOME, payload, WAIT_MS), 0);
    client = connected(SOCK_DGRAM);
}

static void teardown(void) {
    if (agent > 0 && kill(agent, SIGKILL) == 0)
        (void) waitpid(agent, NULL, 0);
}

static struct mux_query heard(const uint8_t *payload, size_t size) {
    struct mux_query query = {0};
    cr_assert_eq(size, sizeof(query) + SIZE);
    memcpy(&query, payload, sizeof(query));
    cr_expect_arr_eq(payload + sizeof(query), QUERY, SIZE);
    return query;
}

static void answer(uint32_t id, const char *text, size_t size) {
    uint8_t payload[2048];
    struct mux_answer head = {.id = id};
    memcpy(payload, &head, sizeof(head));
    memcpy(payload + sizeof(head), text, size);
    say(MUX_ANSWER, payload, (uint32_t) (sizeof(head) + size));
}

TestSuite(agent_names, .init = setup, .fini = teardown);

Test(agent_names, a_datagram_goes_to_the_host_and_its_answer_back) {
    uint8_t payload[MUX_PAYLOAD_MAX];
    char got[64];
    cr_assert_eq(send(client, QUERY, SIZE, 0), (ssize_t) SIZE);
    struct mux_query query = heard(payload, hear(MUX_QUERY, payload, WAIT_MS));
    cr_expect_eq(query.tcp, 0);
    answer(query.id + 7, "nobody asked this", 17); /* dropped */
    answer(query.id, "this is the answer", 18);
    answer(query.id, "this is another one", 19); /* too late */
    cr_assert_eq(io_wait(client, POLLIN, WAIT_MS), 0);
    cr_assert_eq(recv(client, got, sizeof(got), 0), 18);
    cr_expect_arr_eq(got, "this is the answer", 18);
    cr_expect_neq(io_wait(client, POLLIN, 100), 0);
}

Test(agent_names, over_tcp_too_byte_by_byte) {
    uint8_t payload[MUX_PAYLOAD_MAX];
    char got[20];
    const char frame[] = "\0\0" QUERY;
    int sock = connected(SOCK_STREAM);
    for (size_t i = 0; i < SIZE + 2; i++) {
        char byte = i == 1 ? (char) SIZE : frame[i];
        cr_assert_eq(io_write(sock, &byte, 1), 0);
    }
    struct mux_query query = heard(payload, hear(MUX_QUERY, payload, WAIT_MS));
    cr_expect_eq(query.tcp, 1);
    answer(query.id, "this is the answer", 18);
    cr_assert_eq(io_wait(sock, POLLIN, WAIT_MS), 0);
    cr_assert_eq(io_read(sock, got, 20), 0);
    cr_expect_arr_eq(got, "\0\x12this is the answer", 20);
    cr_assert_eq(io_write(sock, "\xff\xff", 2), 0); /* longer than a query can be: it is hung up */
    cr_assert_eq(io_wait(sock, POLLIN, WAIT_MS), 0);
    cr_expect_eq(read(sock, got, 1), 0);
}

Test(agent_names, what_is_no_query_and_what_is_too_much_stays_here) {
    uint8_t payload[MUX_PAYLOAD_MAX];
    char big[MUX_QUERY_MAX + 100] = "";
    cr_assert_gt(send(client, "short", 5, 0), 0);
    cr_assert_gt(send(client, big, sizeof(big), 0), 0);
    cr_expect_eq(hear(MUX_QUERY, payload, 200), 0);
    size_t count = 0;
    for (unsigned i = 0; i < MUX_QUERIES_MAX + 20; i++) {
        cr_assert_gt(send(client, QUERY, SIZE, 0), 0);
        count += hear(MUX_QUERY, payload, i < MUX_QUERIES_MAX ? WAIT_MS : 20) > 0;
    }
    cr_expect_eq(count, MUX_QUERIES_MAX);
    const uint64_t ping = 1;
    say(MUX_PING, &ping, sizeof(ping));
    cr_expect_eq(hear(MUX_PONG, payload, WAIT_MS), sizeof(ping), "the link goes on");
}

/* A socket of the guest's own at the same port; -1 where it cannot be had. */
static int server(int type, const char *address, int reuse) {
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(number), .sin_addr.s_addr = inet_addr(address)};
    int yes = 1, sock = socket(AF_INET, type, 0);
    cr_assert(sock >= 0 && (!reuse || setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) == 0));
    if (bind(sock, (const struct sockaddr *) &at, sizeof(at)) == 0 && (type == SOCK_DGRAM || listen(sock, 1) == 0))
        return sock;
    (void) close(sock);
    return -1;
}

Test(agent_names, a_server_of_the_guests_own_has_room) {
    uint8_t payload[MUX_PAYLOAD_MAX];
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    for (size_t i = 0; i < 2; i++) {
        int own = server(types[i], "127.0.0.1", 0);
        cr_expect(own >= 0, "127.0.0.1");
        (void) close(own);
        cr_expect(server(types[i], "0.0.0.0", 1) >= 0, "all addresses"); /* stays */
    }
    cr_assert_gt(send(client, QUERY, SIZE, 0), 0);
    cr_expect_gt(hear(MUX_QUERY, payload, WAIT_MS), 0, "the agent still hears its queries");
}
