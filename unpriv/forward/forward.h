/* banger-forward: carries the connections of published ports to guests.
 *
 * One process an account, started by the monitor when the first port is published. It
 * listens where the engine says, connects to the guest that the engine says, and moves
 * bytes and datagrams between the two; it parses none of them. It outlives an engine,
 * with its connections, and ends with the monitor.
 *
 * Requests are fixed structs over a SOCK_SEQPACKET socketpair, descriptor
 * FORWARD_FD_CONTROL, answered in order. One request says all that a slot publishes: what
 * is there already stays with its connections, what is not named any more is closed with
 * them, and when one of the new ones cannot be had nothing changes. */
#ifndef BANGER_FORWARD_FORWARD_H
#define BANGER_FORWARD_FORWARD_H

#include <stdint.h>

#define FORWARD_FD_CONTROL 3
#define FORWARD_VERSION    1u
#define FORWARD_RULES_MAX  64

enum forward_flag {
    FORWARD_TRY = 1,  /* only look whether the ports can be had: nothing changes */
    FORWARD_BEST = 2, /* keep those that can be had; the first of the others is the error */
};

struct forward_rule {
    uint8_t address[16]; /* to listen on, network byte order; of IPv4 the first four bytes */
    uint16_t family;     /* AF_INET or AF_INET6 */
    uint16_t protocol;   /* IPPROTO_TCP or IPPROTO_UDP */
    uint16_t host;       /* ports, host byte order, from 1 */
    uint16_t guest;
    uint32_t optional; /* 1: no error where the host has no such address or no such family */
};

struct forward_request {
    uint32_t version; /* FORWARD_VERSION */
    uint32_t id;      /* comes back in the reply */
    uint32_t slot;
    uint32_t guest; /* the guest's IPv4 address, host byte order; 0: not ready, who connects waits */
    uint32_t flags; /* enum forward_flag */
    uint32_t count; /* 0: the slot publishes nothing */
    struct forward_rule rules[FORWARD_RULES_MAX];
};

struct forward_reply {
    uint32_t id;
    int32_t error; /* 0 or a positive errno; EADDRINUSE, EACCES and EADDRNOTAVAIL are bind(2)'s */
    uint32_t rule; /* with an error: which, from 0 */
    uint32_t slot; /* with EADDRINUSE: the slot that has it, or FORWARD_NO_SLOT: another program */
};
#define FORWARD_NO_SLOT UINT32_MAX

_Static_assert(sizeof(struct forward_rule) == 28, "forward_rule has no padding");
_Static_assert(sizeof(struct forward_request) == 24 + FORWARD_RULES_MAX * 28, "forward_request has no padding");

#endif
