/* One DNS query and its answer, bytes to bytes (RFC 1034, 1035; EDNS: RFC 6891). The wire
 * format is libldns's. */
#ifndef BANGER_DNS_ANSWER_H
#define BANGER_DNS_ANSWER_H

#include "zone.h"

#include <stddef.h>

#define ANSWER_TTL      5    /* seconds; an address may be another VM's soon */
#define ANSWER_MISS_TTL 1    /* of an answer that there is none (RFC 2308, 5) */
#define ANSWER_UDP_MAX  1232 /* bytes: what is said to be taken (dnsflagday.net/2020) */
#define ANSWER_MAX      512  /* bytes: none is longer, so that UDP needs no truncation (RFC 1035, 4.2.1) */

/* Writes the answer to `query` and returns its size; 0: there is none to give to what is no query. */
size_t dns_answer(const struct zone *zone, const uint8_t *query, size_t size, uint8_t out[ANSWER_MAX]);

#endif
