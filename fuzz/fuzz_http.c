/* Fuzzes the replies of a VMM's API: whatever comes, the parser stays within it, and says
 * the same of a reply however it is cut. */
#include "../unpriv/vmm/http.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct http_reply reply, cut;
    char *bytes = malloc(size + 1); /* of exactly that size, so that a read beyond is seen */
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    int whole = http_parse(bytes, size, &reply);
    if (whole == 1 && (reply.size > size || reply.body != bytes + reply.size - reply.body_size || reply.status < 200 ||
                       reply.status > 599 || reply.body_size > HTTP_BODY_MAX))
        abort();
    size_t step = size / 64 + 1;
    for (size_t have = 0; have < size; have += step) {
        int part = http_parse(bytes, have, &cut);
        /* A part is not complete, unless it holds all of the reply; and what is wrong stays wrong. */
        if (part == 1 ? whole != 1 || cut.size != reply.size || have < reply.size : part < 0 && part != whole)
            abort();
        if (part == 0 && whole == 1 && have >= reply.size)
            abort();
    }
    free(bytes);
    return 0;
}
