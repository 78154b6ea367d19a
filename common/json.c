#include "json.h"

#include <errno.h>

const char *json_string_or(const cJSON *object, const char *key, const char *fallback, struct err *e) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item || cJSON_IsNull(item))
        return fallback;
    if (!cJSON_IsString(item)) {
        (void) err_set(e, EINVAL, "\"%s\" must be a string", key);
        return NULL;
    }
    return item->valuestring;
}

const char *json_string(const cJSON *object, const char *key, struct err *e) {
    if (!cJSON_HasObjectItem(object, key)) {
        (void) err_set(e, EINVAL, "\"%s\" is missing", key);
        return NULL;
    }
    const char *text = json_string_or(object, key, "", e);
    return text;
}

int json_integer_or(const cJSON *object, const char *key, int64_t least, int64_t most, int64_t *out, struct err *e) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item || cJSON_IsNull(item))
        return 0;
    double value = cJSON_IsNumber(item) ? item->valuedouble : 0.5;
    if (!(value >= (double) least && value <= (double) most) || value != (double) (int64_t) value)
        return err_set(e, EINVAL, "\"%s\" must be a whole number from %lld to %lld", key, (long long) least,
                       (long long) most);
    *out = (int64_t) value;
    return 0;
}

int json_integer(const cJSON *object, const char *key, int64_t least, int64_t most, int64_t *out, struct err *e) {
    if (!cJSON_HasObjectItem(object, key))
        return err_set(e, EINVAL, "\"%s\" is missing", key);
    return json_integer_or(object, key, least, most, out, e);
}

int json_boolean_or(const cJSON *object, const char *key, uint32_t *out, struct err *e) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsBool(item))
        return err_set(e, EINVAL, "\"%s\" must be true or false", key);
    *out = (uint32_t) cJSON_IsTrue(item);
    return 0;
}

int json_true(const cJSON *object, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}
