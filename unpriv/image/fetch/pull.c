/* The two modes: all that an image is made of, and one file. */
#include "blobs.h"
#include "registry.h"

#include "../../../common/io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARALLEL 4
#define SOON_MS  20
#define LATER_MS 200

struct work {
    struct fetch *fetch;
    struct blob *blobs; /* each digest once */
    size_t count;
    struct feed feed;
};

/* Looks up and starts, in order, as many as may run. */
static int start_some(struct work *w, struct err *e) {
    int running = 0, r = 0;
    for (size_t i = 0; i < w->count; i++)
        running += w->blobs[i].state == BLOB_RUNS;
    for (size_t i = 0; r == 0 && i < w->count && running < PARALLEL; i++) {
        struct blob *b = &w->blobs[i];
        r = blob_prepare(b, e);
        if (r == 0 && b->state == BLOB_READY && b->transfer.not_before <= io_now_ms()) {
            r = blob_start(b, e);
            running++;
        }
    }
    return r;
}

static int finish_some(struct work *w, struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->count; i++) {
        if (w->blobs[i].state == BLOB_RUNS && w->blobs[i].transfer.finished)
            r = blob_finished(&w->blobs[i], e);
    }
    return r;
}

/* How long nothing happens unless the network or the pipe moves. */
static int patience(const struct work *w) {
    for (size_t i = 0; i < w->count; i++) {
        if (w->blobs[i].state == BLOB_WAITS || w->blobs[i].state == BLOB_READY)
            return SOON_MS;
    }
    return LATER_MS;
}

static int run(struct work *w, struct err *e) {
    struct fetch *f = w->fetch;
    f->feed = &w->feed;
    while (!w->feed.ended) {
        int r = start_some(w, e);
        if (r == 0)
            r = feed_turn(&w->feed, FETCH_FD_PIPE, e);
        if (r == 0 && !w->feed.ended)
            r = transfer_turn(f, FETCH_FD_PIPE, w->feed.full ? POLLOUT : 0, patience(w), e);
        if (r == 0)
            r = finish_some(w, e);
        if (r)
            return r;
        fetch_progress(f);
    }
    return 0;
}

static struct blob *blob_of(struct work *w, const struct descriptor *descriptor, size_t number, size_t endpoint) {
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->blobs[i].descriptor.digest, descriptor->digest) == 0)
            return &w->blobs[i];
    }
    struct blob *b = &w->blobs[w->count++];
    *b = (struct blob){.fetch = w->fetch, .descriptor = *descriptor, .number = number, .endpoint = endpoint, .fd = -1};
    w->fetch->total += descriptor->size > 0 ? descriptor->size : 0;
    return b;
}

static void end_work(struct work *w) {
    if (w->fetch)
        w->fetch->feed = NULL;
    for (size_t i = 0; w->blobs && i < w->count; i++)
        blob_end(&w->blobs[i]);
    free(w->blobs);
    free(w->feed.parts);
    *w = (struct work){0};
}

static int start_work(struct work *w, struct fetch *f, size_t parts, struct err *e) {
    *w = (struct work){.fetch = f, .blobs = calloc(parts, sizeof(*w->blobs))};
    w->feed.parts = calloc(parts, sizeof(struct blob *));
    w->feed.count = parts;
    return w->blobs && w->feed.parts ? 0 : err_set(e, ENOMEM, "there is not enough memory: free some and try again");
}

/* --- an image -------------------------------------------------------------------------- */

static int write_config(const struct manifest *m, struct err *e) {
    int r = io_write(FETCH_FD_CONFIG, m->canonical, strlen(m->canonical));
    return r ? err_sys(e, -r, "cannot write the image's configuration") : 0;
}

static int two_sizes(const struct work *w, const struct manifest *m, struct err *e) {
    for (size_t i = 0; i < m->count; i++) {
        if (w->feed.parts[i]->descriptor.size != m->layers[i].size)
            return err_set(e, EBADMSG, "the manifest is malformed: it gives one layer two sizes");
    }
    return 0;
}

/* Starts the first of them. */
static int start_layers(struct work *w, struct fetch *f, const struct manifest *m, size_t endpoint, struct err *e) {
    f->total = f->cached = f->bytes = 0; /* of an endpoint that was tried before */
    f->ready = 0;
    int r = start_work(w, f, m->count, e);
    for (size_t i = 0; r == 0 && i < m->count; i++)
        w->feed.parts[i] = blob_of(w, &m->layers[i], i + 1, endpoint);
    if (r == 0)
        r = two_sizes(w, m, e);
    f->layers = w->count;
    return r ? r : start_some(w, e);
}

/* Without a configuration its layers are of no use: of what was begun of them nothing stays but what an earlier pull
 * had. */
static void discard_begun(const struct work *w) {
    for (size_t i = 0; i < w->count; i++) {
        const struct blob *b = &w->blobs[i];
        if (b->fd >= 0 && b->state != BLOB_DONE && !b->resumed)
            cache_remove_part(w->fetch->store, b->descriptor.digest);
    }
}

static int is_known(const struct fetch *f) {
    for (size_t i = 0; i < f->request.known_count; i++) {
        if (strcmp(f->request.known[i], f->digest) == 0)
            return 1;
    }
    return 0;
}

/* What the endpoint has of the image: its manifest, then the configuration with the first layers beside it. */
static int begin_image(struct work *w, struct fetch *f, size_t endpoint, struct manifest *m, struct err *e) {
    struct endpoint *from = &f->request.endpoints[endpoint];
    struct inquiry config = {0};
    int r = registry_manifest(f, from, m, e);
    f->known = r == 0 && is_known(f);
    if (r == 0)
        r = registry_config_begin(&config, f, from, m, e);
    if (r == 0 && !f->known)
        r = start_layers(w, f, m, endpoint, e);
    if (r == 0)
        r = registry_config_finish(&config, m, e);
    if (r)
        discard_begun(w);
    inquiry_end(&config);
    return r;
}

/* A mirror that fails is passed over: what the registry itself says is the answer. */
int fetch_image(struct fetch *f, struct err *e) {
    struct manifest m = {0};
    struct work w = {0};
    int r = -ENOENT;
    fetch_progress(f);
    for (size_t i = 0; r && i < f->request.endpoint_count; i++) {
        *e = (struct err){0};
        end_work(&w);
        manifest_free(&m);
        r = begin_image(&w, f, i, &m, e);
    }
    if (r == 0)
        r = write_config(&m, e);
    w.feed.diff_ids = m.diff_ids;
    if (r == 0 && !f->known)
        r = run(&w, e);
    end_work(&w);
    manifest_free(&m);
    return r;
}

/* --- a file -------------------------------------------------------------------------------- */

int fetch_file(struct fetch *f, struct err *e) {
    struct work w = {0};
    struct descriptor file = {.size = -1};
    (void) snprintf(file.digest, sizeof(file.digest), "%s", f->request.digest);
    fetch_progress(f);
    int r = start_work(&w, f, 1, e);
    if (r == 0 && w.feed.parts) {
        w.feed.parts[0] = blob_of(&w, &file, 0, 0);
        r = run(&w, e);
    }
    end_work(&w);
    return r;
}
