/* The vsock device: packets of streams, each with a header and credit (virtio 1.2, 5.10.6),
 * and the Unix sockets with which Firecracker carries them (docs/vsock.md): a connection of
 * the host's begins with "CONNECT PORT\n", which has to be there in one piece. */
#include "fake.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STREAMS    48
#define CREDIT     65536u
#define TIMEOUT_MS 2000
#define FIRST_PORT (1u << 30)
#define HOST_CID   2u

enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

struct header {
    uint64_t from_cid, to_cid;
    uint32_t from_port, to_port, size;
    uint16_t type, op;
    uint32_t flags, credit, taken;
} __attribute__((packed));

static struct stream {
    int fd; /* -1: none */
    enum { NEW, ASKED, OPEN } state;
    long long since;
    uint32_t host_port, guest_port;
    uint32_t peer_credit, peer_taken, sent; /* what the guest takes, has taken, and was sent */
    uint32_t taken, told;                   /* of the guest's bytes, and what it knows of that */
    uint8_t *held;                          /* of the guest's bytes, CREDIT at most */
    uint32_t held_size;
} streams[STREAMS];
static int listener = -1;
static uint32_t guest_cid, next_port = FIRST_PORT;
static struct header queue[256]; /* packets without data, for when there is a buffer */
static size_t queued;

uint32_t vsock_cid(void) {
    return guest_cid;
}

int vsock_listen(const char *path, uint32_t cid) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (listener >= 0) { /* a second PUT */
        (void) close(listener);
        (void) unlink(path);
    }
    for (int i = 0; i < STREAMS && listener < 0; i++)
        streams[i].fd = -1;
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    guest_cid = cid;
    if (bind(listener, (struct sockaddr *) &address, sizeof(address)) == 0 && listen(listener, 128) == 0)
        return 0;
    int error = errno;
    (void) close(listener);
    listener = -1;
    errno = error;
    return -1;
}

/* --- packets ---------------------------------------------------------------------------------- */

static struct header header_for(struct stream *s, uint16_t op, uint32_t size) {
    s->told = s->taken;
    return (struct header){.from_cid = HOST_CID,
                           .to_cid = guest_cid,
                           .from_port = s->host_port,
                           .to_port = s->guest_port,
                           .size = size,
                           .type = 1,
                           .op = op,
                           .flags = op == SHUTDOWN ? 3 : 0,
                           .credit = CREDIT,
                           .taken = s->taken};
}

static void tell(struct stream *s, uint16_t op) {
    if (queued < sizeof(queue) / sizeof(queue[0]))
        queue[queued++] = header_for(s, op, 0);
}

static void forget(struct stream *s) {
    (void) close(s->fd);
    free(s->held);
    *s = (struct stream){.fd = -1};
}

static void flush_held(struct stream *s) {
    while (s->held_size > 0) {
        ssize_t n = send(s->fd, s->held, s->held_size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            return;
        s->held_size -= (uint32_t) n;
        memmove(s->held, s->held + n, s->held_size);
        s->taken += (uint32_t) n;
    }
    if (s->taken - s->told > CREDIT / 4)
        tell(s, CREDIT_UPDATE);
}

static void take_data(struct stream *s, const uint8_t *data, uint32_t size) {
    if (size > CREDIT - s->held_size) { /* beyond its credit */
        tell(s, RST);
        forget(s);
        return;
    }
    memcpy(s->held + s->held_size, data, size);
    s->held_size += size;
    flush_held(s);
}

static void opened(struct stream *s) {
    char line[32];
    int n = snprintf(line, sizeof(line), "OK %u\n", s->host_port);
    s->state = OPEN;
    (void) send(s->fd, line, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static struct stream *find(const struct header *h) {
    for (int i = 0; i < STREAMS; i++)
        if (streams[i].fd >= 0 && streams[i].state != NEW && streams[i].host_port == h->to_port &&
            streams[i].guest_port == h->from_port)
            return &streams[i];
    return NULL;
}

void vsock_packet(const uint8_t *packet, size_t size) {
    struct header h;
    if (size < sizeof(h))
        return;
    memcpy(&h, packet, sizeof(h));
    struct stream *s = find(&h), none = {.host_port = h.to_port, .guest_port = h.from_port};
    if (!s) { /* a connection to the host has no listener here, and what is closed is closed */
        if (h.op != RST)
            tell(&none, RST);
        return;
    }
    s->peer_credit = h.credit;
    s->peer_taken = h.taken;
    if (h.op == RESPONSE && s->state == ASKED)
        opened(s);
    else if (h.op == RW && s->state == OPEN && h.size <= size - sizeof(h))
        take_data(s, packet + sizeof(h), h.size);
    else if (h.op == CREDIT_REQUEST)
        tell(s, CREDIT_UPDATE);
    else if (h.op == SHUTDOWN)
        tell(s, RST);
    if ((h.op == RST || h.op == SHUTDOWN) && s->fd >= 0)
        forget(s);
}

/* --- the host's side --------------------------------------------------------------------------- */

static void begin(struct stream *s) {
    char line[33] = "";
    unsigned port;
    int used = 0;
    ssize_t n = recv(s->fd, line, 32, MSG_PEEK | MSG_DONTWAIT);
    for (ssize_t i = 0; i < n && i < 8; i++)
        line[i] = (char) toupper((unsigned char) line[i]);
    if (n < 10 || !strchr(line, '\n') || sscanf(line, "CONNECT %u%n", &port, &used) != 1 || line[used] != '\n') {
        forget(s);
        return;
    }
    (void) recv(s->fd, line, (size_t) used + 1, MSG_DONTWAIT);
    s->state = ASKED;
    s->since = now_ms();
    s->guest_port = port;
    s->host_port = next_port++;
    s->held = malloc(CREDIT);
    tell(s, REQUEST);
}

static void send_data(struct stream *s) {
    static uint8_t data[65536];
    size_t room = vhost_room();
    uint32_t credit = s->peer_credit - (s->sent - s->peer_taken);
    if (room <= sizeof(struct header) || credit == 0)
        return;
    room -= sizeof(struct header);
    ssize_t n = recv(s->fd, data, room < credit ? room : credit, MSG_DONTWAIT);
    if (n < 0)
        return;
    if (n == 0) {
        tell(s, SHUTDOWN);
        forget(s);
        return;
    }
    struct header h = header_for(s, RW, (uint32_t) n);
    s->sent += (uint32_t) n;
    vhost_send(&h, sizeof(h), data, (size_t) n);
}

void vsock_pump(void) {
    size_t done = 0;
    while (done < queued && vhost_can_send()) {
        vhost_send(&queue[done], sizeof(queue[0]), NULL, 0);
        done++;
    }
    queued -= done;
    memmove(queue, queue + done, queued * sizeof(queue[0]));
}

static int can_carry(const struct stream *s) {
    return s->state == OPEN && vhost_can_send() && s->sent - s->peer_taken < s->peer_credit;
}

/* Nobody is let in before the guest has its device. */
size_t vsock_poll(struct pollfd *list) {
    list[0] = (struct pollfd){.fd = vhost_can_send() ? listener : -1, .events = POLLIN};
    for (int i = 0; i < STREAMS; i++) {
        const struct stream *s = &streams[i];
        list[1 + i] = (struct pollfd){.fd = listener >= 0 ? s->fd : -1};
        if (list[1 + i].fd >= 0 && (s->state == NEW || can_carry(s)))
            list[1 + i].events |= POLLIN;
        if (list[1 + i].fd >= 0 && s->held_size > 0)
            list[1 + i].events |= POLLOUT;
    }
    return 1 + STREAMS;
}

static void serve(struct stream *s, short events) {
    if (s->state == NEW && events)
        begin(s);
    else if (s->state == ASKED && now_ms() - s->since > TIMEOUT_MS) {
        tell(s, RST);
        forget(s);
    } else if (s->state == OPEN) {
        flush_held(s);
        if (events & POLLIN)
            send_data(s);
        else if (events & (POLLHUP | POLLERR)) {
            tell(s, SHUTDOWN);
            forget(s);
        }
    }
}

void vsock_turn(const struct pollfd *list) {
    if (listener < 0)
        return;
    for (int i = 0; i < STREAMS; i++)
        if (streams[i].fd >= 0 && streams[i].fd == list[1 + i].fd)
            serve(&streams[i], list[1 + i].revents);
    int fd = list[0].revents ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    for (int i = 0; fd >= 0 && i < STREAMS; i++) {
        if (streams[i].fd < 0) {
            streams[i] = (struct stream){.fd = fd, .state = NEW};
            fd = -1;
        }
    }
    if (fd >= 0)
        (void) close(fd);
    vsock_pump();
}
