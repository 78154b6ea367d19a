/* Fuzzes the client's request line: rpc_line_read's JSON and the readers the handlers use on it. */
#include "../common/json.h"
#include "../unpriv/daemon/rpc.h"
#include "../unpriv/daemon/rpc_line.h"
#include "../unpriv/image/names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err e = {0};
    int64_t number = 0;
    char text[64];
    if (size > RPC_LINE_MAX)
        return 0;
    char *line = malloc(size ? size : 1); /* exactly as long as the input, so that ASan sees a byte too many */
    if (!line)
        return 0;
    memcpy(line, data, size);
    cJSON *request = rpc_line_parse(line, size, &e);
    free(line);
    if (request) {
        (void) json_string(request, "op", &e);
        const cJSON *args = cJSON_GetObjectItemCaseSensitive(request, "args");
        if (cJSON_IsObject(args)) {
            (void) name_of_asset(args, "an image", &e);
            (void) name_copy_text(args, "source", text, sizeof(text), &e);
            (void) json_integer_or(args, "size", 0, INT64_MAX, &number, &e);
            (void) json_true(args, "replace");
        }
        char *printed = cJSON_PrintUnformatted(request);
        cJSON_free(printed);
    }
    if (memchr(e.text, '\0', sizeof(e.text)) == NULL)
        abort();
    cJSON_Delete(request);
    return 0;
}
