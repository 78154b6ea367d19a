/* The agent link over a socketpair: the test plays the guest's agent, well-behaved
 * and hostile, and the client. */
#include "../../common/io.h"
#include "../../unpriv/agent/internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 5000

/* --- the guest's side ---------------------------------------------------------------- */

static void guest_send(int sock, uint8_t type, uint32_t channel, const void *payload, uint32_t length) {
    struct mux_header header = {.magic = MUX_MAGIC, .type = type, .channel = channel, .length = length};
    cr_assert_eq(io_write(sock, &header, sizeof(header)), 0);
    if (length > 0)
        cr_assert_eq(io_write(sock, payload, length), 0);
}

/* The next frame, padding skipped; `payload` holds MUX_PAYLOAD_MAX bytes. */
static struct mux_header guest_read(int sock, uint8_t *payload) {
    struct mux_header header = {0};
    uint8_t first = 0;
    while (first == 0) {
        cr_assert_eq(io_wait(sock, POLLIN, WAIT_MS), 0, "the host sent nothing");
        cr_assert_eq(io_read(sock, &first, 1), 0);
    }
    memcpy(&header, &first, 1);
    cr_assert_eq(io_read(sock, (char *) &header + 1, sizeof(header) - 1), 0);
    cr_assert_not(mux_header_bad(&header));
    cr_assert_eq(io_read(sock, payload, header.length), 0);
    return header;
}

static void guest_data(int sock, uint32_t channel, uint8_t stream, const void *data, uint32_t size) {
    uint8_t payload[MUX_PAYLOAD_MAX] = {stream};
    memcpy(payload + 1, data, size);
    guest_send(sock, MUX_DATA, channel, payload, size + 1);
}

struct agent {
    int sock;
    unsigned garbage; /* bytes of noise before WELCOME */
    int cut;          /* send half of a frame first */
    int silent;
    struct mux_hello hello;
};

static void *agent_welcome(void *arg) {
    struct agent *agent = arg;
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct mux_header header = guest_read(agent->sock, payload);
    cr_assert_eq(header.type, MUX_HELLO);
    memcpy(&agent->hello, payload, sizeof(agent->hello));
    for (unsigned i = 0; i < agent->garbage; i++) {
        uint8_t noise = (uint8_t) (i * 7 + (i % 5 == 0 ? MUX_MAGIC : 0));
        cr_assert_eq(io_write(agent->sock, &noise, 1), 0);
    }
    if (agent->cut) {
        struct mux_header half = {.magic = MUX_MAGIC, .type = MUX_WELCOME, .length = sizeof(struct mux_welcome)};
        cr_assert_eq(io_write(agent->sock, &half, sizeof(half)), 0);
    }
    if (agent->silent)
        return NULL;
    struct mux_welcome welcome = {.version = MUX_VERSION, .build = "test\x1b[31m"};
    memcpy(welcome.nonce, agent->hello.nonce, sizeof(welcome.nonce));
    guest_send(agent->sock, MUX_WELCOME, 0, &welcome, sizeof(welcome));
    return NULL;
}

/* A link to `agent`, whose socket the caller closes. */
static struct link *open_link(struct agent *agent, int fresh, int timeout_ms, struct err *e) {
    int pair[2];
    pthread_t thread;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    agent->sock = pair[1];
    cr_assert_eq(pthread_create(&thread, NULL, agent_welcome, agent), 0);
    struct link *link = link_open(pair[0], fresh, timeout_ms, NULL, NULL, e);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    return link;
}

static struct link *open_good(struct agent *agent) {
    struct err e = {0};
    struct link *link = open_link(agent, 1, WAIT_MS, &e);
    cr_assert_not_null(link, "%s", e.text);
    return link;
}

/* --- the client's side ----------------------------------------------------------------- */

struct command {
    struct link *link;
    int engine, client; /* the two ends of its channel */
    int result;
    struct mux_exit exit;
    struct err e;
    pthread_t thread;
};

static void *command_run(void *arg) {
    struct command *c = arg;
    c->result = link_exec(c->link, "open", 4, c->engine, &c->exit, &c->e);
    (void) close(c->engine);
    return NULL;
}

static void command_start(struct command *c, struct link *link) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    *c = (struct command){.link = link, .engine = pair[0], .client = pair[1]};
    cr_assert_eq(pthread_create(&c->thread, NULL, command_run, c), 0);
}

static int command_end(struct command *c) {
    cr_assert_eq(pthread_join(c->thread, NULL), 0);
    if (c->client >= 0)
        (void) close(c->client);
    return c->result;
}

/* The OPEN that the guest gets, and the question whether it has got it: the channel's number. */
static uint32_t guest_opened(int sock) {
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct mux_header header = guest_read(sock, payload);
    cr_assert_eq(header.type, MUX_OPEN);
    cr_assert_eq(header.length, 4);
    cr_assert_eq(memcmp(payload, "open", 4), 0);
    struct mux_header ping = guest_read(sock, payload);
    cr_assert_eq(ping.type, MUX_PING);
    guest_send(sock, MUX_PONG, 0, payload, ping.length);
    return header.channel;
}

struct packet {
    struct mux_header header;
    uint8_t payload[MUX_PAYLOAD_MAX];
};

static ssize_t client_read(int sock, struct packet *packet) {
    cr_assert_eq(io_wait(sock, POLLIN, WAIT_MS), 0, "the client got nothing");
    return recv(sock, packet, sizeof(*packet), 0);
}

static void client_send(int sock, uint8_t type, const void *payload, uint32_t length) {
    struct packet packet = {.header = {.magic = MUX_MAGIC, .type = type, .length = length}};
    memcpy(packet.payload, payload, length);
    cr_assert_gt(send(sock, &packet, sizeof(packet.header) + length, MSG_NOSIGNAL), 0);
}

/* The channel may have ended meanwhile: no error for a client. */
static void client_credit(int sock, uint32_t stream, uint32_t credit) {
    struct packet packet = {.header = {.magic = MUX_MAGIC, .type = MUX_WINDOW_ADD, .length = 8}};
    struct mux_window window = {.stream = stream, .credit = credit};
    memcpy(packet.payload, &window, sizeof(window));
    (void) send(sock, &packet, sizeof(packet.header) + sizeof(window), MSG_NOSIGNAL);
}

static void guest_exit(int sock, uint32_t channel, uint32_t code) {
    struct mux_exit exit = {.code = code};
    guest_send(sock, MUX_EXIT, channel, &exit, sizeof(exit));
}

/* --- opening ------------------------------------------------------------------------------ */

Test(link, welcomes) {
    struct agent agent = {0};
    struct link *link = open_good(&agent);
    cr_assert(link_alive(link));
    cr_assert_str_eq(link_welcome(link)->build, "test?[31m");
    cr_assert_gt(agent.hello.realtime_ns, 1000000000ull * 1600000000ull);
    link_drop(link);
    cr_assert_eq(io_wait(agent.sock, POLLIN, WAIT_MS), 0);
    char byte;
    cr_assert_eq(read(agent.sock, &byte, 1), 0, "the last drop closes the connection");
    (void) close(agent.sock);
}

Test(link, skips_noise_before_the_welcome) {
    struct err e = {0};
    struct agent agent = {.garbage = 100000, .cut = 1};
    struct link *link = open_link(&agent, 0, WAIT_MS, &e);
    cr_assert_not_null(link, "%s", e.text);
    cr_assert_str_eq(link_welcome(link)->build, "test?[31m");
    link_drop(link);
    (void) close(agent.sock);
}

Test(link, gives_up_on_a_silent_guest) {
    struct err e = {0};
    struct agent agent = {.silent = 1, .garbage = 50};
    cr_assert_null(open_link(&agent, 1, 300, &e));
    cr_assert_eq(e.code, ETIMEDOUT);
    (void) close(agent.sock);
}

static int always(void *arg) {
    (void) arg;
    return 1;
}

Test(link, can_be_cancelled) {
    struct err e = {0};
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    long long before = io_now_ms();
    cr_assert_null(link_open(pair[0], 1, 60000, always, NULL, &e));
    cr_assert_eq(e.code, ECANCELED);
    cr_assert_lt(io_now_ms() - before, 1000);
    (void) close(pair[1]);
}

Test(link, says_when_the_vmm_closed) {
    struct err e = {0};
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    (void) shutdown(pair[1], SHUT_WR);
    cr_assert_null(link_open(pair[0], 1, 60000, NULL, NULL, &e));
    cr_assert_eq(e.code, EPIPE);
    (void) close(pair[1]);
}

/* --- the link itself ------------------------------------------------------------------------ */

static void *answer_ping(void *arg) {
    struct agent *agent = arg;
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct mux_header header = guest_read(agent->sock, payload);
    cr_assert_eq(header.type, MUX_PING);
    guest_send(agent->sock, MUX_PONG, 0, payload, header.length);
    return NULL;
}

Test(link, pings) {
    struct err e = {0};
    struct agent agent = {0};
    struct link *link = open_good(&agent);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, answer_ping, &agent), 0);
    cr_assert_eq(link_ping(link, WAIT_MS, &e), 0, "%s", e.text);
    (void) pthread_join(thread, NULL);
    cr_assert_eq(link_ping(link, 100, &e), -ETIMEDOUT);
    cr_assert_eq(link_poweroff(link, &e), 0);
    uint8_t payload[MUX_PAYLOAD_MAX];
    cr_assert_eq(guest_read(agent.sock, payload).type, MUX_PING);
    cr_assert_eq(guest_read(agent.sock, payload).type, MUX_POWEROFF);
    link_drop(link);
    (void) close(agent.sock);
}

static void wait_dead(struct link *link) {
    for (int i = 0; link_alive(link) && i < 500; i++)
        (void) usleep(10000);
    cr_assert_not(link_alive(link));
}

Test(link, dies_of_what_no_agent_sends) {
    static const struct mux_header bad[] = {
        {.magic = 1, .type = MUX_PONG},
        {.magic = MUX_MAGIC, .type = 0},
        {.magic = MUX_MAGIC, .type = MUX_ANSWER + 1},
        {.magic = MUX_MAGIC, .type = MUX_DATA, .reserved = 1, .channel = 1},
        {.magic = MUX_MAGIC, .type = MUX_DATA, .channel = 1, .length = MUX_PAYLOAD_MAX + 1},
        {.magic = MUX_MAGIC, .type = MUX_QUERY},                /* without a query */
        {.magic = MUX_MAGIC, .type = MUX_ANSWER},               /* not the agent's */
        {.magic = MUX_MAGIC, .type = MUX_PONG},                 /* no ping is out */
        {.magic = MUX_MAGIC, .type = MUX_EXIT, .channel = 1},   /* never opened */
        {.magic = MUX_MAGIC, .type = MUX_HELLO, .channel = 0},  /* not the agent's */
        {.magic = MUX_MAGIC, .type = MUX_WELCOME, .channel = 0} /* once is enough */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct agent agent = {0};
        struct link *link = open_good(&agent);
        cr_assert_eq(io_write(agent.sock, &bad[i], sizeof(bad[i])), 0);
        wait_dead(link);
        link_drop(link);
        (void) close(agent.sock);
    }
}

Test(link, a_cut_frame_and_an_end_wake_the_command) {
    struct agent agent = {0};
    struct command command;
    struct link *link = open_good(&agent);
    command_start(&command, link);
    struct mux_header cut = {.magic = MUX_MAGIC, .type = MUX_DATA, .channel = guest_opened(agent.sock), .length = 100};
    cr_assert_eq(io_write(agent.sock, &cut, sizeof(cut)), 0);
    cr_assert_eq(io_write(agent.sock, "abc", 3), 0);
    (void) close(agent.sock);
    cr_assert_eq(command_end(&command), -EPIPE);
    struct err e;
    cr_assert_eq(link_ping(link, 100, &e), -EPIPE);
    link_drop(link);
}

/* --- commands ---------------------------------------------------------------------------------- */

Test(link, runs_a_command) {
    struct agent agent = {0};
    struct command command;
    struct packet packet;
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct link *link = open_good(&agent);
    command_start(&command, link);
    uint32_t channel = guest_opened(agent.sock);
    client_send(command.client, MUX_DATA, "\0hello", 6);
    struct mux_header header = guest_read(agent.sock, payload);
    cr_assert(header.type == MUX_DATA && header.channel == channel && header.length == 6);
    struct mux_window window = {.stream = 0, .credit = 5};
    guest_send(agent.sock, MUX_WINDOW_ADD, channel, &window, sizeof(window));
    cr_assert_eq(client_read(command.client, &packet), (ssize_t) (sizeof(header) + sizeof(window)));
    cr_assert(packet.header.type == MUX_WINDOW_ADD && packet.header.channel == 0);
    guest_data(agent.sock, channel, 2, "oops", 4);
    cr_assert_eq(client_read(command.client, &packet), (ssize_t) sizeof(header) + 5);
    cr_assert(packet.header.type == MUX_DATA && packet.payload[0] == 2);
    guest_send(agent.sock, MUX_EOF, channel, "\1", 1);
    guest_exit(agent.sock, channel, 42);
    (void) client_read(command.client, &packet);
    cr_assert(packet.header.type == MUX_EOF && packet.payload[0] == 1);
    (void) client_read(command.client, &packet);
    cr_assert_eq(packet.header.type, MUX_EXIT);
    cr_assert_eq(command_end(&command), 0, "%s", command.e.text);
    cr_assert(command.exit.code == 42 && command.exit.signaled == 0);
    cr_assert(link_alive(link));
    link_drop(link);
    (void) close(agent.sock);
}

Test(link, tells_the_guest_when_the_client_leaves) {
    struct agent agent = {0};
    struct command command;
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct link *link = open_good(&agent);
    command_start(&command, link);
    uint32_t channel = guest_opened(agent.sock);
    (void) close(command.client);
    command.client = -1;
    cr_assert_eq(command_end(&command), -ECONNRESET);
    struct mux_header header = guest_read(agent.sock, payload);
    cr_assert(header.type == MUX_CLOSE && header.channel == channel);
    guest_data(agent.sock, channel, 1, "late", 4); /* was on its way: no offence */
    guest_exit(agent.sock, channel, 0);
    (void) usleep(50000);
    cr_assert(link_alive(link));
    link_drop(link);
    (void) close(agent.sock);
}

static void expect_types(int sock, const enum mux_type *types, size_t count) {
    uint8_t payload[MUX_PAYLOAD_MAX];
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(guest_read(sock, payload).type, types[i], "%zu", i);
}
Test(link, a_guest_that_takes_neither_a_command_nor_its_signal_ends_it) {
    static const enum mux_type wanted[] = {MUX_OPEN, MUX_PING, MUX_CLOSE, MUX_SIGNAL, MUX_PING, MUX_CLOSE};
    const struct mux_signal number = {.signal = 15};
    struct agent agent = {0};
    struct link *link = open_good(&agent);
    struct command c;
    link->open_ms = link->signal_ms = 100;
    command_start(&c, link);
    cr_assert_eq(command_end(&c), -ETIMEDOUT);
    expect_types(agent.sock, wanted, 3);
    command_start(&c, link);
    (void) guest_opened(agent.sock);
    (void) poll(NULL, 0, 300); /* one that has taken it may be silent for as long as it likes */
    client_send(c.client, MUX_SIGNAL, &number, sizeof(number));
    cr_assert_eq(command_end(&c), -ETIMEDOUT);
    expect_types(agent.sock, wanted + 3, 3);
    link_drop(link);
    (void) close(agent.sock);
}

Test(link, ends_a_client_that_breaks_the_protocol) {
    static const struct {
        uint8_t type;
        const char *payload;
        uint32_t length;
    } bad[] = {
        {MUX_DATA, "\1x", 2},  {MUX_DATA, "\0", 1},       {MUX_EOF, "\1", 1},
        {MUX_OPEN, "open", 4}, {MUX_EXIT, "12345678", 8}, {MUX_RESIZE, "12", 2},
        {MUX_SIGNAL, "", 0},   {MUX_POWEROFF, NULL, 0},   {MUX_PING, "12345678", 8},
    };
    struct agent agent = {0};
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct link *link = open_good(&agent);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct command command;
        command_start(&command, link);
        (void) guest_opened(agent.sock);
        client_send(command.client, bad[i].type, bad[i].payload ? bad[i].payload : "", bad[i].length);
        cr_assert_eq(command_end(&command), -EPROTO, "case %zu", i);
        cr_assert_eq(guest_read(agent.sock, payload).type, MUX_CLOSE, "case %zu", i);
    }
    cr_assert(link_alive(link));
    link_drop(link);
    (void) close(agent.sock);
}

Test(link, a_client_cannot_exceed_its_window_nor_invent_credit) {
    struct agent agent = {0};
    struct command command;
    uint8_t payload[MUX_PAYLOAD_MAX] = {0};
    struct link *link = open_good(&agent);
    command_start(&command, link);
    (void) guest_opened(agent.sock);
    client_credit(command.client, 1, 1);
    cr_assert_eq(command_end(&command), -EPROTO);
    cr_assert_eq(guest_read(agent.sock, payload).type, MUX_CLOSE);
    command_start(&command, link);
    (void) guest_opened(agent.sock);
    uint32_t sent = 0;
    for (; sent + 16384 <= MUX_WINDOW; sent += 16384) {
        memset(payload, 0, sizeof(payload));
        client_send(command.client, MUX_DATA, payload, 16385);
        cr_assert_eq(guest_read(agent.sock, payload).length, 16385);
    }
    payload[0] = 0;
    client_send(command.client, MUX_DATA, payload, 2);
    cr_assert_eq(command_end(&command), -EPROTO);
    link_drop(link);
    (void) close(agent.sock);
}

Test(link, a_guest_that_exceeds_its_window_loses_the_channel_only) {
    struct agent agent = {0};
    struct command command;
    uint8_t data[16384] = {0};
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct link *link = open_good(&agent);
    command_start(&command, link);
    uint32_t channel = guest_opened(agent.sock);
    for (uint32_t sent = 0; sent <= MUX_WINDOW; sent += (uint32_t) sizeof(data))
        guest_data(agent.sock, channel, 1, data, sizeof(data));
    cr_assert_eq(command_end(&command), -EPROTO);
    cr_assert_eq(guest_read(agent.sock, payload).type, MUX_CLOSE);
    cr_assert(link_alive(link));
    link_drop(link);
    (void) close(agent.sock);
}

/* Reads `size` bytes of stream 1 and checks that they count up; gives credit back. */
static void client_consume(int sock, uint32_t size, uint8_t *next) {
    struct packet packet;
    while (size > 0) {
        (void) client_read(sock, &packet);
        cr_assert_eq(packet.header.type, MUX_DATA);
        uint32_t got = packet.header.length - 1;
        for (uint32_t i = 0; i < got; i++)
            cr_assert_eq(packet.payload[i + 1], (*next)++);
        cr_assert_leq(got, size);
        size -= got;
        client_credit(sock, 1, got);
    }
}

/* One-byte frames cost a socket far more than their bytes: what it does not take must wait, in order. */
Test(link, a_client_that_stops_reading_stops_nobody_else) {
    struct agent agent = {0};
    struct command slow;
    struct command quick;
    struct packet packet;
    uint8_t next = 0;
    struct link *link = open_good(&agent);
    command_start(&slow, link);
    uint32_t slow_channel = guest_opened(agent.sock);
    command_start(&quick, link);
    uint32_t quick_channel = guest_opened(agent.sock);
    for (uint32_t i = 0; i < MUX_WINDOW; i++) {
        uint8_t byte = (uint8_t) i;
        guest_data(agent.sock, slow_channel, 1, &byte, 1);
    }
    guest_send(agent.sock, MUX_EOF, slow_channel, "\1", 1);
    guest_exit(agent.sock, slow_channel, 7);
    guest_data(agent.sock, quick_channel, 1, "now", 3);
    cr_assert_eq(client_read(quick.client, &packet), (ssize_t) sizeof(packet.header) + 4);
    guest_exit(agent.sock, quick_channel, 0);
    cr_assert_eq(command_end(&quick), 0, "%s", quick.e.text);
    client_consume(slow.client, MUX_WINDOW, &next);
    (void) client_read(slow.client, &packet);
    cr_assert_eq(packet.header.type, MUX_EOF);
    (void) client_read(slow.client, &packet);
    cr_assert_eq(packet.header.type, MUX_EXIT);
    cr_assert_eq(command_end(&slow), 0, "%s", slow.e.text);
    cr_assert_eq(slow.exit.code, 7);
    link_drop(link);
    (void) close(agent.sock);
}

Test(link, many_channels_at_once) {
    enum { MANY = 40 };
    struct agent agent = {0};
    static struct command commands[MANY];
    uint32_t channels[MANY];
    struct link *link = open_good(&agent);
    for (int i = 0; i < MANY; i++) {
        command_start(&commands[i], link);
        channels[i] = guest_opened(agent.sock);
        for (int j = 0; j < i; j++)
            cr_assert_neq(channels[i], channels[j]);
    }
    for (int i = MANY - 1; i >= 0; i--)
        guest_exit(agent.sock, channels[i], (uint32_t) i);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(command_end(&commands[i]), 0, "%s", commands[i].e.text);
        cr_assert_eq(commands[i].exit.code, (uint32_t) i);
    }
    link_drop(link);
    (void) close(agent.sock);
}

/* --- questions to the agent itself ----------------------------------------------------------- */

struct question {
    struct link *link;
    int timeout_ms, result;
    char answer[64];
    struct err e;
    pthread_t thread;
};

static void *question_run(void *arg) {
    struct question *q = arg;
    static const char *const argv[] = {"stats", "all", NULL};
    q->result = link_ask(q->link, argv, q->answer, sizeof(q->answer), q->timeout_ms, &q->e);
    return NULL;
}

/* Asks; the channel's number. */
static uint32_t question_start(struct question *q, const struct agent *agent, int timeout_ms) {
    static const char wanted[] = "\4\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0stats\0all";
    uint8_t payload[MUX_PAYLOAD_MAX];
    q->timeout_ms = timeout_ms;
    cr_assert_eq(pthread_create(&q->thread, NULL, question_run, q), 0);
    struct mux_header header = guest_read(agent->sock, payload);
    cr_assert_eq(header.type, MUX_OPEN);
    cr_assert_eq(header.length, sizeof(wanted));
    cr_assert_eq(memcmp(payload, wanted, sizeof(wanted)), 0);
    return header.channel;
}

static int question_end(struct question *q) {
    cr_assert_eq(pthread_join(q->thread, NULL), 0);
    return q->result;
}

Test(link, asks_the_agent) {
    struct agent agent = {0};
    struct question q = {.link = open_good(&agent)};
    uint32_t channel = question_start(&q, &agent, WAIT_MS);
    guest_data(agent.sock, channel, 1, "cpu", 3);
    guest_data(agent.sock, channel, 2, "noise", 5);
    guest_data(agent.sock, channel, 1, " 7\n", 3);
    guest_exit(agent.sock, channel, 0);
    cr_assert_eq(question_end(&q), 6, "%s", q.e.text);
    cr_assert_str_eq(q.answer, "cpu 7\n");
    link_drop(q.link);
    (void) close(agent.sock);
}

Test(link, a_service_that_fails_says_why) {
    struct agent agent = {0};
    struct question q = {.link = open_good(&agent)};
    uint32_t channel = question_start(&q, &agent, WAIT_MS);
    guest_data(agent.sock, channel, 2, "no \33[2J such\nsecond", 19);
    guest_exit(agent.sock, channel, 1);
    cr_assert_eq(question_end(&q), -EREMOTEIO);
    cr_assert_str_eq(q.e.text, "the guest's agent could not answer \"stats\": no ?[2J such");
    link_drop(q.link);
    (void) close(agent.sock);
}

Test(link, a_question_has_an_end) {
    struct agent agent = {0};
    uint8_t payload[MUX_PAYLOAD_MAX];
    struct question q = {.link = open_good(&agent)};
    uint32_t channel = question_start(&q, &agent, 200);
    cr_assert_eq(question_end(&q), -ETIMEDOUT);
    struct mux_header header = guest_read(agent.sock, payload);
    cr_assert(header.type == MUX_CLOSE && header.channel == channel);
    channel = question_start(&q, &agent, WAIT_MS);
    guest_data(agent.sock, channel, 1, (char[64]){0}, 64);
    cr_assert_eq(question_end(&q), -EMSGSIZE);
    cr_assert_eq(guest_read(agent.sock, payload).type, MUX_CLOSE);
    cr_assert(link_alive(q.link));
    channel = question_start(&q, &agent, WAIT_MS);
    guest_send(agent.sock, MUX_WINDOW_ADD, channel, "nonsense", 8);
    cr_assert_eq(question_end(&q), -EPROTO);
    cr_assert_eq(guest_read(agent.sock, payload).type, MUX_CLOSE);
    (void) question_start(&q, &agent, WAIT_MS);
    (void) close(agent.sock);
    cr_assert_lt(question_end(&q), 0);
    link_drop(q.link);
}
