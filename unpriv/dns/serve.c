#include "serve.h"

#include "../../common/io.h"
#include "answer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUERY_MAX 4096 /* bytes; a client that sends more over TCP is hung up on */
#define CHANGES   64   /* read at once */
#define UDP_BATCH 64   /* queries read in a row, so that changes and connections have their turn */

struct connection {
    long long since;
    size_t used;
    int fd;                    /* -1: free */
    uint8_t in[2 + QUERY_MAX]; /* a length, and the query (RFC 1035, 4.2.2) */
};

static struct connection connections[SERVE_CONNECTIONS];
static uint8_t answer[2 + ANSWER_MAX];

/* --- making them --------------------------------------------------------------------- */

static int bind_one(int type, const struct sockaddr_in *at) {
    const int on = 1;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* Of TCP: a closed connection of an earlier server is no hindrance. Another's listener is. */
    const int stream = type == SOCK_STREAM;
    if ((stream && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on))) ||
        bind(fd, (const struct sockaddr *) at, sizeof(*at)) || (stream && listen(fd, SERVE_CONNECTIONS))) {
        int r = -errno;
        (void) close(fd);
        return r;
    }
    return fd;
}

int serve_bind(struct serve *s, uint32_t address, struct err *e) {
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(DNS_PORT), .sin_addr.s_addr = htonl(address)};
    char text[INET_ADDRSTRLEN] = "";
    (void) inet_ntop(AF_INET, &at.sin_addr, text, sizeof(text));
    s->tcp = -1;
    s->udp = bind_one(SOCK_DGRAM, &at);
    if (s->udp >= 0)
        s->tcp = bind_one(SOCK_STREAM, &at);
    if (s->tcp >= 0)
        return 0;
    int code = s->udp < 0 ? -s->udp : -s->tcp;
    if (s->udp >= 0)
        (void) close(s->udp);
    s->udp = -1;
    return code == EADDRINUSE ? err_set(e, code, "another program has port %d of %s", DNS_PORT, text)
                              : err_sys(e, code, "cannot listen on port %d of %s", DNS_PORT, text);
}

/* --- how many queries ---------------------------------------------------------------- */

static long long budget = SERVE_RATE; /* queries that may be answered now */
static long long counted;             /* io_now_ms of the last look */

/* At a full bucket a second's worth may come at once. */
static void refill(void) {
    const long long now = io_now_ms();
    const long long more = (now - counted) * SERVE_RATE / 1000;
    if (more == 0)
        return;
    counted = now;
    budget = budget + more > SERVE_RATE ? SERVE_RATE : budget + more;
}

/* --- UDP ----------------------------------------------------------------------------- */

static void serve_udp(const struct serve *s) {
    static uint8_t query[QUERY_MAX];
    for (int i = 0; i < UDP_BATCH && budget > 0; i++) {
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(s->udp, query, sizeof(query), 0, (struct sockaddr *) &from, &size);
        if (n < 0)
            return;
        budget--;
        const size_t length = dns_answer(&s->zone, query, (size_t) n, answer);
        if (length > 0)
            (void) sendto(s->udp, answer, length, 0, (const struct sockaddr *) &from, size);
    }
}

/* --- TCP ----------------------------------------------------------------------------- */

static void hang_up(struct connection *c) {
    if (c->fd >= 0)
        (void) close(c->fd);
    c->fd = -1;
}

static void serve_accept(const struct serve *s) {
    struct connection *place = connections;
    for (struct connection *c = connections; c < connections + SERVE_CONNECTIONS && place->fd >= 0; c++) {
        if (c->fd < 0 || c->since < place->since)
            place = c;
    }
    int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    hang_up(place);
    place->fd = fd;
    place->used = 0;
    place->since = io_now_ms();
}

/* Answers the query at the front, which is complete, and takes it away. 0, or -1: hang up. */
static int answer_first(const struct serve *s, struct connection *c, size_t size) {
    const size_t length = dns_answer(&s->zone, c->in + 2, size, answer + 2);
    answer[0] = (uint8_t) (length >> 8);
    answer[1] = (uint8_t) length;
    budget--;
    c->since = io_now_ms();
    c->used -= 2 + size;
    memmove(c->in, c->in + 2 + size, c->used);
    /* Who does not read its answers gets no more of them. */
    return length > 0 && send(c->fd, answer, 2 + length, MSG_NOSIGNAL) == (ssize_t) (2 + length) ? 0 : -1;
}

static int serve_connection(const struct serve *s, struct connection *c) {
    ssize_t n = recv(c->fd, c->in + c->used, sizeof(c->in) - c->used, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    c->used += (size_t) n;
    while (c->used >= 2) {
        const size_t size = (size_t) c->in[0] << 8 | c->in[1];
        if (size > QUERY_MAX)
            return -1;
        if (c->used < 2 + size)
            return 0;
        if (answer_first(s, c, size))
            return -1;
    }
    return 0;
}

/* --- the loop ------------------------------------------------------------------------ */

/* Takes what the engine says. 1 to go on, 0 at its end, or -EBADMSG. */
static int take_changes(struct serve *s) {
    static struct dns_name changes[CHANGES];
    static size_t used; /* bytes */
    ssize_t n = recv(s->control, (uint8_t *) changes + used, sizeof(changes) - used, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 1 : 0;
    used += (size_t) n;
    const size_t whole = used / sizeof(changes[0]);
    for (size_t i = 0; i < whole; i++) {
        if (zone_take(&s->zone, &changes[i]))
            return -EBADMSG;
    }
    used %= sizeof(changes[0]);
    memmove(changes, &changes[whole], used);
    return 1;
}

/* Hangs up on who is silent for too long; how long until the next one is, -1 without connections. */
static int expire(void) {
    const long long now = io_now_ms();
    long long next = -1;
    for (struct connection *c = connections; c < connections + SERVE_CONNECTIONS; c++) {
        if (c->fd < 0)
            continue;
        const long long left = c->since + SERVE_IDLE_MS - now;
        if (left <= 0)
            hang_up(c);
        else if (next < 0 || left < next)
            next = left;
    }
    return (int) next;
}

static int turn(struct serve *s) {
    struct pollfd p[3 + SERVE_CONNECTIONS] = {
        {.fd = s->control, .events = POLLIN}, {.fd = s->udp, .events = POLLIN}, {.fd = s->tcp, .events = POLLIN}};
    const int wait = expire();
    for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
        p[3 + i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
    refill();
    const int spent = budget <= 0; /* then queries wait, in the kernel, for the next tenth of a second */
    if (poll(p, spent ? 1 : 3 + SERVE_CONNECTIONS, spent ? 100 : wait) < 0)
        return errno == EINTR ? 1 : -errno;
    if (spent)
        return p[0].revents ? take_changes(s) : 1;
    const int r = p[0].revents ? take_changes(s) : 1;
    if (p[1].revents)
        serve_udp(s);
    for (size_t i = 0; i < SERVE_CONNECTIONS; i++) {
        if (p[3 + i].revents && serve_connection(s, &connections[i]))
            hang_up(&connections[i]);
    }
    if (p[2].revents)
        serve_accept(s);
    return r;
}

int serve_run(struct serve *s) {
    int r = 1;
    for (struct connection *c = connections; c < connections + SERVE_CONNECTIONS; c++)
        c->fd = -1;
    counted = io_now_ms();
    while (r > 0)
        r = turn(s);
    return r;
}
