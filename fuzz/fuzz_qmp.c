/* Fuzzed: the lines a VMM sends on its control socket. */
#include "../unpriv/vmm/qmp.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = (const char *) data, *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));
        size_t length = (size_t) ((newline ? newline : end) - at);
        cJSON *object = NULL;
        enum qmp_kind kind = qmp_parse(at, length, &object);
        if ((kind == QMP_BAD) != (object == NULL))
            __builtin_trap();
        cJSON_Delete(object);
        at += length + 1;
    }
    return 0;
}
