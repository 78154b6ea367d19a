/* TCP: the bytes of a connection go through pipes with splice(2), so that they are copied
 * neither in nor out. Both sockets are reported edge-triggered; what they can do is
 * remembered until they say EAGAIN. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_BYTES  (1u << 20) /* a connection moves so much, then the others have their turn */
#define ACCEPT_MOST 32         /* a round */
#define KEEP_IDLE_S 60         /* a peer that is gone without a word is noticed after these two minutes */
#define KEEP_STEP_S 15
#define KEEP_TRIES  4

struct side {
    struct watch watch;
    struct connection *connection;
    int fd;
    int readable, writable;
    int ended; /* it sends no more */
    int shut;  /* it was told that no more comes */
};

enum { CLIENT, GUEST, SIDES };

struct connection {
    struct watch watch; /* only to be buried by */
    struct port *port;
    struct connection *next, *previous; /* of the port */
    struct connection *next_waiting;
    int waiting;    /* for another turn */
    int connecting; /* to the guest */
    int reset;      /* the sides are to be reset, not closed */
    struct side sides[SIDES];
    struct direction {
        int pipe[2];
        size_t held; /* bytes in it */
    } from[SIDES];
};

static struct connection *waiting;

/* --- beginning and end ------------------------------------------------------------------ */

static void set_options(int fd) {
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEP_STEP_S},
                   {IPPROTO_TCP, TCP_KEEPCNT, KEEP_TRIES}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        (void) setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static void close_side(struct side *side, int reset) {
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (side->fd < 0)
        return;
    if (reset)
        (void) setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void) close(side->fd);
    side->fd = -1;
}

static void unlink_connection(struct connection *c) {
    if (c->previous)
        c->previous->next = c->next;
    else
        c->port->connections = c->next;
    if (c->next)
        c->next->previous = c->previous;
    if (!c->waiting)
        return;
    struct connection **at = &waiting;
    while (*at != c)
        at = &(*at)->next_waiting;
    *at = c->next_waiting;
}

static void end(struct connection *c, int reset) {
    unlink_connection(c);
    slot_leave(c->port->slot);
    for (int i = 0; i < SIDES; i++) {
        close_side(&c->sides[i], reset);
        if (c->from[i].held)
            pipe_drop(c->from[i].pipe);
        else
            pipe_give(c->from[i].pipe);
        c->sides[i].watch.buried = 1;
    }
    loop_bury(&c->watch);
    ports_resume();
}

void tcp_close_port(struct port *port) {
    while (port->connections)
        end(port->connections, 1);
}

/* --- moving bytes ------------------------------------------------------------------------- */

enum outcome { MOVED, NOTHING, BROKEN };

/* Into the pipe. EAGAIN says that nothing is there only when the pipe is empty: a full one says so too. */
static enum outcome fill(struct side *side, struct direction *d) {
    if (d->pipe[0] < 0 && pipe_take(d->pipe))
        return BROKEN;
    if (d->held >= PIPE_BYTES)
        return NOTHING;
    ssize_t n = splice(side->fd, NULL, d->pipe[1], NULL, PIPE_BYTES - d->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) {
        d->held += (size_t) n;
        return MOVED;
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        side->connection->reset = 1;
        side->ended = 1; /* what came before still goes on */
    } else if (n == 0) {
        side->ended = 1;
    } else if (errno == EAGAIN && d->held == 0) {
        side->readable = 0;
    }
    if (d->held == 0)
        pipe_give(d->pipe);
    return NOTHING;
}

static enum outcome drain(struct side *side, struct direction *d) {
    ssize_t n = splice(d->pipe[0], NULL, side->fd, NULL, d->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) {
        d->held -= (size_t) n;
        if (d->held == 0)
            pipe_give(d->pipe);
        return MOVED;
    }
    if (n < 0 && errno == EAGAIN)
        side->writable = 0;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? NOTHING : BROKEN;
}

/* One direction, until nothing moves or its turn is over. */
static enum outcome move(struct connection *c, int from) {
    struct side *source = &c->sides[from], *target = &c->sides[!from];
    struct direction *d = &c->from[from];
    for (size_t moved = 0; moved < TURN_BYTES;) {
        size_t before = d->held;
        enum outcome in = source->readable && !source->ended ? fill(source, d) : NOTHING;
        moved += d->held - before;
        enum outcome out = d->held && target->writable ? drain(target, d) : NOTHING;
        if (in == BROKEN || out == BROKEN)
            return BROKEN;
        if (in == NOTHING && out == NOTHING)
            return NOTHING;
    }
    return MOVED;
}

static void pass_end_on(struct connection *c, int from) {
    struct side *target = &c->sides[!from];
    if (!c->sides[from].ended || c->from[from].held || target->shut)
        return;
    target->shut = 1;
    if (!c->reset)
        (void) shutdown(target->fd, SHUT_WR);
}

static int is_over(const struct connection *c) {
    if (c->reset && (c->sides[CLIENT].shut || c->sides[GUEST].shut))
        return 1;
    return c->sides[CLIENT].shut && c->sides[GUEST].shut;
}

static void pump(struct connection *c) {
    int more = 0;
    for (int from = 0; from < SIDES; from++) {
        enum outcome outcome = move(c, from);
        if (outcome == BROKEN) {
            end(c, 1);
            return;
        }
        more |= outcome == MOVED;
        pass_end_on(c, from);
    }
    if (is_over(c)) {
        end(c, c->reset);
        return;
    }
    if (!more || c->waiting)
        return;
    c->waiting = 1;
    c->next_waiting = waiting;
    waiting = c;
}

int tcp_turn(void) {
    struct connection *turn = waiting;
    for (struct connection *c = turn; c; c = c->next_waiting)
        c->waiting = 0;
    waiting = NULL;
    while (turn) {
        struct connection *c = turn;
        turn = c->next_waiting;
        pump(c); /* ends no connection but this one */
    }
    return waiting != NULL;
}

/* --- events --------------------------------------------------------------------------------- */

static void side_ready(struct watch *watch, uint32_t events) {
    struct side *side = (struct side *) watch;
    struct connection *c = side->connection;
    if (c->connecting && side == &c->sides[GUEST]) {
        if (events & (EPOLLERR | EPOLLHUP)) {
            end(c, 1); /* the client hears of a refusal as it would from the guest */
            return;
        }
        c->connecting = !(events & EPOLLOUT);
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        side->readable = 1;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        side->writable = 1;
    if (!c->connecting)
        pump(c);
}

static int add_side(struct connection *c, int which, int fd) {
    struct side *side = &c->sides[which];
    side->watch.ready = side_ready;
    side->connection = c;
    side->fd = fd;
    set_options(fd);
    return loop_watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &side->watch);
}

/* Takes `client`. */
static void begin(struct port *port, int client) {
    struct connection *c = calloc(1, sizeof(*c));
    int guest = c ? port_connect(port, SOCK_STREAM) : -1;
    if (!c || guest < 0) {
        struct side refused = {.fd = client};
        free(c);
        close_side(&refused, 1);
        slot_leave(port->slot);
        return;
    }
    c->port = port;
    c->connecting = 1;
    c->from[CLIENT].pipe[0] = c->from[GUEST].pipe[0] = -1;
    c->sides[CLIENT].fd = c->sides[GUEST].fd = -1;
    c->next = port->connections;
    if (c->next)
        c->next->previous = c;
    port->connections = c;
    int r = add_side(c, CLIENT, client);
    int s = add_side(c, GUEST, guest);
    if (r || s)
        end(c, 1);
}

void tcp_ready(struct watch *watch, uint32_t events) {
    struct port *port = (struct port *) watch;
    (void) events;
    for (int i = 0; i < ACCEPT_MOST; i++) {
        if (!slot_enter(port->slot)) {
            port_pause(port); /* they wait in the kernel's queue */
            return;
        }
        int client = accept4(port->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            begin(port, client);
            continue;
        }
        slot_leave(port->slot);
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            port_pause(port);
        return;
    }
}
