#include "exchange.h"

#include "../../../common/io.h"
#include "answer.h"
#include "dial.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS     2      /* each server so often */
#define TRY_MS     1500LL /* a server's time in the first round; twice that in the second */
#define ANSWER_MAX 65535

/* One question to one server. */
struct attempt {
    const char *name;
    uint16_t type, id;
    size_t query_size;
    long long until;
    struct found *found;
    uint8_t *buffer;              /* ANSWER_MAX + 2 */
    uint8_t frame[2 + QUERY_MAX]; /* the length that TCP puts in front, and the query (RFC 1035, 4.2.2) */
};

static int wait_for(const struct attempt *a, int sock, short events) {
    const long long left = a->until - io_now_ms();
    return left > 0 ? io_wait(sock, events, (int) left) : -ETIMEDOUT;
}

/* A datagram that is no answer to this query is somebody else's: the right one may follow. */
static int over_udp(struct attempt *a, int sock) {
    if (send(sock, a->frame + 2, a->query_size, MSG_NOSIGNAL) < 0)
        return -errno;
    for (;;) {
        int r = wait_for(a, sock, POLLIN);
        if (r)
            return r;
        ssize_t n = recv(sock, a->buffer, ANSWER_MAX, 0);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        r = n > 0 ? found_take(a->found, a->buffer, (size_t) n, a->id, a->name, a->type) : -EBADMSG;
        if (r != -EBADMSG)
            return r;
    }
}

static int receive_all(const struct attempt *a, int sock, uint8_t *to, size_t size) {
    for (size_t have = 0; have < size;) {
        int r = wait_for(a, sock, POLLIN);
        if (r)
            return r;
        ssize_t n = recv(sock, to + have, size - have, 0);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        have += n > 0 ? (size_t) n : 0;
    }
    return 0;
}

static int over_tcp(struct attempt *a, int sock) {
    int r = wait_for(a, sock, POLLOUT);
    /* A connection's buffer is empty at first: it takes all of a query. */
    if (r == 0 && send(sock, a->frame, 2 + a->query_size, MSG_NOSIGNAL) != (ssize_t) (2 + a->query_size))
        r = -ECONNRESET;
    if (r == 0)
        r = receive_all(a, sock, a->buffer, 2);
    const size_t size = (size_t) a->buffer[0] << 8 | a->buffer[1];
    if (r == 0)
        r = receive_all(a, sock, a->buffer, size);
    if (r == 0)
        r = found_take(a->found, a->buffer, size, a->id, a->name, a->type);
    return r == -EMSGSIZE ? -EBADMSG : r;
}

/* 0 once something was found; -ENOENT: there is no such server. */
static int try_server(struct attempt *a, uint32_t server, int edns) {
    if (getrandom(&a->id, sizeof(a->id), 0) != (ssize_t) sizeof(a->id))
        return -EIO;
    a->query_size = query_write(a->name, a->type, a->id, edns, a->frame + 2);
    if (a->query_size == 0)
        return -EINVAL;
    a->frame[0] = (uint8_t) (a->query_size >> 8);
    a->frame[1] = (uint8_t) a->query_size;
    for (enum dial_what what = DIAL_UDP; what <= DIAL_TCP; what++) {
        int sock = dial_socket(what, server);
        if (sock < 0)
            return sock;
        int r = what == DIAL_UDP ? over_udp(a, sock) : over_tcp(a, sock);
        (void) close(sock);
        if (r != -EMSGSIZE)
            return r;
    }
    return -EBADMSG;
}

/* 1 when another server may know better. */
static int is_no_answer(uint32_t rcode) {
    return rcode != LDNS_RCODE_NOERROR && rcode != LDNS_RCODE_NXDOMAIN;
}

/* One hop: the servers in turn until one answers; what it said of a failure of its own is kept as the last resort. */
static int ask(struct attempt *a, long long deadline) {
    int last = -ETIMEDOUT;
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t server = 0; server < DIAL_SERVERS_MAX && io_now_ms() < deadline; server++) {
            a->until = io_now_ms() + TRY_MS * (round + 1);
            a->until = a->until < deadline ? a->until : deadline;
            int r = try_server(a, server, 1);
            if (r == 0 && (a->found->rcode == LDNS_RCODE_FORMERR || a->found->rcode == LDNS_RCODE_NOTIMPL))
                r = try_server(a, server, 0); /* it may not know EDNS (RFC 6891, 7) */
            if (r == -ENOENT)
                break;
            if (r == 0 && !is_no_answer(a->found->rcode))
                return 0;
            last = r == 0 || last == 0 ? 0 : r;
        }
    }
    return last;
}

static int all_hops(const struct resolve_request *request, struct found *found) {
    char name[RESOLVE_NAME_MAX];
    struct attempt *a = malloc(sizeof(*a));
    int r = a && (a->buffer = malloc(ANSWER_MAX + 2)) ? 0 : -ENOMEM;
    const long long deadline = io_now_ms() + RESOLVE_PATIENCE_MS;
    memcpy(name, request->name, sizeof(name));
    for (int hop = 0; r == 0; hop++) {
        a->name = name;
        a->type = (uint16_t) request->type;
        a->found = found;
        r = hop <= RESOLVE_HOPS_MAX ? ask(a, deadline) : -ELOOP;
        if (!found->next[0])
            break;
        memcpy(name, found->next, sizeof(name));
    }
    if (a)
        free(a->buffer);
    free(a);
    return r;
}

void exchange(const struct resolve_request *request, struct resolve_reply *reply,
              uint8_t message[RESOLVE_MESSAGE_MAX]) {
    struct found found = {0};
    memset(reply, 0, sizeof(*reply));
    int r = all_hops(request, &found);
    int size = r ? r : found_message(&found, request->name, (uint16_t) request->type, message);
    for (uint32_t i = 0; size > 0 && i < found.count; i++) {
        int own = dial_is_own(found.addresses[i].address);
        found.addresses[i].own = own != 0; /* nor is one that cannot be told */
    }
    reply->error = size < 0 ? -size : 0;
    if (size > 0) {
        reply->rcode = found.rcode;
        reply->count = found.count;
        reply->size = (uint32_t) size;
        memcpy(reply->addresses, found.addresses, sizeof(reply->addresses));
    }
    found_free(&found);
}
