/* Fuzzes what banger-resolve reads of a name server's answer, twice over, as with an alias that is asked for again:
 * what it makes of it is a message that libldns reads, no longer than promised, and no address comes from beside the
 * chain. */
#include "../unpriv/egress/resolve/answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME "www.example.org"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t message[RESOLVE_MESSAGE_MAX];
    struct found found = {0};
    if (size < 1)
        return 0;
    const uint16_t type = data[0];
    int r = found_take(&found, data + 1, size - 1, 0x1234, NAME, type);
    uint8_t query[QUERY_MAX];
    if (r == 0 && found.next[0]) /* whatever the alias is, it can be asked for */
        r = query_write(found.next, type, 0x1234, data[1] & 1, query) ? 0 : -1;
    if (r < 0 && found.next[0])
        abort();
    if (r == 0 && found.next[0])
        (void) found_take(&found, data + 1, size - 1, 0x1234, found.next, type);
    if (found.count > RESOLVE_ADDRESSES_MAX || (found.count && type != LDNS_RR_TYPE_A) ||
        !memchr(found.next, 0, sizeof(found.next)))
        abort();
    for (uint32_t i = 0; i < found.count; i++) {
        if (found.addresses[i].ttl > 0x7fffffffu)
            abort();
    }
    int n = r ? 0 : found_message(&found, NAME, type, message);
    ldns_pkt *pkt = NULL;
    if (n > 0 && (n > RESOLVE_MESSAGE_MAX || ldns_wire2pkt(&pkt, message, (size_t) n) != LDNS_STATUS_OK))
        abort();
    ldns_pkt_free(pkt);
    found_free(&found);
    return 0;
}
