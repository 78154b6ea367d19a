/* Queries to the host's name servers, and what they say (RFC 1035; wire format: libldns). Pure: no system call. */
#ifndef BANGER_EGRESS_RESOLVE_ANSWER_H
#define BANGER_EGRESS_RESOLVE_ANSWER_H

#include "resolve.h"

#include <ldns/ldns.h>
#include <stddef.h>

#define QUERY_MAX 300

/* Writes a query for the name (resolve.h's form) with recursion desired; `edns`: it says that datagrams of 1232 bytes
 * are taken. Its size; 0: such a name cannot be asked for. */
size_t query_write(const char *name, uint16_t type, uint16_t id, int edns, uint8_t out[QUERY_MAX]);

/* What was found on the way from one name, alias by alias. Zeroed at first. */
struct found {
    ldns_rr_list *answers;     /* of all hops, in order */
    ldns_rr_list *authorities; /* SOA of the last */
    uint32_t rcode;
    uint32_t ttl; /* the least of the aliases so far */
    uint32_t count;
    struct resolve_address addresses[RESOLVE_ADDRESSES_MAX];
    char next[RESOLVE_NAME_MAX]; /* an alias that is to be asked for; "" when all is there */
};

/* Takes the answer to query `id` for (name, type) in. 0; -EBADMSG: it is none, or malformed; -EMSGSIZE: it was
 * cut, ask over TCP; -ELOOP: its aliases go round; -ENOMEM. On failure `found` is as it was. */
int found_take(struct found *found, const uint8_t *bytes, size_t size, uint16_t id, const char *name, uint16_t type);
/* The message of resolve.h for (name, type): its size, or -EMSGSIZE or -ENOMEM. */
int found_message(const struct found *found, const char *name, uint16_t type, uint8_t out[RESOLVE_MESSAGE_MAX]);
void found_free(struct found *found);

#endif
