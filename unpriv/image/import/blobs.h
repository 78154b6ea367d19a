/* Where packed layers come from. All calls come from the worker thread. */
#ifndef BANGER_IMAGE_IMPORT_BLOBS_H
#define BANGER_IMAGE_IMPORT_BLOBS_H

#include "import.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BLOB_TO_THE_END UINT64_MAX

struct blob {
    uint64_t size; /* bytes, or BLOB_TO_THE_END of the stream */
    int has_digest, has_diff_id;
    uint8_t digest[32];  /* SHA-256 of the bytes as they are */
    uint8_t diff_id[32]; /* of the unpacked ones */
};

struct blobs {
    /* The next blob: 1, or 0 when there are no more, or a negative errno with `e` filled. What
     * is left of the one before was read. */
    int (*next)(struct blobs *b, struct blob *out, struct err *e);
    /* Up to `size` bytes of it: at least one, or 0 at its end, or a negative errno with `e` filled. */
    ssize_t (*read)(struct blobs *b, void *out, size_t size, struct err *e);
    const int *stop; /* set: nobody wants more; a read that waits gives up with -ECANCELED */
};

/* One stream that is one blob, to its end. */
struct blobs_file {
    struct blobs blobs;
    int fd;
    int begun;
};
void blobs_file(struct blobs_file *b, int fd);

/* stream.h on a pipe. */
struct blobs_stream {
    struct blobs blobs;
    int fd;
    uint32_t layers;
    uint64_t left; /* of the blob under way */
};
void blobs_stream(struct blobs_stream *b, int fd);

/* read() that gives up when `*stop` is set. */
ssize_t blobs_read(int fd, void *out, size_t size, const int *stop, struct err *e);

#endif
