/* Fuzzes an image's run configuration, as text and as the file that the engine has of it, and the command that is
 * made of it for the agent. */
#include "../unpriv/image/run_config.h"
#include "../unpriv/vm/internal.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int state = -1;
static char path[] = "/dev/shm/banger-run-config-XXXXXX";

static void leave(void) {
    (void) unlinkat(state, "images/1/" RUN_CONFIG_FILE, 0);
    (void) unlinkat(state, "images/1", AT_REMOVEDIR);
    (void) unlinkat(state, "images", AT_REMOVEDIR);
    (void) rmdir(path);
}

/* A state folder with one image: its file says what the text says. */
static void check_file(const char *text, size_t size, const cJSON *config) {
    struct err e = {0};
    cJSON *read = NULL;
    if (state < 0 && mkdtemp(path)) {
        state = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (atexit(leave) || mkdirat(state, "images", 0700) || mkdirat(state, "images/1", 0700) ||
            run_config_read(state, "1", &read, &e) || read)
            abort(); /* an image without a file has no configuration */
    }
    int fd = openat(state, "images/1/" RUN_CONFIG_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, size) != (ssize_t) size || close(fd))
        abort();
    int r = run_config_read(state, "1", &read, &e);
    if ((r == 0) != (config != NULL) || (r && !e.text[0]) || (config && !cJSON_Compare(config, read, 1)))
        abort();
    cJSON_Delete(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct err e = {0};
    struct vm_command command;
    char *text = malloc(size ? size : 1); /* exactly as long as the input, so that ASan sees a byte too many */
    if (!text)
        return 0;
    memcpy(text, data, size);
    cJSON *config = run_config_parse(text, size, &e);
    check_file(text, size, config);
    free(text);
    if (!config)
        return 0;
    cJSON *args = cJSON_Parse("{\"argv\":[\"sh\"],\"env\":[\"A=1\"],\"image_command\":true}");
    cJSON *again = run_config_take(config, &e);
    if (!cJSON_Compare(config, again, 1))
        abort();
    if (vm_command_parse(args, config, size % 2 ? "/root/repo" : "", &command, &e) == 0) {
        check_open(&command);
        free(command.open);
    }
    cJSON_Delete(again);
    cJSON_Delete(args);
    cJSON_Delete(config);
    return 0;
}
