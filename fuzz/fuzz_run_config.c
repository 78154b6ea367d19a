/* Fuzzes an image's run configuration, and the command that the engine makes of it for the agent. */
#include "../unpriv/image/run_config.h"
#include "../unpriv/vm/internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The OPEN is one that the agent takes: its strings are as many as it says, and fill it. */
static void check_open(const struct vm_command *command) {
    struct mux_open open;
    uint32_t strings = 0;
    memcpy(&open, command->open, sizeof(open));
    for (uint32_t i = sizeof(open); i < command->size; i++)
        strings += command->open[i] == 0;
    if (command->size > MUX_PAYLOAD_MAX || command->open[command->size - 1] || strings != open.argc + open.envc + 2)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err e = {0};
    struct vm_command command;
    char *text = malloc(size ? size : 1); /* exactly as long as the input, so that ASan sees a byte too many */
    if (!text)
        return 0;
    memcpy(text, data, size);
    cJSON *config = run_config_parse(text, size, &e);
    free(text);
    if (!config)
        return 0;
    cJSON *args = cJSON_Parse("{\"argv\":[\"sh\"],\"env\":[\"A=1\"],\"image_command\":true}");
    cJSON *again = run_config_take(config, &e);
    if (!cJSON_Compare(config, again, 1))
        abort();
    if (vm_command_parse(args, config, &command, &e) == 0) {
        check_open(&command);
        free(command.open);
    }
    cJSON_Delete(again);
    cJSON_Delete(args);
    cJSON_Delete(config);
    return 0;
}
