/* Inside banger-fetch: one pull, one thread, one loop. request.h is the outside. */
#ifndef BANGER_IMAGE_FETCH_FETCH_H
#define BANGER_IMAGE_FETCH_FETCH_H

#include "../../../common/err.h"
#include "manifest.h"
#include "request.h"

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors of request.h. */
enum fetch_fd { FETCH_FD_REQUEST = 3, FETCH_FD_CACHE = 4, FETCH_FD_PIPE = 5, FETCH_FD_CONFIG = 6 };

struct feed;

struct fetch {
    struct fetch_request request;
    CURLM *multi;
    int store;      /* the cache's folder sha256/ */
    int64_t bytes;  /* came over the network, of blobs */
    int64_t cached; /* the cache had */
    int64_t total;  /* of all blobs; 0: not known yet */
    size_t ready, layers;
    struct feed *feed;            /* blobs.h; NULL before anything may go into the pipe */
    int known;                    /* the image is here: nothing was fetched */
    char digest[DIGEST_TEXT_MAX]; /* of the manifest */
};

/* Landlock on the cache's folder (to write) and the trust store and the resolver's files (to read), then
 * a list of system calls. Call before the first byte of the request is read. */
int fetch_confine(int cache, struct err *e);

/* The modes: 0 or a negative errno with `e` filled. */
int fetch_image(struct fetch *f, struct err *e);
int fetch_file(struct fetch *f, struct err *e);

/* --- messages (report.c) ------------------------------------------------------------- */

/* Tells how far the pull is, at most every 100 ms. */
void fetch_progress(const struct fetch *f);
/* How far it came, and the last line of a pull that failed. */
void fetch_failed(const struct fetch *f, const struct err *e);
/* The last line of a pull that succeeded. */
void fetch_succeeded(const struct fetch *f);

/* --- logins (auth.c) ------------------------------------------------------------------ */

/* Answers `challenge` (the header's value): the endpoint's authorization is set. `what` is for the
 * sentence. 0 or a negative errno. */
int auth_answer(struct fetch *f, struct endpoint *endpoint, const char *challenge, const char *what, struct err *e);

#endif
