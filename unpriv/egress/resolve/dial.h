/* The dialler: the half of banger-resolve that may make sockets, and parses nothing but the host's own
 * resolv.conf. Its other half, which parses what comes from the network, gets connected sockets of it and can
 * connect to nothing itself. Fixed structs over a SOCK_SEQPACKET socketpair; one question, one answer. */
#ifndef BANGER_EGRESS_RESOLVE_DIAL_H
#define BANGER_EGRESS_RESOLVE_DIAL_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define DIAL_SERVERS_MAX 3 /* as the C library (resolv.conf(5), MAXNS) */

enum dial_what {
    DIAL_UDP = 1, /* a socket that talks to name server `number` alone, from a port of its own */
    DIAL_TCP = 2, /* the same; the connection may still be under way */
    DIAL_OWN = 3, /* whether `number`, an IPv4 address in host byte order, is one of this host */
};
struct dial_request {
    uint32_t what;
    uint32_t number;
};
struct dial_reply {
    int32_t error; /* positive errno; ENOENT: there is no such server */
    uint32_t own;
};

struct dial_server {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

/* The name servers of a resolv.conf's text, in its order, with port 53; without one the local host
 * (resolv.conf(5)). Returns how many. */
size_t dial_servers(const char *text, struct dial_server servers[DIAL_SERVERS_MAX]);

/* Confines itself and serves until the other half is gone or resolv.conf has changed. An exit status. */
int dial_serve(int sock);

/* --- the other half's calls; thread-safe ------------------------------------------------- */

void dial_open(int sock);
/* A socket (the caller's), or a negative errno. */
int dial_socket(enum dial_what what, uint32_t server);
/* 1 for an address of this host, 0, or a negative errno. */
int dial_is_own(uint32_t address);

#endif
