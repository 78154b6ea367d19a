#include "blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SPLICE_MOST ((size_t) 1 << 20)
#define COPY_MOST   65536

/* From the cache's pages into the pipe without a copy; where the file system cannot, with one. */
static ssize_t move(int from, int64_t at, int pipe, size_t size) {
    char copy[COPY_MOST];
    loff_t offset = at;
    ssize_t n = splice(from, &offset, pipe, NULL, size < SPLICE_MOST ? size : SPLICE_MOST, SPLICE_F_NONBLOCK);
    if (n >= 0 || errno != EINVAL)
        return n < 0 ? -errno : n;
    n = pread(from, copy, size < COPY_MOST ? size : COPY_MOST, at);
    if (n > 0)
        n = write(pipe, copy, (size_t) n);
    return n < 0 ? -errno : n;
}

/* The header that is due, as far as it goes: bytes left of it, or a negative errno. */
static ssize_t put_header(struct feed *feed, int pipe) {
    struct stream_header header = {.magic = STREAM_MAGIC, .kind = STREAM_END};
    if (feed->at < feed->count) {
        header.kind = STREAM_LAYER;
        header.size = (uint64_t) feed->parts[feed->at]->descriptor.size;
        memcpy(header.diff_id, feed->diff_ids[feed->at], sizeof(header.diff_id));
    }
    while (feed->header_done < sizeof(header)) {
        ssize_t n = write(pipe, (const char *) &header + feed->header_done, sizeof(header) - feed->header_done);
        if (n < 0)
            return -errno;
        feed->header_done += (size_t) n;
    }
    return 0;
}

static int gone(int pipe) {
    struct pollfd p = {.fd = pipe};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLNVAL));
}

/* One step: 1 when something moved, 0 when nothing can, or a negative errno. */
static int step(struct feed *feed, int pipe) {
    if (feed->diff_ids && feed->header_done < sizeof(struct stream_header)) {
        for (size_t i = 0; feed->at == feed->count && i < feed->count; i++) {
            if (feed->parts[i]->state != BLOB_DONE)
                return 0; /* the end is told when every digest was right */
        }
        ssize_t r = put_header(feed, pipe);
        return r < 0 ? (int) r : 1;
    }
    if (feed->at == feed->count) {
        feed->ended = 1;
        return 0;
    }
    const struct blob *b = feed->parts[feed->at];
    const int64_t safe = blob_safe(b);
    if (b->state == BLOB_DONE && feed->done == b->descriptor.size) {
        feed->at++;
        feed->done = 0;
        feed->header_done = 0;
        return 1;
    }
    if (safe <= feed->done)
        return 0;
    ssize_t n = move(b->fd, feed->done, pipe, (size_t) (safe - feed->done));
    if (n == 0)
        return -EIO; /* the cache's file was cut by somebody */
    feed->done += n > 0 ? n : 0;
    return n < 0 ? (int) n : 1;
}

int feed_turn(struct feed *feed, int pipe, struct err *e) {
    int r;
    feed->full = 0;
    do {
        r = step(feed, pipe);
    } while (r > 0);
    if (r == -EAGAIN || r == -EINTR) {
        feed->full = 1;
        r = 0;
    }
    if (r == 0 && !feed->ended && gone(pipe))
        r = -EPIPE;
    if (r == -EPIPE)
        return err_set(e, EPIPE, "the import ended before everything was fetched");
    return r ? err_sys(e, -r, "cannot hand on what was fetched") : 0;
}
