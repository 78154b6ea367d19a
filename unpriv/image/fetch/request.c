#include "request.h"

#include "../../../common/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_MOST    ((int64_t) 1 << 46)
#define PATIENCE_MOST 3600

static int copy(const cJSON *object, const char *key, char *out, size_t size, struct err *e) {
    const char *text = json_string_or(object, key, "", e);
    if (!text)
        return -EINVAL;
    if (strlen(text) >= size)
        return err_set(e, EINVAL, "\"%s\" is longer than %zu bytes", key, size - 1);
    (void) snprintf(out, size, "%s", text);
    return 0;
}

static int take_endpoint(const cJSON *item, struct endpoint *out, struct err *e) {
    if (copy(item, "host", out->host, sizeof(out->host), e) ||
        copy(item, "username", out->username, sizeof(out->username), e) ||
        copy(item, "password", out->password, sizeof(out->password), e) ||
        copy(item, "token", out->token, sizeof(out->token), e))
        return -EINVAL;
    if (!reference_is_host(out->host))
        return err_set(e, EINVAL, "\"%.80s\" is no registry's host", out->host);
    out->insecure = json_true(item, "insecure");
    return 0;
}

/* More than there is room for are passed over: what is not known is fetched. */
static int take_known(const cJSON *object, struct fetch_request *out, struct err *e) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, "known")) {
        const char *digest = cJSON_GetStringValue(item);
        if (!digest || !reference_is_digest(digest))
            return err_set(e, EINVAL, "\"known\" must be a list of digests");
        if (out->known_count < KNOWN_MAX)
            (void) snprintf(out->known[out->known_count++], DIGEST_TEXT_MAX, "%s", digest);
    }
    return 0;
}

static int take_image(const cJSON *object, struct fetch_request *out, struct err *e) {
    const char *reference = json_string(object, "reference", e);
    const char *platform = json_string_or(object, "platform", "", e);
    const cJSON *endpoints = cJSON_GetObjectItemCaseSensitive(object, "endpoints");
    const cJSON *item = NULL;
    if (!reference || !platform || reference_parse(reference, &out->reference, e) ||
        platform_parse(platform, &out->platform, e) || take_known(object, out, e))
        return -EINVAL;
    cJSON_ArrayForEach(item, endpoints) {
        if (out->endpoint_count == ENDPOINTS_MAX)
            return err_set(e, E2BIG, "an image can be looked for at %d places at most: list fewer mirrors",
                           ENDPOINTS_MAX);
        if (take_endpoint(item, &out->endpoints[out->endpoint_count++], e))
            return -EINVAL;
    }
    return out->endpoint_count ? 0 : err_set(e, EINVAL, "\"endpoints\" names no registry");
}

/* A file's server is an endpoint without a login. */
static int take_file(const cJSON *object, struct fetch_request *out, struct err *e) {
    char hex[DIGEST_TEXT_MAX - 7] = "";
    struct endpoint *server = &out->endpoints[0];
    if (copy(object, "url", out->url, sizeof(out->url), e) || copy(object, "sha256", hex, sizeof(hex), e))
        return -EINVAL;
    const char *host = strncmp(out->url, "https://", 8) == 0  ? out->url + 8
                       : strncmp(out->url, "http://", 7) == 0 ? out->url + 7
                                                              : NULL;
    const size_t length = host ? strcspn(host, "/?#") : 0;
    if (length >= sizeof(server->host))
        return err_set(e, EINVAL, "%.100s has too long a host", out->url);
    (void) snprintf(server->host, sizeof(server->host), "%.*s", (int) length, host ? host : "");
    if (!reference_is_host(server->host))
        return err_set(e, EINVAL, "\"%.100s\" is no address of a file: give one as in https://host/file", out->url);
    server->insecure = json_true(object, "insecure");
    server->decided = 1;
    server->plain = out->url[4] == ':';
    if (server->plain && !server->insecure && !reference_is_loopback(server->host))
        return err_set(e, EINVAL, "%.100s is plain http: give an https address", out->url);
    (void) snprintf(out->digest, sizeof(out->digest), "sha256:%s", hex);
    if (!reference_is_digest(out->digest))
        return err_set(e, EINVAL, "\"sha256\" is not 64 small hex digits");
    out->endpoint_count = 1;
    out->is_file = 1;
    return 0;
}

static int take_proxies(const cJSON *object, struct proxies *out, struct err *e) {
    if (!object)
        return 0;
    if (copy(object, "http_proxy", out->http, sizeof(out->http), e) ||
        copy(object, "https_proxy", out->https, sizeof(out->https), e) ||
        copy(object, "no_proxy", out->none, sizeof(out->none), e))
        return -EINVAL;
    return proxy_check(out, e);
}

static int take(const cJSON *object, struct fetch_request *out, struct err *e) {
    int64_t patience = 0;
    const char *mode = json_string(object, "mode", e);
    if (!mode || take_proxies(cJSON_GetObjectItemCaseSensitive(object, "proxies"), &out->proxies, e) ||
        json_integer(object, "limit", 1, LIMIT_MOST, &out->limit, e) ||
        json_integer(object, "patience", 1, PATIENCE_MOST, &patience, e))
        return -EINVAL;
    out->patience = (int) patience;
    out->verify = json_true(object, "verify");
    if (strcmp(mode, "image") == 0)
        return take_image(object, out, e);
    if (strcmp(mode, "file") == 0)
        return take_file(object, out, e);
    return err_set(e, EINVAL, "\"mode\" must be image or file");
}

int request_parse(const char *text, size_t size, struct fetch_request *out, struct err *e) {
    memset(out, 0, sizeof(*out));
    cJSON *object = cJSON_ParseWithLength(text, size);
    int r = cJSON_IsObject(object) ? take(object, out, e)
                                   : err_set(e, EINVAL, "the request to banger-fetch is no JSON: reinstall banger");
    cJSON_Delete(object);
    return r;
}
