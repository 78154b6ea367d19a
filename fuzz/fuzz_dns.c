/* Fuzzes the query handler of banger-dns: what is a query gets one answer that libldns reads, with
 * its id and without a flag that is not ours. */
#include "../unpriv/dns/answer.h"

#include <ldns/ldns.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zone zone = {.subnet = 0xac100000u, .server = 0x7f000001u, .user = "ann.lee"};

static void fill(void) {
    static const struct dns_name hosts[] = {{0, 0xac100002u, 1, "box"}, {300, 0xac10012eu, 0, "far"}};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        if (zone_take(&zone, &hosts[i]))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t out[ANSWER_MAX];
    ldns_pkt *answer = NULL;
    if (zone.serial == 0)
        fill();
    const size_t n = dns_answer(&zone, data, size, out);
    if (n == 0 && (size < 12 || (data[2] & 0x80)))
        return 0;
    if (n < 12 || n > ANSWER_MAX || memcmp(out, data, 2) != 0 || !(out[2] & 0x80) || (out[3] & 0xa0))
        abort();
    if (n > 12 && (ldns_wire2pkt(&answer, out, n) != LDNS_STATUS_OK || ldns_pkt_qdcount(answer) != 1))
        abort();
    ldns_pkt_free(answer);
    return 0;
}
