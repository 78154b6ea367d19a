/* The arguments of vm.exec and vm.run, as the agent takes them: struct mux_open
 * and its strings. */
#include "internal.h"

#include "../../common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_string(struct vm_command *command, const char *text, struct err *e) {
    size_t size = strlen(text) + 1;
    if (size > MUX_PAYLOAD_MAX - command->size)
        return err_set(e, E2BIG, "the command with its environment is longer than %u bytes", MUX_PAYLOAD_MAX);
    memcpy(command->open + command->size, text, size);
    command->size += (uint32_t) size;
    return 0;
}

/* All strings of the array member `key`, counted. */
static int add_list(struct vm_command *command, const cJSON *args, const char *key, uint32_t *count, struct err *e) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(args, key);
    const cJSON *item = NULL;
    *count = 0;
    if (!list || cJSON_IsNull(list))
        return 0;
    if (!cJSON_IsArray(list))
        return err_set(e, EINVAL, "\"%s\" must be a list of strings", key);
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsString(item))
            return err_set(e, EINVAL, "\"%s\" must be a list of strings", key);
        int rc = add_string(command, item->valuestring, e);
        if (rc)
            return rc;
        ++*count;
    }
    return 0;
}

static int check_env(const cJSON *args, struct err *e) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(args, "env")) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "=";
        if (text[0] == '=' || !strchr(text, '='))
            return err_set(e, EINVAL, "\"env\" must be a list of NAME=value");
    }
    return 0;
}

static int fill(const cJSON *args, struct vm_command *command, struct err *e) {
    struct mux_open open = {0};
    int64_t rows = 24;
    int64_t cols = 80;
    const char *cwd = json_string_or(args, "cwd", "", e);
    const char *user = cwd ? json_string_or(args, "user", "", e) : NULL;
    if (!user || json_integer_or(args, "rows", 0, 65535, &rows, e) || json_integer_or(args, "cols", 0, 65535, &cols, e))
        return -EINVAL;
    command->size = sizeof(open);
    int rc = add_string(command, cwd, e);
    if (rc == 0)
        rc = add_string(command, user, e);
    if (rc == 0)
        rc = add_list(command, args, "argv", &open.argc, e);
    if (rc == 0 && open.argc == 0)
        rc = err_set(e, EINVAL, "\"argv\" must name a command");
    if (rc == 0)
        rc = check_env(args, e);
    if (rc == 0)
        rc = add_list(command, args, "env", &open.envc, e);
    open.flags = json_true(args, "tty") ? MUX_OPEN_TTY : 0;
    open.rows = (uint16_t) rows;
    open.cols = (uint16_t) cols;
    memcpy(command->open, &open, sizeof(open));
    return rc;
}

int vm_command_parse(const cJSON *args, struct vm_command *command, struct err *e) {
    *command = (struct vm_command){.open = malloc(MUX_PAYLOAD_MAX)};
    if (!command->open)
        return err_set(e, ENOMEM, "out of memory");
    int rc = fill(args, command, e);
    if (rc) {
        free(command->open);
        command->open = NULL;
    }
    return rc;
}
