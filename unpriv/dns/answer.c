#include "answer.h"

#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER      12u  /* bytes (RFC 1035, 4.1.1) */
#define RECORD_TEXT 2048 /* a name of 255 bytes is at most 1,017 characters */
#define BADVERS     1    /* the upper bits of 16 (RFC 6891, 6.1.3) */

/* --- without the library ------------------------------------------------------------- */

static uint16_t count_at(const uint8_t *query, size_t offset) {
    return (uint16_t) (query[offset] << 8 | query[offset + 1]);
}

/* One question and nothing else but EDNS and a signature: all that is worth parsing. */
static int is_plain(const uint8_t *query) {
    return count_at(query, 4) == 1 && count_at(query, 6) == 0 && count_at(query, 8) == 0 && count_at(query, 10) <= 2;
}

/* The query's header as that of a refusal, with nothing behind it. */
static size_t refuse(const uint8_t *query, uint8_t rcode, uint8_t out[ANSWER_MAX]) {
    memset(out, 0, HEADER);
    memcpy(out, query, 2);
    out[2] = (uint8_t) (0x80u | (query[2] & 0x79u)); /* QR; opcode and RD as they were */
    out[3] = rcode;
    return HEADER;
}

/* --- records ------------------------------------------------------------------------- */

/* Adds a record in its text form (RFC 1035, 5.1); 0, or -1. */
static int add(ldns_pkt *answer, ldns_pkt_section section, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int add(ldns_pkt *answer, ldns_pkt_section section, const char *fmt, ...) {
    char text[RECORD_TEXT];
    ldns_rr *record = NULL;
    va_list args;
    va_start(args, fmt);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started one line above */
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0 || n >= (int) sizeof(text) || ldns_rr_new_frm_str(&record, text, 0, NULL, NULL) != LDNS_STATUS_OK)
        return -1;
    if (ldns_pkt_push_rr(answer, section, record))
        return 0;
    ldns_rr_free(record);
    return -1;
}

static int add_soa(const struct zone *zone, const char *origin, ldns_pkt *answer, ldns_pkt_section section) {
    return add(answer, section,
               "%s %d IN SOA " ZONE_SERVER "." ZONE_NAME " hostmaster." ZONE_NAME " %u 3600 600 86400 %d", origin,
               ANSWER_MISS_TTL, zone->serial, ANSWER_MISS_TTL);
}

static int add_address(const char *owner, uint32_t address, ldns_pkt *answer) {
    char text[INET_ADDRSTRLEN];
    const struct in_addr in = {htonl(address)};
    (void) inet_ntop(AF_INET, &in, text, sizeof(text));
    return add(answer, LDNS_SECTION_ANSWER, "%s %d IN A %s", owner, ANSWER_TTL, text);
}

static int add_address6(const char *owner, uint32_t address, ldns_pkt *answer) {
    char text[INET6_ADDRSTRLEN];
    uint8_t in[16];
    addr_ipv6(in, address);
    (void) inet_ntop(AF_INET6, in, text, sizeof(text));
    return add(answer, LDNS_SECTION_ANSWER, "%s %d IN AAAA %s", owner, ANSWER_TTL, text);
}

/* What there is of `type` at `owner`, in the asker's own spelling. */
static int add_found(const struct zone *zone, const struct zone_answer *found, const char *owner, ldns_rr_type type,
                     ldns_pkt *answer) {
    const int any = type == LDNS_RR_TYPE_ANY; /* one record will do (RFC 8482, 4.1) */
    if (found->kind == ZONE_HOST && (any || type == LDNS_RR_TYPE_A))
        return add_address(owner, found->address, answer);
    if (found->kind == ZONE_HOST && found->ipv6 && type == LDNS_RR_TYPE_AAAA)
        return add_address6(owner, found->address, answer);
    if (found->kind == ZONE_POINTER && (any || type == LDNS_RR_TYPE_PTR))
        return add(answer, LDNS_SECTION_ANSWER, "%s %d IN PTR %s." ZONE_NAME, owner, ANSWER_TTL, found->name);
    if (found->kind == ZONE_APEX && (any || type == LDNS_RR_TYPE_SOA))
        return add_soa(zone, owner, answer, LDNS_SECTION_ANSWER);
    if (found->kind == ZONE_APEX && type == LDNS_RR_TYPE_NS)
        return add(answer, LDNS_SECTION_ANSWER, "%s %d IN NS " ZONE_SERVER "." ZONE_NAME, owner, ANSWER_TTL);
    return 0;
}

/* --- the answer ---------------------------------------------------------------------- */

/* Sets the rcode and the sections; 0, or -1 where memory ran out. */
static int resolve(const struct zone *zone, const ldns_rr *question, ldns_pkt *answer) {
    const ldns_rr_type type = ldns_rr_get_type(question);
    struct zone_answer found = {.kind = ZONE_FOREIGN};
    char *owner = ldns_rdf2str(ldns_rr_owner(question));
    ldns_rdf *lower = ldns_rdf_clone(ldns_rr_owner(question));
    if (lower)
        ldns_dname2canonical(lower);
    char *name = lower ? ldns_rdf2str(lower) : NULL;
    int r = owner && name ? 0 : -1;
    const int transfer = type == LDNS_RR_TYPE_AXFR || type == LDNS_RR_TYPE_IXFR;
    if (r == 0 && ldns_rr_get_class(question) == LDNS_RR_CLASS_IN && !transfer)
        zone_find(zone, name, &found);
    if (found.kind == ZONE_FOREIGN) {
        ldns_pkt_set_rcode(answer, LDNS_RCODE_REFUSED);
    } else {
        ldns_pkt_set_aa(answer, true);
        ldns_pkt_set_rcode(answer, found.kind == ZONE_MISSING ? LDNS_RCODE_NXDOMAIN : LDNS_RCODE_NOERROR);
        r = add_found(zone, &found, owner, type, answer);
        if (r == 0 && ldns_pkt_ancount(answer) == 0)
            r = add_soa(zone, found.origin, answer, LDNS_SECTION_AUTHORITY);
    }
    free(owner);
    free(name);
    ldns_rdf_deep_free(lower);
    return r;
}

/* Header, question and EDNS of the answer; 0, or -1 where memory ran out. */
static int begin(const ldns_pkt *query, ldns_pkt *answer) {
    ldns_pkt_set_id(answer, ldns_pkt_id(query));
    ldns_pkt_set_qr(answer, true);
    ldns_pkt_set_rd(answer, ldns_pkt_rd(query));
    ldns_pkt_set_cd(answer, ldns_pkt_cd(query));
    if (ldns_pkt_edns(query))
        ldns_pkt_set_edns_udp_size(answer, ANSWER_UDP_MAX);
    ldns_rr *question = ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(query), 0));
    if (question && ldns_pkt_push_rr(answer, LDNS_SECTION_QUESTION, question))
        return 0;
    ldns_rr_free(question);
    return -1;
}

static int complete(const struct zone *zone, const ldns_pkt *query, ldns_pkt *answer) {
    if (!ldns_pkt_edns(query) || ldns_pkt_edns_version(query) == 0)
        return resolve(zone, ldns_rr_list_rr(ldns_pkt_question(query), 0), answer);
    ldns_pkt_set_edns_extended_rcode(answer, BADVERS);
    return 0;
}

static size_t encode(const ldns_pkt *answer, uint8_t out[ANSWER_MAX]) {
    uint8_t *wire = NULL;
    size_t size = 0;
    if (ldns_pkt2wire(&wire, answer, &size) != LDNS_STATUS_OK)
        return 0;
    if (size <= ANSWER_MAX)
        memcpy(out, wire, size);
    free(wire);
    return size <= ANSWER_MAX ? size : 0;
}

size_t dns_answer(const struct zone *zone, const uint8_t *query, size_t size, uint8_t out[ANSWER_MAX]) {
    ldns_pkt *parsed = NULL;
    if (size < HEADER || (query[2] & 0x80u)) /* an answer, of all things */
        return 0;
    if (query[2] & 0x78u)
        return refuse(query, LDNS_RCODE_NOTIMPL, out);
    if (!is_plain(query) || ldns_wire2pkt(&parsed, query, size) != LDNS_STATUS_OK)
        return refuse(query, LDNS_RCODE_FORMERR, out);
    ldns_pkt *answer = ldns_pkt_new();
    size_t n = 0;
    if (answer && begin(parsed, answer) == 0 && complete(zone, parsed, answer) == 0)
        n = encode(answer, out);
    ldns_pkt_free(answer);
    ldns_pkt_free(parsed);
    return n ? n : refuse(query, LDNS_RCODE_SERVFAIL, out);
}
