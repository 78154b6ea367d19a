/* Logins: basic, and tokens (distribution specification, token authentication; RFC 6750). */
#include "../../../common/cleanup.h"
#include "../oci_config.h"
#include "challenge.h"
#include "failures.h"
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_BYTES_MAX ((size_t) 64 << 10)

static int no_memory(struct err *e) {
    return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
}

/* "user:password" in base64 (RFC 4648). */
static char *base64(const char *text) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const unsigned char *s = (const unsigned char *) text;
    const size_t size = strlen(text);
    char *out = malloc(size / 3 * 4 + 5), *p = out;
    for (size_t i = 0; out && i < size; i += 3) {
        const unsigned left = (unsigned) (size - i);
        const unsigned three =
            (unsigned) s[i] << 16 | (left > 1 ? (unsigned) s[i + 1] << 8 : 0) | (left > 2 ? s[i + 2] : 0);
        *p++ = digits[three >> 18];
        *p++ = digits[three >> 12 & 63];
        *p++ = digits[left > 1 ? three >> 6 & 63 : 64];
        *p++ = digits[left > 2 ? three & 63 : 64];
    }
    if (out)
        *p = '\0';
    return out;
}

static int has_login(const struct endpoint *endpoint) {
    return endpoint->username[0] && !endpoint->token[0];
}

static int authorize(struct endpoint *endpoint, const char *scheme, const char *secret, struct err *e) {
    char *line = NULL;
    if (asprintf(&line, "Authorization: %s %s", scheme, secret) < 0)
        return no_memory(e);
    free(endpoint->authorization);
    endpoint->authorization = line;
    return 0;
}

/* "USER:PASSWORD", freed by the caller; NULL without memory. */
static char *pair_of(const struct endpoint *endpoint) {
    char *out = NULL;
    return asprintf(&out, "%s:%s", endpoint->username, endpoint->password) < 0 ? NULL : out;
}

static int answer_basic(struct endpoint *endpoint, const char *what, struct err *e) {
    if (endpoint->authorization || !has_login(endpoint))
        return err_set(
            e, EACCES,
            endpoint->authorization
                ? "%s does not accept the login for %s: check the user name and the password"
                : "%s shows %s to nobody without a login: use --username and --password-stdin, or `docker login`",
            endpoint->host, what);
    cleanup_free char *pair = pair_of(endpoint);
    char *packed = pair ? base64(pair) : NULL;
    int r = packed ? authorize(endpoint, "Basic", packed, e) : no_memory(e);
    free(packed);
    return r;
}

/* --- tokens -------------------------------------------------------------------------- */

/* NAME=VALUE, both escaped, to a form or query. */
static int add_field(char **form, const char *name, const char *value) {
    char *escaped = curl_easy_escape(NULL, value, 0), *longer = NULL;
    int n = escaped ? asprintf(&longer, "%s%s%s=%s", *form ? *form : "", *form ? "&" : "", name, escaped) : -1;
    curl_free(escaped);
    if (n < 0)
        return -ENOMEM;
    free(*form);
    *form = longer;
    return 0;
}

static int make_form(const struct fetch *f, const struct endpoint *endpoint, const struct challenge *c, char **form) {
    char scope[REFERENCE_PATH_MAX + 32];
    (void) snprintf(scope, sizeof(scope), "repository:%s:pull", f->request.reference.path);
    int r = c->service[0] ? add_field(form, "service", c->service) : 0;
    if (r == 0)
        r = add_field(form, "scope", c->scope[0] ? c->scope : scope);
    if (r == 0 && endpoint->token[0]) {
        r = add_field(form, "grant_type", "refresh_token");
        if (r == 0)
            r = add_field(form, "client_id", "banger");
        if (r == 0)
            r = add_field(form, "refresh_token", endpoint->token);
    } else if (r == 0 && has_login(endpoint)) {
        r = add_field(form, "account", endpoint->username);
    }
    return r;
}

/* The token server's answer: {"token":..} or {"access_token":..}. */
static int take_token(struct endpoint *endpoint, const struct document *d, struct err *e) {
    cJSON *object = oci_json(d->text ? d->text : "", d->size, "The token server's answer", e);
    if (!object)
        return -e->code;
    const char *token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "token"));
    if (!token || !token[0])
        token = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "access_token"));
    int good = token && token[0] && strlen(token) < TOKEN_BYTES_MAX;
    for (const char *p = token; good && *p; p++)
        good = *p > ' ' && *p <= '~';
    int r = good ? authorize(endpoint, "Bearer", token, e)
                 : err_set(e, EBADMSG, "the token server's answer holds no token");
    cJSON_Delete(object);
    return r;
}

/* Whether the realm may be told the login: https, or this machine where the registry is of this
 * machine too, or with --insecure the registry's own host. Redirects' rules say the same (transfer.c). */
static int answer_bearer(struct fetch *f, struct endpoint *endpoint, const struct challenge *c, const char *what,
                         struct err *e) {
    cleanup_free char *form = NULL;
    cleanup_free char *pair = has_login(endpoint) ? pair_of(endpoint) : NULL;
    struct document d = {.limit = TOKEN_BYTES_MAX, .noun = "the token"};
    struct transfer *t = calloc(1, sizeof(*t));
    const int by_form = endpoint->token[0] != 0;
    if (!t || make_form(f, endpoint, c, &form) || (has_login(endpoint) && !pair) ||
        asprintf(&t->url, "%s%s%s", c->realm,
                 by_form                 ? ""
                 : strchr(c->realm, '?') ? "&"
                                         : "?",
                 by_form ? "" : form) < 0) {
        free(t);
        return no_memory(e);
    }
    t->fetch = f;
    t->endpoint = endpoint;
    (void) snprintf(t->what, sizeof(t->what), "%s", what);
    t->form = by_form ? form : NULL;
    t->basic = pair;
    t->is_realm = t->is_document = 1;
    t->limit = (int64_t) TOKEN_BYTES_MAX;
    t->begin = document_begin;
    t->take = document_take;
    t->arg = &d;
    int r = transfer_run(t, e);
    if (r == 0)
        r = take_token(endpoint, &d, e);
    transfer_end(t);
    free(t);
    free(d.text);
    return r;
}

int auth_answer(struct fetch *f, struct endpoint *endpoint, const char *challenge, const char *what, struct err *e) {
    struct challenge c;
    int r = challenge_parse(challenge, &c, e);
    if (r)
        return err_prefix(e, "cannot log in to %s", endpoint->host);
    if (c.scheme == CHALLENGE_BEARER)
        return answer_bearer(f, endpoint, &c, what, e);
    if (c.scheme == CHALLENGE_BASIC)
        return answer_basic(endpoint, what, e);
    return err_set(e, EPROTONOSUPPORT, "%s wants a login of a kind that banger does not know, for %s", endpoint->host,
                   what);
}
