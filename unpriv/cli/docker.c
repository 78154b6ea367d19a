#include "docker.h"

#include "../../common/json.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define DEPTH_MAX  32
#define TOKEN_USER "<token>" /* a helper's answer with this name holds an identity token */

/* The names under which docker keeps a host's login (docker's registry.IndexServer and its history). */
static const char *name_of(const char *host, int number, char out[192]) {
    static const char *const forms[] = {"%s",          "https://%s", "https://%s/v1/", "https://%s/v2/",
                                        "https://%s/", "http://%s"};
    if (strcmp(host, "docker.io") == 0) {
        if (number == 0)
            return "https://index.docker.io/v1/";
        host = "index.docker.io";
        number--;
    }
    if (number >= (int) (sizeof(forms) / sizeof(forms[0])))
        return NULL;
    const char *mark = strstr(forms[number], "%s");
    (void) snprintf(out, 192, "%.*s%.128s%s", (int) (mark - forms[number]), forms[number], host, mark + 2);
    return out;
}

static const cJSON *entry_of(const cJSON *table, const char *host) {
    char text[192];
    const char *name = NULL;
    for (int i = 0; cJSON_IsObject(table) && (name = name_of(host, i, text)); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(table, name);
        if (item)
            return item;
    }
    return NULL;
}

static int digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int) (at - digits) : -1;
}

/* Base64 (RFC 4648) to a text; its length, or -EINVAL. */
static ssize_t unpack(const char *text, char *out, size_t room) {
    size_t used = 0;
    unsigned bits = 0, value = 0;
    for (; *text && *text != '='; text++) {
        int d = digit(*text);
        if (d < 0)
            return -EINVAL;
        value = value << 6 | (unsigned) d;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (used + 1 >= room)
            return -EINVAL;
        out[used] = (char) (value >> bits & 0xff);
        if (!out[used++])
            return -EINVAL;
    }
    out[used] = '\0';
    return strspn(text, "=") == strlen(text) ? (ssize_t) used : -EINVAL;
}

/* Texts go into headers: no control bytes. */
static int put(char *out, size_t room, const char *text) {
    for (const char *p = text; *p; p++) {
        if ((unsigned char) *p < ' ' || *p == 0x7f)
            return -EINVAL;
    }
    if (strlen(text) >= room)
        return -EINVAL;
    (void) snprintf(out, room, "%s", text);
    return 0;
}

static int bad_entry(const char *host, struct err *e) {
    return err_set(e, EINVAL,
                   "docker's configuration holds a login for %s that cannot be read: `docker login` makes it anew",
                   host);
}

/* {"auth":"base64 of USER:PASSWORD"} or {"username":..,"password":..}, and {"identitytoken":..} */
static int take_entry(const cJSON *entry, const char *host, struct docker_login *out, struct err *e) {
    char pair[DOCKER_SECRET_MAX + 256];
    const char *auth = json_string_or(entry, "auth", "", NULL);
    const char *username = json_string_or(entry, "username", "", NULL);
    const char *password = json_string_or(entry, "password", "", NULL);
    const char *token = json_string_or(entry, "identitytoken", "", NULL);
    if (!cJSON_IsObject(entry) || !auth || !username || !password || !token)
        return bad_entry(host, e);
    if (auth[0]) {
        char *colon = unpack(auth, pair, sizeof(pair)) >= 0 ? strchr(pair, ':') : NULL;
        if (!colon)
            return bad_entry(host, e);
        *colon = '\0';
        username = pair;
        password = colon + 1;
    }
    if (put(out->username, sizeof(out->username), username) || put(out->password, sizeof(out->password), password) ||
        put(out->token, sizeof(out->token), token))
        return bad_entry(host, e);
    return 0;
}

static int is_helper(const char *name) {
    return name[0] && strlen(name) < sizeof(((struct docker_login *) 0)->helper) &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen(name) &&
           name[0] != '.';
}

static int find(const cJSON *object, const char *host, struct docker_login *out, struct err *e) {
    char text[192];
    const cJSON *helper = entry_of(cJSON_GetObjectItemCaseSensitive(object, "credHelpers"), host);
    if (!helper)
        helper = cJSON_GetObjectItemCaseSensitive(object, "credsStore");
    const char *name = cJSON_GetStringValue(helper);
    if (name && name[0]) {
        if (!is_helper(name))
            return err_set(e, EINVAL,
                           "docker's configuration names a credential helper that can be none, \"%.60s\": correct it",
                           name);
        (void) snprintf(out->helper, sizeof(out->helper), "%s", name);
        (void) snprintf(out->server, sizeof(out->server), "%s", name_of(host, 0, text));
    }
    const cJSON *entry = entry_of(cJSON_GetObjectItemCaseSensitive(object, "auths"), host);
    return entry ? take_entry(entry, host, out, e) : 0;
}

static int too_deep(const char *text, size_t size) {
    int depth = 0, quoted = 0;
    for (size_t i = 0; i < size; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > DEPTH_MAX)
            return 1;
        else if (!quoted && (text[i] == ']' || text[i] == '}'))
            depth--;
    }
    return 0;
}

int docker_config_find(const char *text, size_t size, const char *host, struct docker_login *out, struct err *e) {
    memset(out, 0, sizeof(*out));
    cJSON *object = too_deep(text, size) ? NULL : cJSON_ParseWithLength(text, size);
    int r = cJSON_IsObject(object)
                ? find(object, host, out, e)
                : err_set(e, EINVAL,
                          "docker's configuration is no JSON object: correct it, or set DOCKER_CONFIG elsewhere");
    cJSON_Delete(object);
    if (r)
        memset(out, 0, sizeof(*out));
    return r;
}

int docker_helper_answer(const char *text, size_t size, struct docker_login *out, struct err *e) {
    cJSON *object = size > DOCKER_FILE_MAX || too_deep(text, size) ? NULL : cJSON_ParseWithLength(text, size);
    const char *username = json_string_or(object, "Username", "", NULL);
    const char *secret = json_string_or(object, "Secret", "", NULL);
    const int is_token = username && strcmp(username, TOKEN_USER) == 0;
    int r = 0;
    if (!cJSON_IsObject(object) || !username || !secret || put(out->username, sizeof(out->username), username) ||
        put(is_token ? out->token : out->password, DOCKER_SECRET_MAX, secret))
        r = err_set(e, EINVAL, "the credential helper " DOCKER_HELPER "%s answers with something that is no login",
                    out->helper);
    cJSON_Delete(object);
    return r;
}
