/* One thing got over HTTP from an endpoint: its redirects, its login, its further attempts. */
#ifndef BANGER_IMAGE_FETCH_TRANSFER_H
#define BANGER_IMAGE_FETCH_TRANSFER_H

#include "fetch.h"

enum verdict {
    VERDICT_OK,     /* the body is whole */
    VERDICT_AGAIN,  /* to be started again at once (redirect, login) */
    VERDICT_LATER,  /* the same, at `not_before` */
    VERDICT_FAILED, /* with the sentence */
};

struct transfer {
    struct fetch *fetch;
    struct endpoint *endpoint;
    char what[400];     /* for sentences: "layer 3 of HOST/PATH" */
    char path[1024];    /* below the endpoint; "" with an url */
    char *url;          /* where it is now: of the endpoint, or of a redirect; freed by transfer_end */
    const char *accept; /* media types, or NULL */
    const char *form;   /* POST this form, or NULL: GET */
    const char *basic;  /* "USER:PASSWORD" for this one request, or NULL */
    int is_realm;       /* a token server, not the endpoint: the endpoint's authorization is not for it */
    int is_document;    /* small: bounded in time as a whole */
    int64_t from;       /* first byte wanted */
    int64_t limit;      /* most bytes of the body, from `from` on; -1: the taker knows */
    /* A good answer's body begins: `status` is 200 or 206, the other members are of its head. And what comes of it.
     * 0, or a negative errno with t->error filled: the transfer ends. */
    int (*begin)(struct transfer *t);
    int (*take)(struct transfer *t, const char *data, size_t size);
    void *arg;

    /* counted over all attempts */
    int redirects, logins, attempts;
    int64_t progress; /* body bytes since the last failed attempt, less those that were thrown away */
    long long not_before;

    /* the attempt under way */
    CURL *easy;
    struct curl_slist *headers;
    const char *proxy; /* the request's, or "" */
    int finished, foreign, forbidden;
    CURLcode code;
    char curl_text[CURL_ERROR_SIZE];

    /* its answer */
    long status, retry_after;
    long tunnel; /* the proxy's own status, where it was asked for a connection; else 0 */
    size_t header_bytes;
    char type[MEDIA_TYPE_MAX], encoding[32], digest[DIGEST_TEXT_MAX], challenge[4096];
    int64_t range_first, range_total; /* -1: none */
    char body[2048];                  /* of an answer that is not good */
    size_t body_used;
    int begun, result;
    struct err error; /* of begin or take */
};

/* Starts an attempt: it runs whenever transfer_turn is called. 0 or a negative errno. */
int transfer_start(struct transfer *t, struct err *e);
/* Moves every transfer on, and waits up to `timeout_ms` for something to happen; `also` (or -1) is a descriptor
 * waited for too, for `events`. 0 or a negative errno. */
int transfer_turn(struct fetch *f, int also, short events, int timeout_ms, struct err *e);
/* The finished attempt: takes it off and says what follows. */
enum verdict transfer_judge(struct transfer *t, struct err *e);
/* Runs it to its end, with all attempts; one that was started goes on. */
int transfer_run(struct transfer *t, struct err *e);
/* Gives up what is under way and frees. Safe on one that was zeroed. */
void transfer_end(struct transfer *t);

/* A body kept in memory: `begin`, `take` and the `arg` for documents. */
struct document {
    char *text; /* with a NUL after it; freed by the caller */
    size_t size, room, limit;
    const char *noun; /* for sentences */
};
int document_begin(struct transfer *t);
int document_take(struct transfer *t, const char *data, size_t size);

#endif
