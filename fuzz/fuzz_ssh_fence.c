/* Fuzzes what finds banger's part in the user's ssh configuration: what is left without it has none,
 * and with a new one in front it is found there, whole. */
#include "../unpriv/cli/ssh_fence.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PART FENCE_BEGIN "\nInclude \"/x\"\n" FENCE_END "\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const size_t part = strlen(PART);
    size_t at = 0, length = 0;
    struct err e = {0};
    char *text = malloc(part + size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    int r = fence_find(text, size, &at, &length, &e);
    if ((r != 0) != (e.code != 0) || (r == 0 && at + length > size))
        abort();
    if (r == 0) {
        const size_t rest = size - length;
        memmove(text + at, text + at + length, rest - at);
        if (fence_find(text, rest, &at, &length, &e) || length)
            abort();
        memmove(text + part, text, rest);
        memcpy(text, PART, part);
        if (fence_find(text, part + rest, &at, &length, &e) || at != 0 || length != part)
            abort();
    }
    free(text);
    return 0;
}
