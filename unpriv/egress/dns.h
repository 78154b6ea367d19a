/* As much of DNS as the engine touches (RFC 1035): a guest's question, which is a header, one name of plain
 * labels and two numbers; and answers that are that question and addresses. Messages from upstream are
 * parsed by banger-resolve alone. Pure: bytes to bytes, no heap. */
#ifndef BANGER_EGRESS_DNS_H
#define BANGER_EGRESS_DNS_H

#include "gate.h"

#include <stddef.h>
#include <stdint.h>

#define DNS_HEADER  12
#define DNS_UDP_MIN 512   /* what a client takes that says nothing of it (RFC 1035, 4.2.1) */
#define DNS_UDP_MAX 1232  /* no fragments (dnsflagday.net/2020) */
#define DNS_OUT_MAX 16384 /* of one answer, over TCP too */

enum dns_type {
    DNS_A = 1,
    DNS_AAAA = 28,
    DNS_OPT = 41,
    DNS_SVCB = 64,
    DNS_HTTPS = 65,
    DNS_META = 128, /* from here on up to DNS_META_END no type of data (RFC 6895, 3.1) */
    DNS_ANY = 255,
    DNS_META_END = 256
};
enum dns_rcode { DNS_OK = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4, DNS_REFUSED = 5 };
/* RFC 8914: says more to a client that takes EDNS; 0 for nothing more. */
enum dns_more { DNS_MORE_NOTHING = 0, DNS_MORE_BLOCKED = 15, DNS_MORE_PROHIBITED = 18, DNS_MORE_NETWORK = 23 };

struct dns_question {
    const uint8_t *bytes;       /* the query, the caller's */
    size_t size;                /* of its header and question */
    char name[EGRESS_NAME_MAX]; /* small letters, without the last dot; "." for the root */
    uint16_t type, class;
    int edns;         /* it came with an OPT record (RFC 6891) */
    uint16_t udp_max; /* bytes its client takes over UDP */
};

/* Takes a query apart. DNS_OK, or what it is to be answered with (then only `bytes` and `size`, of what may be
 * repeated, are filled); -1: nothing that could be answered. A name with bytes other than egress_is_name's is REFUSED.
 */
int dns_question(const uint8_t *query, size_t size, struct dns_question *q);

/* What is answered: addresses, or the records of a message that banger-resolve made for the same
 * name (its header and question are as long as the question's), or nothing. */
struct dns_answer {
    enum dns_rcode rcode;
    enum dns_more more;
    const struct gate_address *addresses;
    size_t count;
    const uint8_t *message;
    size_t message_size;
};
/* Writes the answer; its size. Longer than the client takes over UDP: it is cut (TC), and the client asks again over
 * TCP. */
size_t dns_write(const struct dns_question *q, const struct dns_answer *answer, int tcp, uint8_t out[DNS_OUT_MAX]);

#endif
