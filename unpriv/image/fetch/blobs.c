#include "blobs.h"

#include "../../../common/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHER_WAIT_MS 60000 /* another pull that gets no byte for so long is not waited for */
#define LOOK_MS       50
#define FEED_EVERY    ((int64_t) 128 << 10)

static int name_it(const struct blob *b, char *out, size_t size) {
    char whole[REFERENCE_TEXT_MAX];
    if (b->number)
        return snprintf(out, size, "layer %zu of %.300s", b->number,
                        reference_text(&b->fetch->request.reference, whole));
    return snprintf(out, size, "%.300s", b->fetch->request.url);
}

/* Back to nothing; what is got a second time is no progress. */
static int begin_anew(struct blob *b, struct err *e) {
    b->fetch->bytes -= b->have - b->resumed;
    b->fetch->cached -= b->resumed;
    b->transfer.progress -= b->have;
    EVP_MD_CTX_free(b->sha);
    b->sha = cache_hash(b->fd, 0);
    b->have = 0;
    b->resumed = 0;
    if (!b->sha)
        return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    return ftruncate(b->fd, 0) ? err_sys(e, errno, "cannot write to the blob cache") : 0;
}

/* --- the end of one -------------------------------------------------------------------- */

static int complete(struct blob *b, struct err *e) {
    char found[DIGEST_TEXT_MAX], what[400];
    (void) name_it(b, what, sizeof(what));
    cache_finish(&b->sha, found);
    if (strcmp(found, b->descriptor.digest) == 0) {
        b->descriptor.size = b->have;
        b->state = BLOB_DONE;
        b->fetch->ready++;
        int r = cache_commit(b->fetch->store, b->descriptor.digest);
        return r ? err_sys(e, -r, "cannot write to the blob cache") : 0;
    }
    if (b->resumed && !b->restarts++) { /* what lay there was not its beginning */
        b->state = BLOB_READY;
        return begin_anew(b, e);
    }
    cache_remove_part(b->fetch->store, b->descriptor.digest);
    return err_set(e, EBADMSG, "%s has another digest than it must have: %.19s... and not %.19s...", what, found,
                   b->descriptor.digest);
}

/* --- looking it up ----------------------------------------------------------------------- */

static int take_cached(struct blob *b) {
    struct stat st;
    if (b->fetch->request.verify)
        (void) cache_remove_damaged(b->fetch->store, b->descriptor.digest);
    int fd = cache_open(b->fetch->store, b->descriptor.digest, b->descriptor.size);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st)) {
        (void) close(fd);
        return 0;
    }
    b->fd = fd;
    b->have = b->descriptor.size = st.st_size;
    b->fetch->cached += b->have;
    b->fetch->ready++;
    b->state = BLOB_DONE;
    return 1;
}

/* What an earlier pull left is hashed, and gone on from. */
static int take_part(struct blob *b, struct err *e) {
    struct stat st;
    if (fstat(b->fd, &st))
        return err_sys(e, errno, "cannot read the blob cache");
    const int64_t most = b->descriptor.size >= 0 ? b->descriptor.size : b->fetch->request.limit;
    b->have = 0;
    b->state = BLOB_READY;
    b->sha = st.st_size > most ? NULL : cache_hash(b->fd, st.st_size);
    if (!b->sha)
        return begin_anew(b, e);
    b->have = st.st_size;
    b->resumed = b->have;
    b->fetch->cached += b->have;
    return b->have == b->descriptor.size ? complete(b, e) : 0;
}

static int wait_for_other(struct blob *b, struct err *e) {
    char what[400];
    const long long now = io_now_ms();
    const int64_t size = cache_part_size(b->fetch->store, b->descriptor.digest);
    if (b->state != BLOB_WAITS || size != b->seen) {
        b->seen = size;
        b->seen_at = now;
    }
    b->state = BLOB_WAITS;
    b->transfer.not_before = now + LOOK_MS;
    if (now - b->seen_at < OTHER_WAIT_MS)
        return 0;
    (void) name_it(b, what, sizeof(what));
    return err_set(e, EBUSY, "another pull is getting %s and does not get on: end it, and pull again", what);
}

int blob_prepare(struct blob *b, struct err *e) {
    if ((b->state != BLOB_NEW && b->state != BLOB_WAITS) || b->transfer.not_before > io_now_ms() || take_cached(b))
        return 0;
    int fd = cache_open_part(b->fetch->store, b->descriptor.digest);
    if (fd == -EWOULDBLOCK)
        return wait_for_other(b, e);
    if (fd == -EEXIST)
        return take_cached(b) ? 0 : wait_for_other(b, e);
    if (fd < 0)
        return err_sys(e, -fd, "cannot write to the blob cache");
    b->fd = fd;
    b->transfer.not_before = 0;
    return take_part(b, e);
}

/* --- the transfer -------------------------------------------------------------------------- */

static int lies_about_size(struct transfer *t, int64_t says, int64_t wanted) {
    return err_set(&t->error, EBADMSG, "%s: the server says it has %lld bytes, and it must have %lld", t->what,
                   (long long) says, (long long) wanted);
}

static int begin(struct transfer *t) {
    struct blob *b = t->arg;
    curl_off_t length = -1;
    (void) curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (t->status == 206 && (t->from == 0 || t->range_first != t->from))
        return err_set(&t->error, EBADMSG, "%s: the server sends another part than was asked for", t->what);
    if (t->status == 200 && t->from > 0) { /* it knows no ranges */
        int r = begin_anew(b, &t->error);
        if (r)
            return r;
    }
    const int64_t whole = length < 0 ? -1 : length + (t->status == 206 ? t->from : 0);
    const int64_t most = b->descriptor.size >= 0 ? b->descriptor.size : b->fetch->request.limit;
    if (b->descriptor.size >= 0 && whole >= 0 && whole != b->descriptor.size)
        return lies_about_size(t, whole, b->descriptor.size);
    if (b->descriptor.size >= 0 && t->range_total >= 0 && t->range_total != b->descriptor.size)
        return lies_about_size(t, t->range_total, b->descriptor.size);
    if (whole > most)
        return err_set(&t->error, EFBIG, "%s has %lld bytes, and at most %lld are taken in", t->what, (long long) whole,
                       (long long) most);
    if (b->descriptor.size < 0 && whole > 0)
        b->fetch->total = whole;
    return 0;
}

/* Of a fast server libcurl takes up to 50 MB before it comes back: the importer is not to wait for that. */
static void hand_on(struct fetch *f) {
    struct err again; /* what is wrong with the pipe the loop finds too */
    if (f->feed)
        (void) feed_turn(f->feed, FETCH_FD_PIPE, &again);
    fetch_progress(f);
}

static int take(struct transfer *t, const char *data, size_t size) {
    struct blob *b = t->arg;
    const int64_t before = b->have;
    const int64_t most = b->descriptor.size >= 0 ? b->descriptor.size : b->fetch->request.limit;
    if ((int64_t) size > most - b->have)
        return err_set(&t->error, EBADMSG, "%s: the server sends more than the %lld bytes it may have", t->what,
                       (long long) most);
    for (size_t at = 0; at < size;) {
        ssize_t n = pwrite(b->fd, data + at, size - at, b->have + (int64_t) at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(&t->error, errno,
                           "cannot write to the blob cache (`banger image cache prune` makes room there)");
        at += (size_t) n;
    }
    if (!EVP_DigestUpdate(b->sha, data, size))
        return err_set(&t->error, ENOMEM, "there is not enough memory: free some and try again");
    b->have += (int64_t) size;
    b->fetch->bytes += (int64_t) size;
    if (b->have / FEED_EVERY != before / FEED_EVERY)
        hand_on(b->fetch);
    return 0;
}

int blob_start(struct blob *b, struct err *e) {
    struct transfer *t = &b->transfer;
    t->fetch = b->fetch;
    t->endpoint = &b->fetch->request.endpoints[b->endpoint];
    t->begin = begin;
    t->take = take;
    t->arg = b;
    t->limit = -1;
    t->from = b->have;
    (void) name_it(b, t->what, sizeof(t->what));
    if (b->number)
        (void) snprintf(t->path, sizeof(t->path), "/v2/%s/blobs/%s", b->fetch->request.reference.path,
                        b->descriptor.digest);
    else if (!t->url && !(t->url = strdup(b->fetch->request.url)))
        return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    b->state = BLOB_RUNS;
    return transfer_start(t, e);
}

/* The same from another endpoint, or from its beginning, where that may help. */
static int try_otherwise(struct blob *b, struct err *e) {
    const long status = b->transfer.status;
    const long long no_pause = 0;
    if (status == 416 && b->have > 0 && !b->restarts++) {
        transfer_end(&b->transfer);
        b->transfer = (struct transfer){.not_before = no_pause};
        b->state = BLOB_READY;
        return begin_anew(b, e);
    }
    if (b->transfer.result == 0 && b->endpoint + 1 < b->fetch->request.endpoint_count) {
        transfer_end(&b->transfer);
        b->transfer = (struct transfer){.not_before = no_pause};
        b->endpoint++;
        b->state = BLOB_READY;
        *e = (struct err){0};
        return 0;
    }
    return e->code ? -e->code : -EIO;
}

int blob_finished(struct blob *b, struct err *e) {
    struct transfer *t = &b->transfer;
    enum verdict verdict = transfer_judge(t, e);
    b->state = BLOB_READY;
    if (verdict == VERDICT_OK && b->descriptor.size >= 0 && b->have < b->descriptor.size)
        return ++t->attempts < 5 ? 0
                                 : err_set(e, EBADMSG, "%s ends after %lld of %lld bytes", t->what, (long long) b->have,
                                           (long long) b->descriptor.size);
    if (verdict == VERDICT_OK)
        return complete(b, e);
    return verdict == VERDICT_FAILED ? try_otherwise(b, e) : 0;
}

/* --- what may be fed -------------------------------------------------------------------------- */

int64_t blob_safe(const struct blob *b) {
    return b->state == BLOB_DONE || !b->resumed ? b->have : 0;
}

void blob_end(struct blob *b) {
    transfer_end(&b->transfer);
    if (b->fd >= 0 && b->have == 0 && b->state != BLOB_DONE)
        cache_remove_part(b->fetch->store, b->descriptor.digest);
    if (b->fd >= 0)
        (void) close(b->fd);
    b->fd = -1;
    EVP_MD_CTX_free(b->sha);
    b->sha = NULL;
}
