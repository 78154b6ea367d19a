#include "names.h"

#include "../store/store.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *name_of_asset(const cJSON *args, const char *noun, struct err *e) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@+-";
    const char *name = json_string(args, "name", e);
    if (!name)
        return NULL;
    const size_t size = strlen(name);
    if (size > 0 && size < STORE_NAME_MAX && strspn(name, good) == size && isalnum((unsigned char) name[0]))
        return name;
    (void) err_set(e, EINVAL,
                   "\"%.64s\" cannot name %s: use 1 to %d letters, digits or ._/:@+- and begin with a letter or digit",
                   name, noun, STORE_NAME_MAX - 1);
    return NULL;
}

int name_copy_text(const cJSON *args, const char *key, char *out, size_t size, struct err *e) {
    const char *text = json_string_or(args, key, "", e);
    if (!text)
        return -EINVAL;
    if (strlen(text) >= size)
        return err_set(e, EINVAL, "\"%s\" is longer than %zu bytes", key, size - 1);
    (void) snprintf(out, size, "%s", text);
    text_sanitize(out);
    return 0;
}

cJSON *name_time(int64_t seconds) {
    char text[32];
    struct tm utc;
    const time_t t = (time_t) seconds;
    if (seconds == 0 || !gmtime_r(&t, &utc) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return cJSON_CreateNull();
    return cJSON_CreateString(text);
}
