/* What the engine asks of banger-resolve, and how that answers.
 *
 * banger-resolve is a fresh exec with no arguments, an empty environment and these descriptors: 0 and 1
 * /dev/null, 2 and RESOLVE_FD the engine's end of a SOCK_SEQPACKET socketpair. Each packet on it is one
 * struct resolve_request with one descriptor, a SOCK_SEQPACKET socket of that request's own: it takes one struct
 * resolve_reply, followed by `size` bytes of message, and is closed. Host-endian. Whoever closes his end has
 * given the request up. It ends when the engine's end is closed, when the host's resolv.conf has changed, and
 * when nothing was asked for RESOLVE_IDLE_MS: the engine has it started again. */
#ifndef BANGER_EGRESS_RESOLVE_H
#define BANGER_EGRESS_RESOLVE_H

#include <stdint.h>

#define RESOLVE_FD            3
#define RESOLVE_IDLE_MS       60000
#define RESOLVE_PATIENCE_MS   10000 /* for one request, whatever its servers do */
#define RESOLVE_NAME_MAX      256
#define RESOLVE_ADDRESSES_MAX 64
#define RESOLVE_MESSAGE_MAX   12288
#define RESOLVE_HOPS_MAX      8  /* aliases that are followed where the server does not */
#define RESOLVE_JOBS_MAX      64 /* requests at once; more wait in the socket */

/* `name` as RFC 1035's 5.1 writes it, of egress_is_name's bytes, without the last dot ("." is the root);
 * the bytes behind its NUL are 0. */
struct resolve_request {
    uint32_t type;
    char name[RESOLVE_NAME_MAX];
};

/* `error`: a positive errno where no server gave an answer, else 0. `rcode` is the server's. The addresses are
 * those of type A that the name stands for, aliases followed; `own`: one of this host's. The message is
 * made anew of the answer: header, question (the request's), answers, and SOA records as authorities. */
struct resolve_reply {
    int32_t error;
    uint32_t rcode;
    uint32_t count;
    uint32_t size;
    struct resolve_address {
        uint32_t address; /* host byte order */
        uint32_t ttl;     /* seconds; the least of the chain's */
        uint32_t own;
    } addresses[RESOLVE_ADDRESSES_MAX];
};

#endif
