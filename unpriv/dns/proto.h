/* What the engine and banger-dns say to each other, over a stream socketpair: one
 * struct dns_hello from banger-dns, then struct dns_name after struct dns_name from the
 * engine. Host-endian, no replies. banger-dns ends when the engine's end is closed. */
#ifndef BANGER_DNS_PROTO_H
#define BANGER_DNS_PROTO_H

#include <stdint.h>
#include <stdio.h>

#define DNS_PORT      42069
#define DNS_NAME_SIZE 64 /* a VM's name with its end: a DNS label (RFC 1035, 2.3.4) */
#define DNS_USER_SIZE 64
#define DNS_TEXT_SIZE 320

/* banger-dns's descriptors beside standard error. */
#define DNS_FD_CONTROL 3

/* It answers from now on, or ends: then `error` is a positive errno and `text` says why. */
struct dns_hello {
    int32_t error;
    int32_t pid;
    uint32_t address; /* where it listens or would, host byte order; 0: there is no such place */
    uint32_t port;
    char user[DNS_USER_SIZE]; /* the account's part of a name, "" where its name cannot be one */
    char text[DNS_TEXT_SIZE];
};

/* The VM of `slot` has this name and address from now on; it is gone with address 0. */
struct dns_name {
    uint32_t slot;
    uint32_t address; /* host byte order */
    uint32_t ipv6;    /* 1: and the IPv6 address that goes with it (addr_ipv6) */
    char name[DNS_NAME_SIZE];
};

#define DNS_PLACE_SIZE 32
/* "127.0.0.1:42069", or "". */
static inline const char *dns_place(const struct dns_hello *hello, char out[DNS_PLACE_SIZE]) {
    const uint32_t a = hello->address;
    out[0] = '\0';
    if (a)
        (void) snprintf(out, DNS_PLACE_SIZE, "%u.%u.%u.%u:%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
                        hello->port);
    return out;
}

#endif
