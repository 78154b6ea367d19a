/* Readers over cJSON with one rule: a missing or mistyped member is an error
 * that names it. Parsed text is bounded in depth by cJSON (1,000). */
#ifndef BANGER_COMMON_JSON_H
#define BANGER_COMMON_JSON_H

#include "err.h"

#include <cjson/cJSON.h>
#include <stdint.h>

/* The string member `key` (owned by `object`), or NULL with `e` filled. */
const char *json_string(const cJSON *object, const char *key, struct err *e);
/* The same, but `fallback` where the member is missing or null. A wrong type is still an error: NULL. */
const char *json_string_or(const cJSON *object, const char *key, const char *fallback, struct err *e);
/* A whole number from `least` to `most`: 0 or a negative errno. */
int json_integer(const cJSON *object, const char *key, int64_t least, int64_t most, int64_t *out, struct err *e);
/* The same, but leaves `*out` alone where the member is missing or null. */
int json_integer_or(const cJSON *object, const char *key, int64_t least, int64_t most, int64_t *out, struct err *e);
/* 0 or 1; leaves `*out` alone where the member is missing or null. */
int json_boolean_or(const cJSON *object, const char *key, uint32_t *out, struct err *e);
/* 1 when the member is there and true. */
int json_true(const cJSON *object, const char *key);

#endif
