/* Fuzzes what a guest says of itself (the agent's service `stats`), and /proc/PID/stat of a
 * process with a name of its own choice. The first byte chooses. */
#include "../unpriv/daemon/usage.h"
#include "../unpriv/vm/guest_stats.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void guest(const char *text, size_t size) {
    struct guest_stats stats;
    if (guest_stats_parse(text, size, &stats))
        return;
    for (size_t i = 0; i < GUEST_STATS_COUNT; i++) {
        if (stats.values[i] < -1 || stats.values[i] >= GUEST_NUMBER_LIMIT)
            abort();
    }
    cJSON *json = guest_stats_json(&stats);
    if (cJSON_GetArraySize(json) != GUEST_STATS_COUNT)
        abort();
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct usage_process process;
    if (size < 1 || size > GUEST_STATS_SIZE)
        return 0;
    char *text = calloc(1, size); /* NUL-terminated, and not a byte more */
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    if (data[0] == 'g')
        guest(text, size - 1);
    else
        (void) usage_process_parse(text, &process);
    free(text);
    return 0;
}
