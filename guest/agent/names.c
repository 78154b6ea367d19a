#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 15000 /* until a query counts as unanswered */
#define IDLE_MS     10000 /* a connection without one */
#define AT_ONCE     16    /* datagrams a turn: commands' channels come first */
#define HEADER      12    /* of a DNS message */

/* A query that the host has and has not answered. */
struct pending {
    uint32_t id; /* 0: free */
    long long until;
    int connection; /* -1: a datagram, from `from` */
    struct sockaddr_in from;
};

struct connection {
    int fd;   /* -1: free */
    int busy; /* its query is with the host */
    long long until;
    size_t have, sent, size;
    uint8_t in[2 + MUX_QUERY_MAX];
    uint8_t *out; /* the answer with its length, malloc'ed, while it is sent */
};

static struct names {
    int udp, tcp; /* -1: none */
    uint32_t last_id;
    struct pending pending[MUX_QUERIES_MAX];
    struct connection connections[AGENT_NAMES_CONNECTIONS];
} names = {.udp = -1, .tcp = -1};

/* --- opening ------------------------------------------------------------------ */

static int bound(int type, uint16_t port) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(AGENT_NAMES_ADDRESS)};
    struct sockaddr address;
    int yes = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(&address, &at, sizeof address);
    if (fd < 0)
        return -errno;
    /* So that a server of root's that asks for the same can have 0.0.0.0 beside it (socket(7)). */
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    if (bind(fd, &address, sizeof address) < 0 || (type == SOCK_STREAM && listen(fd, 16) < 0)) {
        int code = -errno;
        (void) close(fd);
        return code;
    }
    return fd;
}

int agent_names_open(uint16_t port) {
    names = (struct names){.udp = -1, .tcp = -1};
    for (size_t i = 0; i < AGENT_NAMES_CONNECTIONS; i++)
        names.connections[i].fd = -1;
    int udp = bound(SOCK_DGRAM, port), tcp = bound(SOCK_STREAM, port);
    if (udp < 0 || tcp < 0) {
        int code = udp < 0 ? udp : tcp;
        if (udp >= 0)
            (void) close(udp);
        if (tcp >= 0)
            (void) close(tcp);
        return code;
    }
    names.udp = udp;
    names.tcp = tcp;
    return 0;
}

/* --- queries ------------------------------------------------------------------ */

static void connection_end(struct connection *c) {
    const int number = (int) (c - names.connections);
    for (size_t i = 0; i < MUX_QUERIES_MAX; i++) /* its answer is for nobody, and not for the next one here */
        if (names.pending[i].id && names.pending[i].connection == number)
            names.pending[i].id = 0;
    if (c->fd >= 0)
        (void) close(c->fd);
    free(c->out);
    *c = (struct connection){.fd = -1};
}

static struct pending *pending_free(long long now) {
    for (size_t i = 0; i < MUX_QUERIES_MAX; i++)
        if (names.pending[i].id == 0 || names.pending[i].until <= now)
            return &names.pending[i];
    return NULL;
}

/* Sends a query on; 0 when there are too many already. Room for the frame was seen to. */
static int pass_on(struct agent_out *out, const uint8_t *bytes, size_t size, int connection,
                   const struct sockaddr_in *from) {
    struct pending *p = pending_free(agent_now_ms());
    if (!p || size < HEADER || size > MUX_QUERY_MAX)
        return 0;
    names.last_id += names.last_id == UINT32_MAX ? 2 : 1; /* 0 is no id */
    *p = (struct pending){.id = names.last_id, .until = agent_now_ms() + PATIENCE_MS, .connection = connection};
    if (from)
        p->from = *from;
    struct mux_query query = {.id = p->id, .tcp = connection >= 0};
    uint8_t *place = agent_out_payload(out);
    memcpy(place, &query, sizeof query);
    memcpy(place + sizeof query, bytes, size);
    agent_out_commit(out, MUX_QUERY, 0, sizeof query + size);
    return 1;
}

/* Half of it is the commands'. */
static int has_room(const struct agent_out *out) {
    return AGENT_OUT_SIZE - (out->tail - out->head) > AGENT_OUT_SIZE / 2;
}

static void datagrams_take(struct agent_out *out) {
    for (int i = 0; i < AT_ONCE && has_room(out); i++) {
        uint8_t bytes[MUX_QUERY_MAX + 1];
        struct sockaddr_in from;
        struct sockaddr address;
        socklen_t size = sizeof address;
        ssize_t got = recvfrom(names.udp, bytes, sizeof bytes, 0, &address, &size);
        if (got < 0)
            return;
        memcpy(&from, &address, sizeof from);
        (void) pass_on(out, bytes, (size_t) got, -1, &from);
    }
}

static void connection_accept(void) {
    int fd = accept4(names.tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *place = NULL;
    for (size_t i = 0; i < AGENT_NAMES_CONNECTIONS; i++) { /* a free one, else that which is due first */
        struct connection *c = &names.connections[i];
        if (!place || c->fd < 0 || (place->fd >= 0 && c->until < place->until))
            place = c;
        if (place->fd < 0)
            break;
    }
    if (fd < 0)
        return;
    connection_end(place);
    place->fd = fd;
    place->until = agent_now_ms() + IDLE_MS;
}

static void connection_read(struct connection *c, struct agent_out *out) {
    size_t want = c->have < 2 ? 2 : 2 + ((size_t) c->in[0] << 8 | c->in[1]);
    if (!has_room(out))
        return;
    ssize_t got = want > sizeof c->in ? 0 : read(c->fd, c->in + c->have, want - c->have);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        connection_end(c);
        return;
    }
    c->have += (size_t) got;
    if (c->have < 2 || c->have < 2 + ((size_t) c->in[0] << 8 | c->in[1]))
        return;
    c->busy = pass_on(out, c->in + 2, c->have - 2, (int) (c - names.connections), NULL);
    c->have = 0;
    c->until = agent_now_ms() + PATIENCE_MS;
    if (!c->busy)
        connection_end(c);
}

/* --- answers ------------------------------------------------------------------ */

static void connection_write(struct connection *c) {
    ssize_t put = send(c->fd, c->out + c->sent, c->size - c->sent, MSG_NOSIGNAL);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (put <= 0) {
        connection_end(c);
        return;
    }
    c->sent += (size_t) put;
    if (c->sent < c->size)
        return;
    free(c->out);
    c->out = NULL;
    c->busy = 0;
    c->until = agent_now_ms() + IDLE_MS;
}

static void connection_answer(struct connection *c, const uint8_t *bytes, size_t size) {
    c->out = malloc(size + 2);
    if (!c->out) {
        connection_end(c);
        return;
    }
    c->out[0] = (uint8_t) (size >> 8);
    c->out[1] = (uint8_t) size;
    memcpy(c->out + 2, bytes, size);
    c->size = size + 2;
    c->sent = 0;
    connection_write(c);
}

void agent_names_answer(const uint8_t *payload, size_t size) {
    struct mux_answer answer;
    if (names.udp < 0 || size < sizeof answer + HEADER || size > sizeof answer + MUX_ANSWER_MAX)
        return;
    memcpy(&answer, payload, sizeof answer);
    for (size_t i = 0; i < MUX_QUERIES_MAX; i++) {
        struct pending *p = &names.pending[i];
        if (p->id == 0 || p->id != answer.id)
            continue;
        p->id = 0;
        struct connection *c = p->connection >= 0 ? &names.connections[p->connection] : NULL;
        struct sockaddr to;
        memcpy(&to, &p->from, sizeof to);
        if (!c)
            (void) sendto(names.udp, payload + sizeof answer, size - sizeof answer, 0, &to, sizeof to);
        else if (c->fd >= 0 && c->busy && !c->out)
            connection_answer(c, payload + sizeof answer, size - sizeof answer);
        return;
    }
}

/* --- the loop's part ------------------------------------------------------------ */

static short wanted(const struct connection *c) {
    if (c->out)
        return POLLOUT;
    return c->busy ? 0 : POLLIN;
}

size_t agent_names_polls(struct pollfd *list, int *timeout) {
    const long long now = agent_now_ms();
    size_t count = 0;
    if (names.udp < 0)
        return 0;
    list[count++] = (struct pollfd){.fd = names.udp, .events = POLLIN};
    list[count++] = (struct pollfd){.fd = names.tcp, .events = POLLIN};
    for (size_t i = 0; i < AGENT_NAMES_CONNECTIONS; i++) {
        struct connection *c = &names.connections[i];
        if (c->fd >= 0 && c->until <= now)
            connection_end(c);
        list[count++] = (struct pollfd){.fd = c->fd, .events = wanted(c)};
        if (c->fd >= 0 && (*timeout < 0 || c->until - now < *timeout))
            *timeout = (int) (c->until - now);
    }
    return count;
}

void agent_names_take(const struct pollfd *list, size_t count, struct agent_out *out) {
    if (count == 0)
        return;
    if (list[0].revents)
        datagrams_take(out);
    for (size_t i = 0; i < AGENT_NAMES_CONNECTIONS; i++) {
        struct connection *c = &names.connections[i];
        const short events = list[2 + i].revents;
        if (c->fd < 0 || c->fd != list[2 + i].fd || !events)
            continue;
        if (c->out)
            connection_write(c);
        else if (c->busy)
            connection_end(c); /* hung up before its answer */
        else
            connection_read(c, out);
    }
    if (list[1].revents)
        connection_accept();
}
