/* A command for the agent, struct mux_open and its strings: what the request asks for,
 * and where it says nothing what the image's configuration does. */
#include "internal.h"

#include "../../common/json.h"
#include "../image/run_config.h"

#include <errno.h>
#include <stdio.h>
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

/* All strings of a list, counted. */
static int add_list(struct vm_command *command, const cJSON *list, const char *key, uint32_t *count, struct err *e) {
    const cJSON *item = NULL;
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

static const cJSON *member(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* Entrypoint and Cmd where the request wants the image's own command and there is one, else its words. */
static int add_words(struct vm_command *command, const cJSON *args, const cJSON *config, uint32_t *count,
                     struct err *e) {
    int rc = 0;
    if (json_true(args, "image_command")) {
        rc = add_list(command, member(config, "entrypoint"), "entrypoint", count, e);
        if (rc == 0)
            rc = add_list(command, member(config, "cmd"), "cmd", count, e);
    }
    if (rc == 0 && *count == 0)
        rc = add_list(command, member(args, "argv"), "argv", count, e);
    if (rc == 0 && *count == 0)
        rc = err_set(e, EINVAL, "\"argv\" must name a command");
    return rc;
}

static int check_env(const cJSON *args, struct err *e) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, member(args, "env")) {
        const char *text = cJSON_IsString(item) ? item->valuestring : "=";
        if (text[0] == '=' || !strchr(text, '='))
            return err_set(e, EINVAL, "\"env\" must be a list of NAME=value");
    }
    return 0;
}

/* 1 when the list sets the variable that `entry` sets. */
static int sets(const cJSON *list, const char *entry) {
    size_t name = strcspn(entry, "=") + 1;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list) {
        if (strncmp(item->valuestring, entry, name) == 0)
            return 1;
    }
    return 0;
}

/* mise asks before it believes a folder's configuration: a workspace is the user's own. */
static int add_trust(struct vm_command *command, const cJSON *wanted, const char *workspace, uint32_t *count,
                     struct err *e) {
    char entry[STORE_TEXT_MAX + 32];
    (void) snprintf(entry, sizeof(entry), "MISE_TRUSTED_CONFIG_PATHS=%s", workspace);
    if (!workspace[0] || sets(wanted, entry))
        return 0;
    ++*count;
    return add_string(command, entry, e);
}

/* The image's variables that the request does not set, then the request's. */
static int add_env(struct vm_command *command, const cJSON *args, const cJSON *config, const char *workspace,
                   uint32_t *count, struct err *e) {
    const cJSON *wanted = member(args, "env"), *item = NULL;
    int rc = check_env(args, e);
    if (rc == 0)
        rc = add_trust(command, wanted, workspace, count, e);
    cJSON_ArrayForEach(item, member(config, "env")) {
        if (rc || sets(wanted, item->valuestring))
            continue;
        rc = add_string(command, item->valuestring, e);
        ++*count;
    }
    return rc ? rc : add_list(command, wanted, "env", count, e);
}

/* The request's folder must be there. Without one it is the workspace, as far as that can be entered; else the
 * image's, which is made where it is missing, as containers have it. */
static int add_folder(struct vm_command *command, const char *wanted, const cJSON *config, const char *workspace,
                      uint32_t *flags, struct err *e) {
    char path[4100];
    if (!wanted[0] && workspace[0])
        *flags |= MUX_OPEN_WORKSPACE;
    if (wanted[0] || workspace[0] || !config)
        return add_string(command, wanted[0] ? wanted : workspace, e);
    const char *workdir = run_config_text(config, "workdir");
    (void) snprintf(path, sizeof(path), "%s%s", workdir[0] == '/' ? "" : "/", workdir);
    *flags |= MUX_OPEN_MAKE_CWD;
    return add_string(command, path, e);
}

static int fill(const cJSON *args, const cJSON *config, const char *workspace, struct vm_command *command,
                struct err *e) {
    struct mux_open open = {0};
    int64_t rows = 24;
    int64_t cols = 80;
    const char *cwd = json_string_or(args, "cwd", "", e);
    const char *user = cwd ? json_string_or(args, "user", "", e) : NULL;
    if (!user || json_integer_or(args, "rows", 0, 65535, &rows, e) || json_integer_or(args, "cols", 0, 65535, &cols, e))
        return -EINVAL;
    command->size = sizeof(open);
    int rc = add_folder(command, cwd, config, workspace, &open.flags, e);
    if (rc == 0)
        rc = add_string(command, user[0] ? user : run_config_text(config, "user"), e);
    if (rc == 0)
        rc = add_words(command, args, config, &open.argc, e);
    if (rc == 0)
        rc = add_env(command, args, config, open.flags & MUX_OPEN_WORKSPACE ? workspace : "", &open.envc, e);
    open.flags |= json_true(args, "tty") ? MUX_OPEN_TTY : 0;
    open.rows = (uint16_t) rows;
    open.cols = (uint16_t) cols;
    memcpy(command->open, &open, sizeof(open));
    return rc;
}

int vm_command_parse(const cJSON *args, const cJSON *config, const char *workspace, struct vm_command *command,
                     struct err *e) {
    *command = (struct vm_command){.open = malloc(MUX_PAYLOAD_MAX)};
    if (!command->open)
        return err_set(e, ENOMEM, "out of memory");
    int rc = fill(args, config, workspace, command, e);
    if (rc) {
        free(command->open);
        command->open = NULL;
    }
    return rc;
}

int vm_command_service(const char *const argv[], struct vm_command *command, struct err *e) {
    struct mux_open open = {.flags = MUX_OPEN_AGENT};
    *command = (struct vm_command){.open = calloc(1, MUX_PAYLOAD_MAX), .size = sizeof(open) + 2};
    if (!command->open)
        return err_set(e, ENOMEM, "out of memory");
    int rc = 0;
    for (; rc == 0 && argv[open.argc]; open.argc++)
        rc = add_string(command, argv[open.argc], e);
    memcpy(command->open, &open, sizeof(open));
    if (rc) {
        free(command->open);
        command->open = NULL;
    }
    return rc;
}
