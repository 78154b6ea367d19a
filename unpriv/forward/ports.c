/* What is listened on: one request names all ports of a slot. */
#include "internal.h"

#include "../../common/addr.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG  128
#define SYN_SENT 4 /* a guest that does not answer is given up after half a minute */

static struct port *ports;
static unsigned paused;
static unsigned sockets, sockets_of[SLOT_MAX];
struct limits forward_limits;

/* --- counting --------------------------------------------------------------------------- */

int slot_enter(uint32_t slot) {
    if (sockets >= forward_limits.sockets || sockets_of[slot] >= forward_limits.sockets_of_slot)
        return 0;
    sockets++;
    sockets_of[slot]++;
    return 1;
}

void slot_leave(uint32_t slot) {
    sockets--;
    sockets_of[slot]--;
}

/* --- one port ----------------------------------------------------------------------------- */

socklen_t port_address(const struct forward_rule *rule, union address *out) {
    memset(out, 0, sizeof(*out));
    out->any.sa_family = rule->family;
    if (rule->family == AF_INET) {
        out->in.sin_port = htons(rule->host);
        memcpy(&out->in.sin_addr, rule->address, sizeof(out->in.sin_addr));
        return sizeof(out->in);
    }
    out->in6.sin6_port = htons(rule->host);
    memcpy(&out->in6.sin6_addr, rule->address, sizeof(out->in6.sin6_addr));
    return sizeof(out->in6);
}

int port_connect(const struct port *port, int type) {
    const int tries = SYN_SENT;
    const struct sockaddr_in guest = {
        .sin_family = AF_INET, .sin_port = htons(port->rule.guest), .sin_addr.s_addr = htonl(port->guest)};
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (type == SOCK_STREAM)
        (void) setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries));
    if (connect(fd, (const struct sockaddr *) &guest, sizeof(guest)) == 0 || errno == EINPROGRESS)
        return fd;
    int r = -errno;
    (void) close(fd);
    return r;
}

/* A socket of IPv6 takes no IPv4: each family is a rule of its own. Datagrams tell which of the
 * host's addresses they came to, for the answer to come from there. */
static int set_options(int fd, const struct forward_rule *rule) {
    const int on = 1;
    if (rule->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)))
        return -errno;
    int r;
    if (rule->protocol == IPPROTO_TCP)
        r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    else if (rule->family == AF_INET)
        r = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    else
        r = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
    return r ? -errno : 0;
}

static int listen_on(const struct forward_rule *rule) {
    union address address;
    socklen_t size = port_address(rule, &address);
    int type = rule->protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
    int fd = socket(rule->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = set_options(fd, rule);
    if (r == 0 && (bind(fd, &address.any, size) || (type == SOCK_STREAM && listen(fd, BACKLOG))))
        r = -errno;
    if (r == 0)
        return fd;
    (void) close(fd);
    return r;
}

static struct port *port_new(const struct forward_request *request, const struct forward_rule *rule, int fd) {
    struct port *port = calloc(1, sizeof(*port));
    if (!port)
        return NULL;
    port->watch.ready = rule->protocol == IPPROTO_TCP ? tcp_ready : udp_ready;
    port->rule = *rule;
    port->slot = request->slot;
    port->fd = fd;
    return port;
}

static void port_close(struct port *port) {
    if (port->rule.protocol == IPPROTO_TCP)
        tcp_close_port(port);
    else
        udp_close_port(port);
    (void) close(port->fd); /* epoll forgets it */
    loop_bury(&port->watch);
}

/* Lets in who comes, or no longer. */
static void port_open(struct port *port, int open) {
    if (port->open == open)
        return;
    if (loop_watch(open ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, port->fd, EPOLLIN, &port->watch) == 0)
        port->open = open;
}

void port_pause(struct port *port) {
    port_open(port, 0);
    paused = 1;
}

void ports_resume(void) {
    if (!paused)
        return;
    paused = 0;
    for (struct port *port = ports; port; port = port->next)
        port_open(port, port->guest != 0);
}

int ports_paused(void) {
    return (int) paused;
}

/* --- a request ------------------------------------------------------------------------------- */

static int is_sound(const struct forward_request *request) {
    if (request->version != FORWARD_VERSION || request->slot >= SLOT_MAX || request->count > FORWARD_RULES_MAX)
        return 0;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct forward_rule *rule = &request->rules[i];
        if ((rule->family != AF_INET && rule->family != AF_INET6) ||
            (rule->protocol != IPPROTO_TCP && rule->protocol != IPPROTO_UDP) || rule->host == 0 || rule->guest == 0)
            return 0;
    }
    return 1;
}

static int same_place(const struct forward_rule *a, const struct forward_rule *b) {
    return a->family == b->family && a->protocol == b->protocol && a->host == b->host &&
           memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

static struct port *find(uint32_t slot, const struct forward_rule *rule) {
    struct port *port = ports;
    while (port && (port->slot != slot || !same_place(&port->rule, rule)))
        port = port->next;
    return port;
}

/* Who has what could not be had: an address that is all zeros is every one. */
static uint32_t holder(const struct forward_rule *rule) {
    static const uint8_t every[16];
    for (const struct port *port = ports; port; port = port->next) {
        const struct forward_rule *other = &port->rule;
        if (other->protocol == rule->protocol && other->host == rule->host && other->family == rule->family &&
            (memcmp(other->address, rule->address, sizeof(every)) == 0 ||
             memcmp(other->address, every, sizeof(every)) == 0 || memcmp(rule->address, every, sizeof(every)) == 0))
            return port->slot;
    }
    return FORWARD_NO_SLOT;
}

/* The ports of the request that are not there yet. */
struct opened {
    struct port *list;
    uint32_t count;
};

static int open_one(const struct forward_request *request, const struct forward_rule *rule, struct opened *opened) {
    int fd = listen_on(rule);
    if (fd < 0)
        return rule->optional && (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT) ? 0 : fd;
    struct port *port = port_new(request, rule, fd);
    if (!port) {
        (void) close(fd);
        return -ENOMEM;
    }
    port->next = opened->list;
    opened->list = port;
    return 0;
}

static void note(const struct forward_request *request, uint32_t rule, int error, struct forward_reply *reply) {
    if (reply->error)
        return;
    reply->error = -error;
    reply->rule = rule;
    reply->slot = error == -EADDRINUSE ? holder(&request->rules[rule]) : FORWARD_NO_SLOT;
}

static void close_list(struct port *list) {
    while (list) {
        struct port *port = list;
        list = port->next;
        port_close(port);
    }
}

/* 0 when all that is asked for is open, or as much of it as can be had is enough. */
static int open_all(const struct forward_request *request, struct opened *opened, struct forward_reply *reply) {
    for (uint32_t i = 0; i < request->count; i++) {
        int r = find(request->slot, &request->rules[i]) ? 0 : open_one(request, &request->rules[i], opened);
        if (r == 0)
            continue;
        note(request, i, r, reply);
        if (!(request->flags & FORWARD_BEST))
            return r;
    }
    return 0;
}

static const struct forward_rule *asked_for(const struct forward_request *request, const struct port *port) {
    for (uint32_t i = 0; i < request->count; i++) {
        if (same_place(&request->rules[i], &port->rule))
            return &request->rules[i];
    }
    return NULL;
}

/* From now on the slot has what the request names. */
static void commit(const struct forward_request *request, struct port *opened) {
    struct port **at = &ports;
    while (*at) {
        struct port *port = *at;
        if (port->slot == request->slot && !asked_for(request, port)) {
            *at = port->next;
            port_close(port);
        } else {
            at = &port->next;
        }
    }
    *at = opened;
    for (struct port *port = ports; port; port = port->next) {
        const struct forward_rule *rule = port->slot == request->slot ? asked_for(request, port) : NULL;
        if (!rule)
            continue;
        port->rule.guest = rule->guest;
        port->guest = request->guest;
        port_open(port, port->guest != 0);
    }
}

void ports_answer(const struct forward_request *request, struct forward_reply *reply) {
    struct opened opened = {0};
    *reply = (struct forward_reply){.id = request->id, .slot = FORWARD_NO_SLOT};
    if (!is_sound(request)) {
        reply->error = EINVAL;
        return;
    }
    int r = open_all(request, &opened, reply);
    if (r || (request->flags & FORWARD_TRY))
        close_list(opened.list);
    else
        commit(request, opened.list);
}
