/* banger-dns's sockets: made before it confines itself, served for as long as the engine's end
 * of the control socket is open. */
#ifndef BANGER_DNS_SERVE_H
#define BANGER_DNS_SERVE_H

#include "../../common/err.h"
#include "zone.h"

struct serve {
    int control;
    int udp;
    int tcp; /* listening */
    struct zone zone;
};

/* Binds UDP and TCP at `address` (host byte order) and DNS_PORT. 0 or a negative errno with both at -1. */
int serve_bind(struct serve *s, uint32_t address, struct err *e);

/* Answers until the engine's end is closed (0) or says what no engine says (-EBADMSG). Bounds:
 * SERVE_RATE queries a second, of all who ask; SERVE_CONNECTIONS over TCP, of which a new one takes the place of
 * that which has been silent longest; SERVE_IDLE_MS for the next query on one. */
#define SERVE_RATE        2000
#define SERVE_CONNECTIONS 16
#define SERVE_IDLE_MS     5000
int serve_run(struct serve *s);

/* Gives up everything that the loop does not need: no file is seen, and no call but its own
 * works (Landlock, seccomp, rlimits). */
int dns_confine(struct err *e);

#endif
