/* UDP: each client of a port has a flow, a socket of its own towards the guest, until
 * nothing went through it for a while. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_MS       90000
#define LOOK_MS       5000
#define DATAGRAM_MOST 65536
#define TURN          64 /* datagrams of one socket, then the others have their turn */
#define CHAINS        1024

/* Where a datagram came from, and to which of the host's addresses. */
struct ends {
    union address client;
    socklen_t client_size;
    uint8_t host[16]; /* of IPv4 the first four bytes */
};

struct flow {
    struct watch watch;
    struct port *port;
    int fd;
    struct ends ends;
    long long used;
    struct flow *next, *previous; /* of the port */
    struct flow *next_in_chain;
    struct flow *younger, *older; /* by last use */
};

static struct flow *chains[CHAINS];
static struct flow *oldest, *youngest;

/* --- ancillary data: IP_PKTINFO (ip(7)), IPV6_PKTINFO (ipv6(7)) ---------------------------- */

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void read_host(struct msghdr *message, struct ends *ends) {
    memset(ends->host, 0, sizeof(ends->host));
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct in_pktinfo in;
        struct in6_pktinfo in6;
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && c->cmsg_len == CMSG_LEN(sizeof(in))) {
            memcpy(&in, CMSG_DATA(c), sizeof(in));
            memcpy(ends->host, &in.ipi_addr, sizeof(in.ipi_addr));
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
                   c->cmsg_len == CMSG_LEN(sizeof(in6))) {
            memcpy(&in6, CMSG_DATA(c), sizeof(in6));
            memcpy(ends->host, &in6.ipi6_addr, sizeof(in6.ipi6_addr));
        }
    }
}

static void write_host(struct msghdr *message, union control *control, const struct ends *ends) {
    struct in_pktinfo in = {0};
    struct in6_pktinfo in6 = {0};
    const int is_in = ends->client.any.sa_family == AF_INET;
    const size_t size = is_in ? sizeof(in) : sizeof(in6);
    memcpy(&in.ipi_spec_dst, ends->host, sizeof(in.ipi_spec_dst));
    memcpy(&in6.ipi6_addr, ends->host, sizeof(in6.ipi6_addr));
    memset(control, 0, sizeof(*control));
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    c->cmsg_level = is_in ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = is_in ? IP_PKTINFO : IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), is_in ? (const void *) &in : (const void *) &in6, size);
}

/* --- flows ------------------------------------------------------------------------------------ */

/* FNV-1a over what tells flows apart. */
static struct flow **chain_of(const struct port *port, const struct ends *ends) {
    uint32_t hash = 2166136261u;
    const uintptr_t key = (uintptr_t) port;
    const uint8_t *parts[] = {(const uint8_t *) &ends->client, ends->host, (const uint8_t *) &key};
    const size_t sizes[] = {ends->client_size, sizeof(ends->host), sizeof(key)};
    for (size_t p = 0; p < 3; p++) {
        for (size_t i = 0; i < sizes[p]; i++)
            hash = (hash ^ parts[p][i]) * 16777619u;
    }
    return &chains[hash % CHAINS];
}

static int same_ends(const struct ends *a, const struct ends *b) {
    return a->client_size == b->client_size && memcmp(&a->client, &b->client, a->client_size) == 0 &&
           memcmp(a->host, b->host, sizeof(a->host)) == 0;
}

static void age_unlink(struct flow *f) {
    *(f->older ? &f->older->younger : &oldest) = f->younger;
    *(f->younger ? &f->younger->older : &youngest) = f->older;
}

static void age_link(struct flow *f) {
    f->used = loop_now();
    f->younger = NULL;
    f->older = youngest;
    *(youngest ? &youngest->younger : &oldest) = f;
    youngest = f;
}

static void touch(struct flow *f) {
    age_unlink(f);
    age_link(f);
}

static void end(struct flow *f) {
    struct flow **at = chain_of(f->port, &f->ends);
    while (*at != f)
        at = &(*at)->next_in_chain;
    *at = f->next_in_chain;
    age_unlink(f);
    *(f->previous ? &f->previous->next : &f->port->flows) = f->next;
    if (f->next)
        f->next->previous = f->previous;
    slot_leave(f->port->slot);
    (void) close(f->fd);
    loop_bury(&f->watch);
    ports_resume();
}

void udp_close_port(struct port *port) {
    while (port->flows)
        end(port->flows);
}

int udp_expire(void) {
    while (oldest && loop_now() - oldest->used >= IDLE_MS)
        end(oldest);
    return oldest ? LOOK_MS : -1;
}

/* --- datagrams ---------------------------------------------------------------------------------- */

static uint8_t datagram[DATAGRAM_MOST];

/* From the guest. That it refuses (ICMP) is as if it said nothing. */
static void flow_ready(struct watch *watch, uint32_t events) {
    struct flow *f = (struct flow *) watch;
    (void) events;
    for (int i = 0; i < TURN; i++) {
        ssize_t n = recv(f->fd, datagram, sizeof(datagram), 0);
        if (n < 0)
            return;
        union control control;
        struct iovec part = {datagram, (size_t) n};
        struct msghdr message = {
            .msg_name = &f->ends.client, .msg_namelen = f->ends.client_size, .msg_iov = &part, .msg_iovlen = 1};
        write_host(&message, &control, &f->ends);
        (void) sendmsg(f->port->fd, &message, 0);
        touch(f);
    }
}

/* Room for one more: the slot's oldest flow gives way. */
static int make_room(uint32_t slot) {
    struct flow *f = oldest;
    while (f && f->port->slot != slot)
        f = f->younger;
    if (f)
        end(f);
    return f && slot_enter(slot);
}

static struct flow *begin(struct port *port, const struct ends *ends) {
    if (!slot_enter(port->slot) && !make_room(port->slot))
        return NULL;
    struct flow *f = calloc(1, sizeof(*f));
    int fd = f ? port_connect(port, SOCK_DGRAM) : -1;
    if (fd < 0 || loop_watch(EPOLL_CTL_ADD, fd, EPOLLIN, &f->watch)) {
        if (fd >= 0)
            (void) close(fd);
        free(f);
        slot_leave(port->slot);
        return NULL;
    }
    struct flow **chain = chain_of(port, ends);
    f->watch.ready = flow_ready;
    f->port = port;
    f->fd = fd;
    f->ends = *ends;
    f->next_in_chain = *chain;
    *chain = f;
    f->next = port->flows;
    if (f->next)
        f->next->previous = f;
    port->flows = f;
    age_link(f);
    return f;
}

static struct flow *flow_of(struct port *port, const struct ends *ends) {
    struct flow *f = *chain_of(port, ends);
    while (f && (f->port != port || !same_ends(&f->ends, ends)))
        f = f->next_in_chain;
    if (!f)
        return begin(port, ends);
    touch(f);
    return f;
}

void udp_ready(struct watch *watch, uint32_t events) {
    struct port *port = (struct port *) watch;
    (void) events;
    for (int i = 0; i < TURN; i++) {
        union control control;
        struct ends ends = {0};
        struct iovec part = {datagram, sizeof(datagram)};
        struct msghdr message = {.msg_name = &ends.client,
                                 .msg_namelen = sizeof(ends.client),
                                 .msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(port->fd, &message, 0);
        if (n < 0)
            return;
        ends.client_size = message.msg_namelen;
        read_host(&message, &ends);
        struct flow *f = flow_of(port, &ends);
        if (f)
            (void) send(f->fd, datagram, (size_t) n, 0);
    }
}
