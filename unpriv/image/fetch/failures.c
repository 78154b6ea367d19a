#include "failures.h"

#include "../oci_config.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define EXCERPT 160

/* Whom we talked to, for sentences. */
static const char *server_of(const struct transfer *t, char out[256]) {
    const char *from = t->url ? strstr(t->url, "://") : NULL;
    if (from)
        (void) snprintf(out, 256, "%.*s", (int) strcspn(from + 3, "/?#"), from + 3);
    else
        (void) snprintf(out, 256, "%s", reference_server(t->endpoint->host));
    return out;
}

/* The proxy itself answered, with a refusal. */
static long refused_by_proxy(const struct transfer *t) {
    if (t->code != CURLE_OK && t->status == 0 && t->tunnel >= 300)
        return t->tunnel == 401 ? 407 : t->tunnel; /* tinyproxy's word for a wrong login */
    return t->proxy[0] && t->status == 407 ? t->status : 0;
}

int failure_is_passing(const struct transfer *t) {
    if (refused_by_proxy(t))
        return t->tunnel >= 500 && !t->is_document;
    if (t->code != CURLE_OK && t->status == 0) {
        switch ((int) t->code) {
        case CURLE_COULDNT_CONNECT:
            return !t->forbidden && !t->is_document; /* a registry that is being started again */
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
        case CURLE_GOT_NOTHING:
        case CURLE_OPERATION_TIMEDOUT:
            return 1;
        default:
            return 0;
        }
    }
    if (t->code != CURLE_OK && t->status < 300)
        return t->code == CURLE_RECV_ERROR || t->code == CURLE_PARTIAL_FILE || t->code == CURLE_OPERATION_TIMEDOUT;
    return t->status == 408 || t->status == 429 || t->status >= 500;
}

/* The registry's own words: {"errors":[{"code":"..","message":".."}]}, as a further part of a sentence. */
static const char *words_of(const struct transfer *t, char out[EXCERPT + 32]) {
    struct err ignored;
    out[0] = '\0';
    cJSON *object = oci_json(t->body, t->body_used, "", &ignored);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "errors"), 0);
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "message"));
    if (message && message[0])
        (void) snprintf(out, EXCERPT + 32, " (it says: %.*s)", EXCERPT, message);
    cJSON_Delete(object);
    return out;
}

static int of_status(const struct transfer *t, struct err *e) {
    char server[256], words[EXCERPT + 32];
    (void) server_of(t, server);
    (void) words_of(t, words);
    const int has_login = t->endpoint->username[0] || t->endpoint->token[0];
    switch (t->status) {
    case 401:
        if (has_login)
            return err_set(e, EACCES, "%s does not accept the login for %s: check the user name and the password%s",
                           server, t->what, words);
        return err_set(
            e, EACCES,
            "%s shows %s to nobody without a login: use --username and --password-stdin, or `docker login`%s", server,
            t->what, words);
    case 403:
        return err_set(e, EACCES, "%s denies access to %s%s%s", server, t->what,
                       has_login ? "" : ": it may need a login", words);
    case 404:
        return err_set(e, ENOENT, "%s does not have %s: check the name and the tag%s", server, t->what, words);
    case 416:
        return err_set(e, EBADMSG, "%s does not have all of %s", server, t->what);
    case 429:
        return err_set(e, EBUSY, "%s asks to wait before %s is asked for again (too many requests)%s", server, t->what,
                       words);
    default:
        return err_set(e, t->status >= 500 ? EIO : EBADMSG, "%s answered with status %ld to the request for %s%s",
                       server, t->status, t->what, words);
    }
}

static int of_tls(const struct transfer *t, const char *server, struct err *e) {
    if (t->code == CURLE_PEER_FAILED_VERIFICATION)
        return err_set(
            e, EKEYREJECTED,
            "the certificate of %s cannot be believed (%.120s): have its authority added to this machine's, or "
            "use --insecure",
            server, t->curl_text);
    return err_set(e, EPROTO, "%s does not speak https (%.120s): if it is meant to be plain http, use --insecure",
                   server, t->curl_text);
}

static int of_proxy(const struct transfer *t, const char *server, struct err *e) {
    char proxy[256];
    const long status = refused_by_proxy(t);
    (void) proxy_name(t->proxy, proxy);
    if (status == 407)
        return err_set(e, EACCES,
                       strchr(t->proxy, '@')
                           ? "the proxy %s does not accept the login that http_proxy or https_proxy has: correct it"
                           : "the proxy %s wants a login: set http_proxy and https_proxy as in http://USER:PASSWORD@%s",
                       proxy, proxy);
    if (status)
        return err_set(e, EACCES,
                       "the proxy %s gives no connection to %s (status %ld): ask who runs it, or name that host in "
                       "no_proxy",
                       proxy, server, status);
    return err_set(e, ECONNREFUSED, "the proxy %s cannot be used (%.120s): check http_proxy and https_proxy", proxy,
                   curl_easy_strerror(t->code));
}

/* That it is the way to the proxy which failed. */
static int is_proxys(const struct transfer *t) {
    return refused_by_proxy(t) || (t->proxy[0] && t->status == 0 &&
                                   (t->code == CURLE_COULDNT_RESOLVE_PROXY || t->code == CURLE_COULDNT_CONNECT ||
                                    t->code == CURLE_PROXY || t->code == CURLE_COULDNT_RESOLVE_HOST));
}

int failure_of(const struct transfer *t, struct err *e) {
    char server[256];
    (void) server_of(t, server);
    if (is_proxys(t))
        return of_proxy(t, server, e);
    if (t->code == CURLE_OK || t->status >= 300)
        return of_status(t, e);
    switch ((int) t->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(e, EHOSTUNREACH, "no machine is known by the name of %s: check it, and this machine's DNS",
                       server);
    case CURLE_COULDNT_CONNECT:
        if (t->forbidden)
            return err_set(e, EPERM,
                           "%s points to %s, which is an address of this machine or its link: that is not followed",
                           t->what, server);
        return err_set(e, ECONNREFUSED, "nothing answers at %s: check the registry's name and port, and that it runs",
                       server);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return of_tls(t, server, e);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(e, ETIMEDOUT, "%s does not get on with %s (%d s without progress): try again later", server,
                       t->what, t->fetch->request.patience);
    case CURLE_FILESIZE_EXCEEDED:
        return err_set(e, EFBIG, "%s: %s sends more bytes than it may have", t->what, server);
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return err_set(e, ECONNRESET, "%s breaks off while it sends %s: try again later", server, t->what);
    default:
        return err_set(e, EBADMSG, "%s answers with something that is no HTTP when asked for %s (%.120s)", server,
                       t->what, t->curl_text[0] ? t->curl_text : curl_easy_strerror(t->code));
    }
}
