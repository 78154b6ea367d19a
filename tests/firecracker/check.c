/* Bodies against firecracker.yaml, read as serde reads them: a member that is not described
 * is refused, but in a token bucket, an override or the metrics. */
#include "fake.h"
#include "schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *schema(void) {
    static cJSON *whole;
    if (!whole)
        whole = cJSON_Parse(schema_text);
    if (!whole)
        abort();
    return whole;
}

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const cJSON *resolve(const cJSON *rule) {
    const char *ref = cJSON_GetStringValue(member(rule, "$ref"));
    return ref ? member(member(schema(), "definitions"), strrchr(ref, '/') + 1) : rule;
}

static int is_open(const cJSON *rule) {
    static const char *const names[] = {"TokenBucket", "NetworkOverride", "VsockOverride", "Metrics"};
    const char *ref = cJSON_GetStringValue(member(rule, "$ref"));
    for (size_t i = 0; ref && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(strrchr(ref, '/') + 1, names[i]) == 0)
            return 1;
    return member(resolve(rule), "additionalProperties") != NULL;
}

static int check(const cJSON *rule, const cJSON *value, const char *name, struct reply *reply);

static int bad(struct reply *reply, const char *name, const char *what) {
    reply_fault(reply, "An error occurred when deserializing the json body of a request: %s: %s.", name, what);
    return 0;
}

static int check_object(const cJSON *rule, const cJSON *value, const char *name, struct reply *reply) {
    const cJSON *resolved = resolve(rule), *properties = member(resolved, "properties"), *each;
    if (!cJSON_IsObject(value))
        return bad(reply, name, "invalid type, expected a map");
    cJSON_ArrayForEach(each, member(resolved, "required")) {
        const cJSON *there = member(value, each->valuestring);
        if (!there || cJSON_IsNull(there))
            return bad(reply, each->valuestring, "missing field");
    }
    cJSON_ArrayForEach(each, value) {
        const cJSON *of = member(properties, each->string);
        if (!of && !is_open(rule))
            return bad(reply, each->string, "unknown field");
        if (member(value, each->string) != each)
            return bad(reply, each->string, "duplicate field");
        if (of && !cJSON_IsNull(each) && !check(of, each, each->string, reply))
            return 0;
    }
    return 1;
}

static int check_number(const cJSON *rule, const cJSON *value, const char *name, struct reply *reply) {
    const cJSON *least = member(rule, "minimum"), *most = member(rule, "maximum");
    if (!cJSON_IsNumber(value) || value->valuedouble != floor(value->valuedouble) || value->valuedouble < 0)
        return bad(reply, name, "invalid type, expected an unsigned integer");
    if ((least && value->valuedouble < least->valuedouble) || (most && value->valuedouble > most->valuedouble))
        return bad(reply, name, "out of range");
    return 1;
}

static int check_string(const cJSON *rule, const cJSON *value, const char *name, struct reply *reply) {
    const cJSON *words = member(rule, "enum"), *word;
    if (!cJSON_IsString(value))
        return bad(reply, name, "invalid type, expected a string");
    if (!words)
        return 1;
    cJSON_ArrayForEach(word, words) {
        const int level = strcmp(name, "level") == 0; /* whose case does not matter */
        if ((level ? strcasecmp : strcmp)(word->valuestring, value->valuestring) == 0)
            return 1;
    }
    return bad(reply, name, "unknown variant");
}

static int check(const cJSON *rule, const cJSON *value, const char *name, struct reply *reply) {
    const cJSON *resolved = resolve(rule), *each;
    const char *type = cJSON_GetStringValue(member(resolved, "type"));
    if (!type)
        return 1;
    if (strcmp(type, "object") == 0)
        return check_object(rule, value, name, reply);
    if (strcmp(type, "integer") == 0)
        return check_number(resolved, value, name, reply);
    if (strcmp(type, "string") == 0)
        return check_string(resolved, value, name, reply);
    if (strcmp(type, "boolean") == 0)
        return cJSON_IsBool(value) ? 1 : bad(reply, name, "invalid type, expected a boolean");
    if (!cJSON_IsArray(value))
        return bad(reply, name, "invalid type, expected a sequence");
    cJSON_ArrayForEach(each, value) {
        if (!check(member(resolved, "items"), each, name, reply))
            return 0;
    }
    return 1;
}

const char *check_path(const char *method, const char *path, const char **id) {
    const cJSON *each;
    *id = NULL;
    cJSON_ArrayForEach(each, member(schema(), "paths")) {
        const char *brace = strchr(each->string, '{');
        size_t size = brace ? (size_t) (brace - each->string) : 0;
        if (!member(each, method))
            continue;
        if (!brace && strcmp(each->string, path) == 0)
            return each->string;
        if (brace && strncmp(path, each->string, size) == 0 && path[size] && !strchr(path + size, '/')) {
            *id = path + size;
            return each->string;
        }
    }
    return NULL;
}

int check_body(const char *method, const char *path, const cJSON *body, struct reply *reply) {
    const char *id;
    const char *known = check_path(method, path, &id);
    const cJSON *rule = member(member(member(schema(), "paths"), known), method);
    return check(rule, body, "body", reply);
}
