/* What the files of banger-forward share: one thread, one epoll loop.
 *
 *     loop.c     the loop and the control socket
 *     confine.c  Landlock, seccomp
 *     ports.c    what is listened on
 *     tcp.c      connections
 *     pipes.c    the pipes that their bytes go through
 *     udp.c      flows */
#ifndef BANGER_FORWARD_INTERNAL_H
#define BANGER_FORWARD_INTERNAL_H

#include "forward.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* What epoll points at. Begins the object that owns it. */
struct watch {
    void (*ready)(struct watch *watch, uint32_t events);
    struct watch *next_buried;
    int buried;
};

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* One listening socket. */
struct port {
    struct watch watch;
    struct port *next;
    struct forward_rule rule;
    uint32_t slot;
    uint32_t guest; /* 0: nobody is let in yet */
    int fd;
    int open;                       /* epoll reports who comes */
    struct connection *connections; /* of TCP */
    struct flow *flows;             /* of UDP */
};

/* --- loop.c ---------------------------------------------------------------------------- */

/* Serves until the control socket ends: 0, or a negative errno when it cannot begin. */
int forward_loop(void);

/* Reports `events` on `fd` to `watch` (with NULL: no longer). 0 or a negative errno. */
int loop_watch(int operation, int fd, uint32_t events, struct watch *watch);
/* Frees the object once no event of this round can name it any more; its `ready` is not called again. */
void loop_bury(struct watch *watch);
/* CLOCK_MONOTONIC in milliseconds, of this round. */
long long loop_now(void);

/* --- confine.c ------------------------------------------------------------------------- */

/* 0, or a negative errno: the process has Landlock and its list of calls from now on. */
int forward_confine(void);

/* --- ports.c --------------------------------------------------------------------------- */

void ports_answer(const struct forward_request *request, struct forward_reply *reply);
/* A connection or flow has ended: who had to wait may come. */
void ports_resume(void);
/* 1 while a port waits for that. */
int ports_paused(void);
/* Nobody is let in at this port until ports_resume. */
void port_pause(struct port *port);
/* The address it listens on. Returns its length. */
socklen_t port_address(const struct forward_rule *rule, union address *out);
/* A new nonblocking socket that is about to connect to the guest, or is connected where that takes no time. */
int port_connect(const struct port *port, int type);

/* --- limits: set once by limits_set ------------------------------------------------------ */

struct limits {
    unsigned sockets, sockets_of_slot; /* connections and flows at once */
};
extern struct limits forward_limits;
/* Counts one more or one less; 0 where there is no room for one. */
int slot_enter(uint32_t slot);
void slot_leave(uint32_t slot);

/* --- tcp.c, udp.c ------------------------------------------------------------------------ */

void tcp_ready(struct watch *watch, uint32_t events); /* of a port: somebody connects */
void tcp_close_port(struct port *port);
/* Moves on the connections that had used up their turn; 1 when some are left for the next round. */
int tcp_turn(void);

void udp_ready(struct watch *watch, uint32_t events); /* of a port: a datagram */
void udp_close_port(struct port *port);
/* Ends flows that nothing went through for long. How many milliseconds to look again, -1 for never. */
int udp_expire(void);

/* --- pipes.c ----------------------------------------------------------------------------- */

#define PIPE_BYTES (256u << 10)
/* A pipe, empty: 0 or a negative errno. */
int pipe_take(int ends[2]);
/* Gives back an empty one. */
void pipe_give(int ends[2]);
/* Closes one that is not empty. */
void pipe_drop(int ends[2]);

#endif
