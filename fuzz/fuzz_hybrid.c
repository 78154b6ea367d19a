/* Fuzzes the first line that a VMM's vsock answers: no byte beyond it is looked at, and
 * what is refused is refused however much more comes. */
#include "../unpriv/vmm/hybrid.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint32_t port = 0;
    if (size > HYBRID_LINE_MAX)
        size = HYBRID_LINE_MAX;
    int last = 0;
    for (size_t have = 0; have <= size && last == 0; have++) {
        char *line = malloc(have + 1);
        if (!line)
            return 0;
        memcpy(line, data, have);
        last = hybrid_parse(line, have, &port);
        if (last == 1 && (line[have - 1] != '\n' || memchr(line, '\n', have - 1) || memcmp(line, "OK ", 3) != 0))
            abort();
        free(line);
    }
    if (last == 0 && size == HYBRID_LINE_MAX)
        abort();
    return 0;
}
