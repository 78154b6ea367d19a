#include "dns.h"

#include <string.h>

#define OPT_SIZE  11 /* root name, type, size, flags, length (RFC 6891, 6.1.2) */
#define MORE_SIZE 6  /* option, length, code (RFC 8914, 2) */
#define A_SIZE    16 /* pointer to the question's name, type, class, TTL, length, address */

/* The header's third and fourth byte. */
enum { QR = 0x80, OPCODE = 0x78, TC = 0x02, RD = 0x01, RA = 0x80, CD = 0x10 };

static uint16_t get16(const uint8_t *at) {
    return (uint16_t) (at[0] << 8 | at[1]);
}

static uint8_t *put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t) (value >> 8);
    at[1] = (uint8_t) value;
    return at + 2;
}

static uint8_t *put32(uint8_t *at, uint32_t value) {
    return put16(put16(at, value >> 16), value);
}

/* --- questions --------------------------------------------------------------------------- */

/* As it is written in a name: small, or '?' for a byte that has no place in one, a dot in a label too. */
static char name_byte(uint8_t byte) {
    if (byte <= ' ' || byte >= 0x7f || byte == '.')
        return '?';
    return (char) (byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
}

/* The name at `at`: where it ends, or 0 when it is none of plain labels. */
static size_t take_name(const uint8_t *query, size_t size, size_t at, char name[EGRESS_NAME_MAX]) {
    size_t used = 0;
    while (at < size && query[at] != 0) {
        size_t label = query[at++];
        if (label > 63 || label >= size - at || used + label + 1 >= EGRESS_NAME_MAX)
            return 0;
        for (; label > 0; label--, at++)
            name[used++] = name_byte(query[at]);
        name[used++] = '.';
    }
    name[used > 1 ? used - 1 : used] = '\0';
    if (used == 0)
        memcpy(name, ".", 2);
    return at < size ? at + 1 : 0;
}

/* What may follow the question: one OPT record. 0 for anything else. */
static int take_opt(const uint8_t *at, size_t left, struct dns_question *q) {
    if (left < OPT_SIZE || at[0] != 0 || get16(at + 1) != DNS_OPT || get16(at + 9) != left - OPT_SIZE)
        return 0;
    const uint16_t size = get16(at + 3);
    q->edns = 1;
    q->udp_max = size < DNS_UDP_MIN ? DNS_UDP_MIN : size > DNS_UDP_MAX ? DNS_UDP_MAX : size;
    return 1;
}

int dns_question(const uint8_t *query, size_t size, struct dns_question *q) {
    memset(q, 0, sizeof(*q));
    if (size < DNS_HEADER || (query[2] & QR))
        return -1;
    q->bytes = query;
    q->size = DNS_HEADER;
    q->udp_max = DNS_UDP_MIN;
    if (query[2] & OPCODE)
        return DNS_NOTIMP;
    const unsigned others = get16(query + 10);
    if (get16(query + 4) != 1 || get16(query + 6) || get16(query + 8) || others > 1)
        return DNS_FORMERR;
    size_t end = take_name(query, size, DNS_HEADER, q->name);
    if (!end || size - end < 4)
        return DNS_FORMERR;
    q->type = get16(query + end);
    q->class = get16(query + end + 2);
    end += 4;
    if (others ? !take_opt(query + end, size - end, q) : end != size)
        return DNS_FORMERR;
    q->size = end;
    if (q->class != 1 || (strcmp(q->name, ".") != 0 && !egress_is_name(q->name)))
        return DNS_REFUSED;
    return q->type >= DNS_META && q->type < DNS_META_END && q->type != DNS_ANY ? DNS_NOTIMP : DNS_OK;
}

/* --- answers ------------------------------------------------------------------------------ */

static uint8_t *put_header(uint8_t *out, const struct dns_question *q, enum dns_rcode rcode) {
    memcpy(out, q->bytes, q->size);
    out[2] = (uint8_t) (QR | (q->bytes[2] & (OPCODE | RD)));
    out[3] = (uint8_t) (RA | (q->bytes[3] & CD) | rcode);
    (void) put16(out + 4, q->size > DNS_HEADER);
    memset(out + 6, 0, 6);
    return out + q->size;
}

static uint8_t *put_addresses(uint8_t *at, const struct dns_answer *answer) {
    for (size_t i = 0; i < answer->count; i++) {
        at = put16(at, 0xc000u | DNS_HEADER);
        at = put32(at, DNS_A << 16 | 1);
        at = put32(at, answer->addresses[i].ttl);
        at = put32(put16(at, 4), answer->addresses[i].address);
    }
    return at;
}

static uint8_t *put_opt(uint8_t *at, enum dns_more more) {
    *at++ = 0;
    at = put16(put16(at, DNS_OPT), DNS_UDP_MAX);
    at = put16(put32(at, 0), more ? MORE_SIZE : 0);
    return more ? put16(put16(put16(at, 15), 2), more) : at;
}

size_t dns_write(const struct dns_question *q, const struct dns_answer *answer, int tcp, uint8_t out[DNS_OUT_MAX]) {
    const size_t opt = q->edns ? OPT_SIZE + (answer->more ? MORE_SIZE : 0) : 0;
    const size_t most = tcp ? DNS_OUT_MAX : q->udp_max;
    const size_t records = answer->message_size > q->size ? answer->message_size - q->size : 0;
    uint8_t *at = put_header(out, q, answer->rcode);
    if (q->size + answer->count * A_SIZE + records + opt > most) {
        out[2] |= TC;
    } else if (answer->count) {
        at = put_addresses(at, answer);
        (void) put16(out + 6, (uint32_t) answer->count);
    } else if (records) {
        memcpy(at, answer->message + q->size, records);
        memcpy(out + 6, answer->message + 6, 4); /* answers and authorities: it has no others */
        at += records;
    }
    if (q->edns) {
        at = put_opt(at, answer->more);
        (void) put16(out + 10, 1);
    }
    return (size_t) (at - out);
}
