/* Fuzzes requests for the figures: what is decided does not change with how a request is cut, and nothing without the
 * token is good. */
#include "../unpriv/metrics/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN "0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int head = 0, cut_head = 0;
    if (size > REQUEST_MAX)
        size = REQUEST_MAX;
    char *bytes = malloc(size + 1); /* of exactly that size, so that a read beyond is seen */
    if (!bytes)
        return 0;
    memcpy(bytes, data, size);
    const enum request_status whole = request_read(bytes, size, TOKEN, &head);
    if (whole == REQUEST_OK && !memmem(bytes, size, TOKEN, strlen(TOKEN)))
        abort();
    if (whole == REQUEST_MORE && size == REQUEST_MAX)
        abort();
    enum request_status last = REQUEST_MORE;
    for (size_t have = 0; have <= size && last == REQUEST_MORE; have += size / 64 + 1)
        last = request_read(bytes, have, TOKEN, &cut_head);
    /* Garbage behind a request is not read once that is answered, so a part may be good where all of it is bad. */
    if (last != REQUEST_MORE && last != whole && whole != REQUEST_BAD)
        abort();
    free(bytes);
    return 0;
}
