#include "transfer.h"

#include "../../../common/io.h"
#include "failures.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REDIRECTS_MAX    5
#define LOGINS_MAX       2 /* a token may be too old: a second one */
#define ATTEMPTS_MAX     5 /* without PROGRESS_LEAST between them */
#define PROGRESS_LEAST   ((int64_t) 64 << 10)
#define FIRST_PAUSE_MS   200
#define WAIT_STEP_MS     20
#define WAIT_LONGEST_S   10 /* that a server may ask for */
#define HEADER_BYTES_MAX ((size_t) 64 << 10)
#define SPEED_LEAST      512L /* bytes a second; below it is no progress */
#define BUFFER_SIZE      (512L << 10)
#define CONNECT_S        10L
#define PROBE_S          4L /* a loopback server that does not speak TLS may just be silent */
#define DOCUMENT_TIMES   4  /* a document may take this many times the patience */

/* --- where ------------------------------------------------------------------------- */

static int allows_plain(const struct endpoint *endpoint) {
    return endpoint->insecure || reference_is_loopback(endpoint->host);
}

static char *endpoint_url(const struct transfer *t) {
    char *out = NULL;
    const char *server = reference_server(t->endpoint->host);
    if (asprintf(&out, "%s://%s%s", t->endpoint->plain ? "http" : "https", server, t->path) < 0)
        return NULL;
    return out;
}

static int part_equals(CURLU *a, CURLU *b, CURLUPart part) {
    char *x = NULL, *y = NULL;
    const int same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                     curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(x, y) == 0;
    curl_free(x);
    curl_free(y);
    return same;
}

/* What the address is to the endpoint: 1 where scheme, host and port are its own (it gets the login), 0 where
 * not; `*foreign`: another host. Plain http only where the endpoint may be spoken to so, and then no further
 * than to this machine or the endpoint itself. */
static int place(struct transfer *t, int *own, int *foreign, struct err *e) {
    char own_url[REFERENCE_HOST_MAX + 16], *scheme = NULL, *host = NULL, *user = NULL;
    (void) snprintf(own_url, sizeof(own_url), "%s://%s/", t->endpoint->plain ? "http" : "https",
                    reference_server(t->endpoint->host));
    CURLU *here = curl_url(), *there = curl_url();
    int r = here && there && curl_url_set(here, CURLUPART_URL, t->url, 0) == CURLUE_OK &&
                    curl_url_set(there, CURLUPART_URL, own_url, 0) == CURLUE_OK &&
                    curl_url_get(here, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                    curl_url_get(here, CURLUPART_HOST, &host, 0) == CURLUE_OK && scheme && host &&
                    (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) &&
                    curl_url_get(here, CURLUPART_USER, &user, 0) == CURLUE_NO_USER
                ? 0
                : err_set(e, EBADMSG, "%s points to \"%.200s\", which is no http address", t->what, t->url);
    if (r == 0 && scheme && host) {
        *foreign = !part_equals(here, there, CURLUPART_HOST);
        t->proxy = proxy_for(&t->fetch->request.proxies, scheme, host);
        *own = !*foreign && part_equals(here, there, CURLUPART_SCHEME) && part_equals(here, there, CURLUPART_PORT);
        const int plain_ok = allows_plain(t->endpoint) && (!*foreign || reference_is_loopback(host));
        if (strcmp(scheme, "https") != 0 && !plain_ok)
            r = err_set(e, EPERM, "%s points to plain http (%.200s): that is not followed", t->what, t->url);
        /* What a proxy makes of a name is not seen from here; an address is. */
        else if (*foreign && t->proxy[0] && proxy_is_near(host) && !reference_is_loopback(t->endpoint->host))
            r = err_set(e, EPERM,
                        "%s points to %s, which is an address of a machine itself or its link: that is not followed",
                        t->what, host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_url_cleanup(here);
    curl_url_cleanup(there);
    return r;
}

/* Addresses that only mean something on this machine or its link: a registry elsewhere must not
 * have us ask there. */
static int is_near(const struct sockaddr *address) {
    uint8_t a[16] = {[10] = 0xff, [11] = 0xff};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        memcpy(a + 12, &v4.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        memcpy(a, &v6.sin6_addr, sizeof(a));
    } else {
        return 1;
    }
    return proxy_address_is_near(a);
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct transfer *t = arg;
    (void) purpose;
    if (t->foreign && !t->proxy[0] && !reference_is_loopback(t->endpoint->host) && is_near(&address->addr)) {
        t->forbidden = 1;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* --- the answer -------------------------------------------------------------------- */

static void copy_value(char *out, size_t room, const char *from, size_t size) {
    while (size > 0 && isspace((unsigned char) from[size - 1]))
        size--;
    if (size >= room)
        size = room - 1;
    memcpy(out, from, size);
    out[size] = '\0';
    text_sanitize(out);
}

/* Further challenges are joined as one header would have them. */
static void add_challenge(struct transfer *t, const char *value, size_t size) {
    size_t used = strlen(t->challenge);
    if (used && used + 2 < sizeof(t->challenge))
        (void) snprintf(t->challenge + used, sizeof(t->challenge) - used, ", ");
    used = strlen(t->challenge);
    copy_value(t->challenge + used, sizeof(t->challenge) - used, value, size);
}

/* "bytes 100-199/1000" */
static void take_range(struct transfer *t, const char *value) {
    char *end = NULL;
    if (strncasecmp(value, "bytes ", 6) != 0 || !isdigit((unsigned char) value[6]))
        return;
    t->range_first = strtoll(value + 6, &end, 10);
    const char *slash = strchr(end, '/');
    if (slash && isdigit((unsigned char) slash[1]))
        t->range_total = strtoll(slash + 1, NULL, 10);
}

static void take_header(struct transfer *t, const char *line, size_t size) {
    char text[512];
    const char *colon = memchr(line, ':', size);
    if (!colon)
        return;
    const char *value = colon + 1;
    while (value < line + size && (*value == ' ' || *value == '\t'))
        value++;
    const size_t length = (size_t) (colon - line), rest = (size_t) (line + size - value);
    copy_value(text, sizeof(text), value, rest);
    if (length == 12 && strncasecmp(line, "content-type", 12) == 0)
        (void) snprintf(t->type, sizeof(t->type), "%.*s", (int) sizeof(t->type) - 1, text);
    else if (length == 16 && strncasecmp(line, "content-encoding", 16) == 0)
        (void) snprintf(t->encoding, sizeof(t->encoding), "%.*s", (int) sizeof(t->encoding) - 1, text);
    else if (length == 21 && strncasecmp(line, "docker-content-digest", 21) == 0)
        (void) snprintf(t->digest, sizeof(t->digest), "%.*s", (int) sizeof(t->digest) - 1, text);
    else if (length == 13 && strncasecmp(line, "content-range", 13) == 0)
        take_range(t, text);
    else if (length == 11 && strncasecmp(line, "retry-after", 11) == 0)
        t->retry_after = isdigit((unsigned char) text[0]) ? strtol(text, NULL, 10) : -1;
    else if (length == 16 && strncasecmp(line, "www-authenticate", 16) == 0)
        add_challenge(t, value, rest);
}

static size_t on_header(char *line, size_t unit, size_t count, void *arg) {
    struct transfer *t = arg;
    const size_t size = unit * count;
    t->header_bytes += size;
    if (t->header_bytes > HEADER_BYTES_MAX) {
        t->result = err_set(&t->error, EMSGSIZE, "%s: the server's headers are larger than %zu KiB", t->what,
                            HEADER_BYTES_MAX >> 10);
        return 0;
    }
    take_header(t, line, size);
    return size;
}

static int is_good(long status) {
    return status == 200 || status == 206;
}

static size_t on_body(char *data, size_t unit, size_t count, void *arg) {
    struct transfer *t = arg;
    const size_t size = unit * count;
    (void) curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    if (!is_good(t->status)) { /* as much as a sentence needs; the rest is not waited for */
        size_t room = sizeof(t->body) - 1 - t->body_used, some = size < room ? size : room;
        memcpy(t->body + t->body_used, data, some);
        t->body_used += some;
        return some < size ? 0 : size;
    }
    if (!t->begun) {
        t->begun = 1;
        t->result = t->begin(t);
    }
    if (t->result == 0)
        t->result = t->take(t, data, size);
    if (t->result)
        return 0;
    t->progress += (int64_t) size;
    return size;
}

/* --- an attempt -------------------------------------------------------------------- */

static int add_line(struct transfer *t, const char *line) {
    struct curl_slist *more = curl_slist_append(t->headers, line);
    if (!more)
        return -ENOMEM;
    t->headers = more;
    return 0;
}

static int set_headers(struct transfer *t, int own) {
    char line[1024];
    int r = 0;
    if (t->accept) {
        (void) snprintf(line, sizeof(line), "Accept: %s", t->accept);
        r = add_line(t, line);
    }
    if (r == 0 && own && !t->is_realm && t->endpoint->authorization)
        r = add_line(t, t->endpoint->authorization);
    return r;
}

static void set_limits(struct transfer *t) {
    CURL *c = t->easy;
    const long patience = t->fetch->request.patience;
    const int probes = !t->endpoint->decided && allows_plain(t->endpoint);
    const long connect = probes ? PROBE_S : CONNECT_S;
    (void) curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, connect < patience ? connect : patience);
    (void) curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SPEED_LEAST);
    (void) curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, patience);
    if (t->is_document)
        (void) curl_easy_setopt(c, CURLOPT_TIMEOUT, patience * DOCUMENT_TIMES);
    if (t->limit >= 0)
        (void) curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) t->limit);
}

static void set_options(struct transfer *t) {
    CURL *c = t->easy;
    char range[32];
    const int trusting = t->endpoint->insecure && !t->foreign;
    (void) curl_easy_setopt(c, CURLOPT_URL, t->url);
    (void) curl_easy_setopt(c, CURLOPT_PRIVATE, t);
    (void) curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
    (void) curl_easy_setopt(c, CURLOPT_USERAGENT, "banger/" BANGER_VERSION);
    (void) curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    (void) curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    (void) curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    (void) curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(c, CURLOPT_PROXY, t->proxy);
    (void) curl_easy_setopt(c, CURLOPT_NOPROXY, "");
    (void) curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void) curl_easy_setopt(c, CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE); /* no proxy gets a registry's login */
    (void) curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    (void) curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->curl_text);
    (void) curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    (void) curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    (void) curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void) curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void) curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void) curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, t);
    (void) curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, trusting ? 0L : 1L);
    (void) curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, trusting ? 0L : 2L);
    if (t->from > 0) {
        (void) snprintf(range, sizeof(range), "%lld-", (long long) t->from);
        (void) curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    if (t->basic) {
        (void) curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
        (void) curl_easy_setopt(c, CURLOPT_USERPWD, t->basic);
    }
    if (t->form)
        (void) curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, t->form);
}

static void forget_answer(struct transfer *t) {
    t->finished = t->foreign = t->forbidden = t->begun = t->result = 0;
    t->code = CURLE_OK;
    t->status = t->retry_after = t->tunnel = 0;
    t->header_bytes = t->body_used = 0;
    t->range_first = t->range_total = -1;
    t->curl_text[0] = t->type[0] = t->encoding[0] = t->digest[0] = t->challenge[0] = '\0';
    t->error = (struct err){0};
}

int transfer_start(struct transfer *t, struct err *e) {
    int own = 0;
    forget_answer(t);
    if (!t->url)
        t->url = endpoint_url(t);
    if (!t->url)
        return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    int r = place(t, &own, &t->foreign, e);
    if (r)
        return r;
    t->easy = curl_easy_init();
    if (!t->easy || set_headers(t, own))
        return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    set_options(t);
    set_limits(t);
    return curl_multi_add_handle(t->fetch->multi, t->easy) == CURLM_OK
               ? 0
               : err_set(e, EIO, "cannot begin to get %s", t->what);
}

/* Whether any attempt came to its end. */
static int take_finished(struct fetch *f) {
    int found = 0, left = 0;
    for (const CURLMsg *message; (message = curl_multi_info_read(f->multi, &left));) {
        struct transfer *t = NULL;
        if (message->msg == CURLMSG_DONE && curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK) {
            t->finished = found = 1;
            t->code = message->data.result;
        }
    }
    return found;
}

int transfer_turn(struct fetch *f, int also, short events, int timeout_ms, struct err *e) {
    struct curl_waitfd extra = {.fd = also, .events = events & 4 ? CURL_WAIT_POLLOUT : 0};
    int running = 0;
    CURLMcode code = curl_multi_perform(f->multi, &running);
    if (code == CURLM_OK && !take_finished(f) && timeout_ms > 0)
        code = curl_multi_poll(f->multi, &extra, also >= 0 ? 1 : 0, timeout_ms, NULL);
    return code == CURLM_OK ? 0 : err_set(e, EIO, "cannot go on with the network: %s", curl_multi_strerror(code));
}

static void take_off(struct transfer *t) {
    if (t->easy) {
        (void) curl_multi_remove_handle(t->fetch->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    curl_slist_free_all(t->headers);
    t->easy = NULL;
    t->headers = NULL;
}

void transfer_end(struct transfer *t) {
    take_off(t);
    free(t->url);
    t->url = NULL;
}

/* --- what follows ------------------------------------------------------------------- */

static enum verdict later(struct transfer *t, struct err *e) {
    if (t->progress >= PROGRESS_LEAST && !t->is_document) /* a document begins anew each time */
        t->attempts = 0;
    t->progress = t->progress < 0 ? t->progress : 0;
    if (++t->attempts >= ATTEMPTS_MAX || t->retry_after > WAIT_LONGEST_S) {
        (void) failure_of(t, e);
        return VERDICT_FAILED;
    }
    const long long pause =
        t->retry_after > 0 ? t->retry_after * 1000LL : (long long) FIRST_PAUSE_MS << (t->attempts - 1);
    t->not_before = io_now_ms() + pause;
    /* What a redirect said may be too old by then: from the beginning. */
    if (t->path[0]) {
        free(t->url);
        t->url = NULL;
        t->redirects = 0;
    }
    return VERDICT_LATER;
}

static enum verdict follow_redirect(struct transfer *t, const char *target, struct err *e) {
    char *url = target ? strdup(target) : NULL;
    if (++t->redirects > REDIRECTS_MAX)
        (void) err_set(e, ELOOP, "%s: the server sends us from one address to another, more than %d times", t->what,
                       REDIRECTS_MAX);
    else if (!url || strlen(url) >= URL_MAX_BYTES)
        (void) err_set(e, EBADMSG, "%s: the server sends us elsewhere without saying where", t->what);
    else if (t->form || t->basic) /* a login goes nowhere else */
        (void) err_set(e, EPERM, "%s: the server sends us elsewhere with a login: that is not followed", t->what);
    else {
        free(t->url);
        t->url = url;
        return VERDICT_AGAIN;
    }
    free(url);
    return VERDICT_FAILED;
}

static enum verdict log_in(struct transfer *t, struct err *e) {
    char challenge[sizeof(t->challenge)];
    if (t->is_realm || t->foreign || ++t->logins > LOGINS_MAX) {
        (void) failure_of(t, e);
        return VERDICT_FAILED;
    }
    memcpy(challenge, t->challenge, sizeof(challenge));
    return auth_answer(t->fetch, t->endpoint, challenge, t->what, e) ? VERDICT_FAILED : VERDICT_AGAIN;
}

/* Of an endpoint that may yet turn out to speak plain http only; another transfer may have found that out meanwhile. */
static int was_probe(const struct transfer *t) {
    return allows_plain(t->endpoint) && (t->endpoint->plain || !t->endpoint->decided) && !t->is_realm &&
           t->redirects == 0 && strncmp(t->url, "https://", 8) == 0;
}

/* A connection that did not come to an answer. */
static enum verdict broken(struct transfer *t, const char *connected, struct err *e) {
    const int no_tls = t->code == CURLE_SSL_CONNECT_ERROR || (t->code == CURLE_OPERATION_TIMEDOUT && !connected) ||
                       (t->tunnel >= 400 && t->tunnel != 407); /* a proxy may connect to port 443 alone */
    if (no_tls && was_probe(t)) {
        t->endpoint->plain = 1; /* what goes wrong now is told of plain http */
        free(t->url);
        t->url = NULL;
        return VERDICT_AGAIN;
    }
    if (failure_is_passing(t))
        return later(t, e);
    (void) failure_of(t, e);
    return VERDICT_FAILED;
}

enum verdict transfer_judge(struct transfer *t, struct err *e) {
    char *target = NULL;
    curl_off_t secured = 0;
    enum verdict verdict = VERDICT_FAILED;
    (void) curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
    (void) curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &t->tunnel);
    (void) curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &target);
    (void) curl_easy_getinfo(t->easy, CURLINFO_APPCONNECT_TIME_T, &secured);
    const int answered = t->code == CURLE_OK || (t->code == CURLE_WRITE_ERROR && !t->result && t->status >= 300);
    if (t->status)
        t->endpoint->decided = 1;
    if (t->result)
        *e = t->error;
    else if (!answered)
        verdict = broken(t, secured ? "" : NULL, e);
    else if (is_good(t->status))
        verdict = VERDICT_OK;
    else if (t->status >= 301 && t->status <= 308 && t->status != 304 && t->status != 305)
        verdict = follow_redirect(t, target, e);
    else if (t->status == 401)
        verdict = log_in(t, e);
    else if (failure_is_passing(t))
        verdict = later(t, e);
    else
        (void) failure_of(t, e);
    if (verdict == VERDICT_OK && !t->begun) { /* an empty body */
        t->begun = 1;
        if (t->begin(t)) {
            *e = t->error;
            verdict = VERDICT_FAILED;
        }
    }
    take_off(t);
    return verdict;
}

int transfer_run(struct transfer *t, struct err *e) {
    for (;;) {
        int r = 0;
        while (r == 0 && t->not_before > io_now_ms())
            r = transfer_turn(t->fetch, -1, 0, WAIT_STEP_MS, e);
        if (r == 0 && !t->easy)
            r = transfer_start(t, e);
        while (r == 0 && !t->finished)
            r = transfer_turn(t->fetch, -1, 0, 200, e);
        if (r) {
            take_off(t);
            return r;
        }
        enum verdict verdict = transfer_judge(t, e);
        if (verdict == VERDICT_OK)
            return 0;
        if (verdict == VERDICT_FAILED)
            return e->code ? -e->code : -EIO;
    }
}

/* --- a body in memory ----------------------------------------------------------------- */

int document_begin(struct transfer *t) {
    struct document *d = t->arg;
    d->size = 0;
    if (t->encoding[0] && strcasecmp(t->encoding, "identity") != 0)
        return t->result = err_set(&t->error, EBADMSG, "%s comes packed (%.20s), which was not asked for", t->what,
                                   t->encoding);
    return 0;
}

int document_take(struct transfer *t, const char *data, size_t size) {
    struct document *d = t->arg;
    if (size > d->limit - d->size)
        return err_set(&t->error, EFBIG, "%s is larger than %zu KiB, more than it may be", t->what, d->limit >> 10);
    if (d->size + size >= d->room) {
        size_t room = (d->size + size) * 2 + 4096;
        char *more = realloc(d->text, room);
        if (!more)
            return err_set(&t->error, ENOMEM, "there is not enough memory: free some and try again");
        d->text = more;
        d->room = room;
    }
    memcpy(d->text + d->size, data, size);
    d->size += size;
    d->text[d->size] = '\0';
    return 0;
}
