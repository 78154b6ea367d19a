#include "blobs.h"

#include "../stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define STOP_POLL_MS 100

ssize_t blobs_read(int fd, void *out, size_t size, const int *stop, struct err *e) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))
            return err_set(e, ECANCELED, "The import was given up");
        if (poll(&ready, 1, STOP_POLL_MS) == 0)
            continue;
        ssize_t n = read(fd, out, size);
        if (n >= 0)
            return n;
        if (errno != EINTR && errno != EAGAIN)
            return err_sys(e, errno, "The archive cannot be read");
    }
}

static int file_next(struct blobs *b, struct blob *out, struct err *e) {
    struct blobs_file *file = (struct blobs_file *) b;
    (void) e;
    *out = (struct blob){.size = BLOB_TO_THE_END};
    return file->begun++ == 0;
}

static ssize_t file_read(struct blobs *b, void *out, size_t size, struct err *e) {
    return blobs_read(((struct blobs_file *) b)->fd, out, size, b->stop, e);
}

void blobs_file(struct blobs_file *b, int fd) {
    *b = (struct blobs_file){.blobs = {.next = file_next, .read = file_read}, .fd = fd};
}

static int stream_header(struct blobs_stream *s, struct stream_header *header, struct err *e) {
    for (size_t have = 0; have < sizeof(*header);) {
        ssize_t n = blobs_read(s->fd, (char *) header + have, sizeof(*header) - have, s->blobs.stop, e);
        if (n < 0)
            return (int) n;
        if (n == 0)
            return err_set(e, ENODATA, "The image's layers ended too early; pull it again");
        have += (size_t) n;
    }
    return 0;
}

static int stream_next(struct blobs *b, struct blob *out, struct err *e) {
    struct blobs_stream *s = (struct blobs_stream *) b;
    struct stream_header header;
    int r = stream_header(s, &header, e);
    if (r)
        return r;
    if (header.magic == STREAM_MAGIC && header.kind == STREAM_END && header.size == 0)
        return 0;
    if (header.magic != STREAM_MAGIC || header.kind != STREAM_LAYER || header.size > INT64_MAX)
        return err_set(e, EPROTO, "The image's layers come in a form of another version; install banger again");
    if (s->layers++ == STREAM_LAYERS_MAX)
        return err_set(e, EFBIG, "The image has more than %u layers; squash it first", STREAM_LAYERS_MAX);
    *out = (struct blob){.size = header.size, .has_diff_id = 1};
    memcpy(out->diff_id, header.diff_id, sizeof(out->diff_id));
    s->left = header.size;
    return 1;
}

static ssize_t stream_read(struct blobs *b, void *out, size_t size, struct err *e) {
    struct blobs_stream *s = (struct blobs_stream *) b;
    if (size > s->left)
        size = (size_t) s->left;
    ssize_t n = size ? blobs_read(s->fd, out, size, b->stop, e) : 0;
    if (size && n == 0)
        return err_set(e, ENODATA, "The image's layers ended too early; pull it again");
    s->left -= n > 0 ? (uint64_t) n : 0;
    return n;
}

void blobs_stream(struct blobs_stream *b, int fd) {
    *b = (struct blobs_stream){.blobs = {.next = stream_next, .read = stream_read}, .fd = fd};
}
