#include "oci_config.h"

#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX   32u
#define VALUES_MAX  50000u /* a value takes cJSON about 80 bytes */
#define STRINGS_MAX 4096   /* of one list */

static const char noun[] = "The image's configuration";

/* How deep and how many, without building anything; what is no JSON is cJSON's to find. */
static int within_bounds(const char *text, size_t size) {
    size_t depth = 0, values = 0;
    int quoted = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            quoted = c != '"';
            continue;
        }
        quoted = c == '"';
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth)
            depth--;
        values += c == ',' || c == '[' || c == '{';
        if (depth > DEPTH_MAX || values > VALUES_MAX)
            return 0;
    }
    return 1;
}

static cJSON *parse(const char *text, size_t size, const char *what, int is_list, struct err *e) {
    if (size > OCI_JSON_MAX || !within_bounds(text, size)) {
        (void) err_set(e, EFBIG, "%s is larger or nested deeper than any image's; use another image", what);
        return NULL;
    }
    const char *end = NULL;
    cJSON *root = memchr(text, '\0', size) ? NULL : cJSON_ParseWithLengthOpts(text, size, &end, 0);
    while (root && end < text + size && strchr(" \t\r\n", *end))
        end++;
    if (root && (is_list ? cJSON_IsArray(root) : cJSON_IsObject(root)) && end == text + size)
        return root;
    cJSON_Delete(root);
    (void) err_set(e, EINVAL, "%s is not a JSON %s; it is damaged, or not an image's", what,
                   is_list ? "list" : "object");
    return NULL;
}

cJSON *oci_json(const char *text, size_t size, const char *what, struct err *e) {
    return parse(text, size, what, 0, e);
}

cJSON *oci_json_list(const char *text, size_t size, const char *what, struct err *e) {
    return parse(text, size, what, 1, e);
}

static int digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int oci_digest(const char *text, uint8_t out[OCI_DIGEST_BYTES], struct err *e) {
    static const char scheme[] = "sha256:";
    int good = text && strncmp(text, scheme, sizeof(scheme) - 1) == 0 &&
               strlen(text) == sizeof(scheme) - 1 + (size_t) 2 * OCI_DIGEST_BYTES;
    for (size_t i = 0; good && i < OCI_DIGEST_BYTES; i++) {
        int high = digit(text[sizeof(scheme) - 1 + 2 * i]), low = digit(text[sizeof(scheme) + 2 * i]);
        good = high >= 0 && low >= 0;
        out[i] = (uint8_t) (good ? high << 4 | low : 0);
    }
    return good
               ? 0
               : err_set(e, EINVAL, "\"%.80s\" is not a digest that banger can check: it must be sha256: and 64 digits",
                         text ? text : "");
}

void oci_digest_hex(const uint8_t digest[OCI_DIGEST_BYTES], char out[2 * OCI_DIGEST_BYTES + 1]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < OCI_DIGEST_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[(size_t) 2 * OCI_DIGEST_BYTES] = '\0';
}

static int mistyped(const char *key, const char *wanted, struct err *e) {
    return err_set(e, EINVAL, "%s is damaged: \"%s\" is not %s", noun, key, wanted);
}

/* A string of `from` under the name it has in the canonical form; what is missing, null or empty is left out. */
static int take_string(const cJSON *from, const char *key, cJSON *to, const char *name, struct err *e) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);
    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsString(item))
        return mistyped(key, "a string", e);
    if (item->valuestring[0] == '\0' || cJSON_AddStringToObject(to, name, item->valuestring))
        return 0;
    return err_set(e, ENOMEM, "There is not enough memory for the image's configuration; free some and try again");
}

static int take_list(const cJSON *from, const char *key, cJSON *to, const char *name, struct err *e) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(from, key), *item = NULL;
    if (!list || cJSON_IsNull(list) || (cJSON_IsArray(list) && !list->child))
        return 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > STRINGS_MAX)
        return mistyped(key, "a list of at most 4096 strings", e);
    cJSON *copy = cJSON_AddArrayToObject(to, name);
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsString(item))
            return mistyped(key, "a list of strings", e);
        if (!copy || !cJSON_AddItemToArray(copy, cJSON_CreateString(item->valuestring)))
            return err_set(e, ENOMEM,
                           "There is not enough memory for the image's configuration; free some and try again");
    }
    return 0;
}

static int print(const cJSON *canonical, struct oci_config *out, struct err *e) {
    out->canonical = calloc(1, OCI_CANONICAL_MAX + 8); /* cJSON wants a few bytes more than it writes */
    if (!out->canonical)
        return err_set(e, ENOMEM, "There is not enough memory for the image's configuration; free some and try again");
    if (cJSON_PrintPreallocated((cJSON *) (uintptr_t) canonical, out->canonical, OCI_CANONICAL_MAX, 0))
        return 0;
    return err_set(e, E2BIG, "%s says more than the %u KiB there is room for; use an image with a shorter environment",
                   noun, OCI_CANONICAL_MAX >> 10);
}

static int canonicalise(const cJSON *root, struct oci_config *out, struct err *e) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(root, "config");
    cJSON *to = cJSON_CreateObject();
    if (config && !cJSON_IsNull(config) && !cJSON_IsObject(config)) {
        cJSON_Delete(to);
        return mistyped("config", "an object", e);
    }
    int r = to ? 0 : err_set(e, ENOMEM, "There is not enough memory; free some and try again");
    if (r == 0)
        r = take_list(config, "Env", to, "env", e);
    if (r == 0)
        r = take_string(config, "WorkingDir", to, "workdir", e);
    if (r == 0)
        r = take_string(config, "User", to, "user", e);
    if (r == 0)
        r = take_list(config, "Entrypoint", to, "entrypoint", e);
    if (r == 0)
        r = take_list(config, "Cmd", to, "cmd", e);
    if (r == 0)
        r = take_string(config, "StopSignal", to, "stop_signal", e);
    if (r == 0)
        r = take_string(root, "architecture", to, "architecture", e);
    if (r == 0)
        r = print(to, out, e);
    cJSON_Delete(to);
    return r;
}

static int copy_word(const cJSON *root, const char *key, char *out, size_t size, struct err *e) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= size)
        return mistyped(key, "a short string", e);
    (void) snprintf(out, size, "%s", item->valuestring);
    text_sanitize(out);
    return 0;
}

static int read_layers(const cJSON *root, struct oci_config *out, struct err *e) {
    const cJSON *rootfs = cJSON_GetObjectItemCaseSensitive(root, "rootfs"), *item = NULL;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(rootfs, "diff_ids");
    if (!cJSON_IsObject(rootfs) || (list && !cJSON_IsNull(list) && !cJSON_IsArray(list)))
        return err_set(e, EINVAL, "%s is damaged: it has no list of layers (\"rootfs\", \"diff_ids\")", noun);
    int count = cJSON_GetArraySize(list);
    if (count > (int) STREAM_LAYERS_MAX)
        return err_set(e, EFBIG, "The image has more than %u layers; squash it first", STREAM_LAYERS_MAX);
    out->diff_ids = calloc(count ? (size_t) count : 1, sizeof(*out->diff_ids));
    if (!out->diff_ids)
        return err_set(e, ENOMEM, "There is not enough memory for the image's layers; free some and try again");
    cJSON_ArrayForEach(item, list) {
        int r = oci_digest(cJSON_GetStringValue(item), out->diff_ids[out->layers], e);
        if (r)
            return err_prefix(e, "%s", noun);
        out->layers++;
    }
    return 0;
}

int oci_config_read(const char *text, size_t size, struct oci_config *out, struct err *e) {
    memset(out, 0, sizeof(*out));
    cJSON *root = oci_json(text, size, noun, e);
    if (!root)
        return -EINVAL;
    int r = copy_word(root, "os", out->os, sizeof(out->os), e);
    if (r == 0)
        r = copy_word(root, "architecture", out->architecture, sizeof(out->architecture), e);
    if (r == 0)
        r = copy_word(root, "variant", out->variant, sizeof(out->variant), e);
    if (r == 0)
        r = read_layers(root, out, e);
    if (r == 0)
        r = canonicalise(root, out, e);
    cJSON_Delete(root);
    return r;
}

void oci_config_free(struct oci_config *c) {
    free(c->canonical);
    free(c->diff_ids);
    memset(c, 0, sizeof(*c));
}
