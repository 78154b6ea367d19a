/* Fuzzes what the engine reads of a guest's lookup: what can be answered gets an answer that libldns reads, with its
 * id, and no name is let through that is not one of plain labels. */
#include "../unpriv/egress/dns.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dns_question *q, const struct dns_answer *answer, int tcp) {
    static uint8_t out[DNS_OUT_MAX];
    ldns_pkt *pkt = NULL;
    const size_t n = dns_write(q, answer, tcp, out);
    if (n < DNS_HEADER || n > (tcp ? DNS_OUT_MAX : DNS_UDP_MAX) || memcmp(out, q->bytes, 2) != 0 || !(out[2] & 0x80) ||
        (out[3] & 15) != (int) answer->rcode)
        abort();
    if (q->size > DNS_HEADER && (ldns_wire2pkt(&pkt, out, n) != LDNS_STATUS_OK || ldns_pkt_qdcount(pkt) != 1))
        abort();
    ldns_pkt_free(pkt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct gate_address addresses[] = {{0xcb007107, 60}, {0xcb007108, 0}};
    struct dns_question q;
    const int rcode = dns_question(data, size, &q);
    if (rcode < 0)
        return 0;
    check(&q, &(struct dns_answer){.rcode = (enum dns_rcode) rcode, .more = DNS_MORE_PROHIBITED}, 0);
    if (rcode != DNS_OK)
        return 0;
    if (strcmp(q.name, ".") != 0 && !egress_is_name(q.name))
        abort();
    const struct dns_answer answer = {.addresses = addresses, .count = 2};
    check(&q, &answer, 0);
    check(&q, &answer, 1);
    check(&q, &(struct dns_answer){.message = q.bytes, .message_size = q.size}, 1);
    return 0;
}
