#include "run_config.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../daemon/rpc_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum shape { TEXT, WORDS, VARIABLES };

static const struct member {
    const char *key;
    enum shape shape;
    size_t most; /* bytes of one string */
} members[] = {
    {"env", VARIABLES, 32768}, {"workdir", TEXT, 4095},   {"user", TEXT, 255},        {"entrypoint", WORDS, 32768},
    {"cmd", WORDS, 32768},     {"stop_signal", TEXT, 32}, {"architecture", TEXT, 64},
};

/* What is shown and looked up has no control bytes; a word of a command may have them. */
static int has_control(const char *text) {
    for (const char *at = text; *at; at++) {
        if ((unsigned char) *at < ' ' || *at == 127)
            return 1;
    }
    return 0;
}

static int bad(const struct member *m, const char *why, struct err *e) {
    return err_set(e, EBADMSG, "the image's configuration is not usable: its \"%s\" %s", m->key, why);
}

static int check_string(const struct member *m, const cJSON *item, struct err *e) {
    if (!cJSON_IsString(item))
        return bad(m, m->shape == TEXT ? "is no string" : "is no list of strings", e);
    if (strlen(item->valuestring) > m->most)
        return bad(m, "is too long", e);
    if (m->shape == TEXT && has_control(item->valuestring))
        return bad(m, "has control characters", e);
    return 0;
}

static int check(const struct member *m, const cJSON *item, struct err *e) {
    if (m->shape == TEXT)
        return check_string(m, item, e);
    if (!cJSON_IsArray(item))
        return bad(m, "is no list of strings", e);
    if (cJSON_GetArraySize(item) > RUN_CONFIG_WORDS)
        return bad(m, "has too many entries", e);
    const cJSON *word = NULL;
    cJSON_ArrayForEach(word, item) {
        int r = check_string(m, word, e);
        if (r)
            return r;
    }
    return 0;
}

static cJSON *variables(const cJSON *list) {
    cJSON *out = cJSON_CreateArray();
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list) {
        if (item->valuestring[0] != '=' && strchr(item->valuestring, '='))
            (void) cJSON_AddItemToArray(out, cJSON_Duplicate(item, 0));
    }
    return out;
}

cJSON *run_config_take(const cJSON *config, struct err *e) {
    if (!cJSON_IsObject(config)) {
        (void) err_set(e, EBADMSG, "the image's configuration is not usable: it is no JSON object");
        return NULL;
    }
    cJSON *out = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, members[i].key);
        if (!item || cJSON_IsNull(item))
            continue;
        if (check(&members[i], item, e)) {
            cJSON_Delete(out);
            return NULL;
        }
        (void) cJSON_AddItemToObject(out, members[i].key,
                                     members[i].shape == VARIABLES ? variables(item) : cJSON_Duplicate(item, 1));
    }
    return out;
}

cJSON *run_config_parse(const char *text, size_t size, struct err *e) {
    struct err why = {0};
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    cJSON *parsed = size <= RUN_CONFIG_MAX ? rpc_line_parse(text, size, &why) : NULL;
    cJSON *config = NULL;
    if (parsed)
        config = run_config_take(parsed, e);
    else
        (void) err_set(e, EBADMSG, "the image's configuration is not usable: it is no JSON object of at most %d bytes",
                       RUN_CONFIG_MAX);
    cJSON_Delete(parsed);
    return config;
}

int run_config_read_file(int fd, cJSON **config, struct err *e) {
    cleanup_free char *text = malloc(RUN_CONFIG_MAX + 1);
    size_t have = 0;
    ssize_t got = 1;
    *config = NULL;
    if (!text)
        return err_set(e, ENOMEM, "out of memory");
    while (got > 0 && have <= RUN_CONFIG_MAX) {
        got = pread(fd, text + have, RUN_CONFIG_MAX + 1 - have, (off_t) have);
        if (got < 0)
            return err_sys(e, errno, "cannot read the image's configuration");
        have += (size_t) got;
    }
    *config = run_config_parse(text, have, e);
    return *config ? 0 : -e->code;
}

int run_config_read(int state, const char *id, cJSON **config, struct err *e) {
    char path[64];
    *config = NULL;
    (void) snprintf(path, sizeof(path), "images/%.16s/" RUN_CONFIG_FILE, id);
    cleanup_fd int fd = openat(state, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "cannot open the image's configuration");
    return run_config_read_file(fd, config, e);
}

int run_config_write(int fd, const cJSON *config, struct err *e) {
    char *text = cJSON_PrintUnformatted(config);
    if (!text)
        return err_set(e, ENOMEM, "out of memory");
    size_t size = strlen(text);
    int r = size > RUN_CONFIG_MAX ? -EMSGSIZE : io_write(fd, text, size);
    cJSON_free(text);
    return r ? err_sys(e, -r, "cannot write the image's configuration") : 0;
}

const char *run_config_text(const cJSON *config, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(config, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}
