/* The large parts: downloaded beside each other into the cache, and fed into the pipe in order. */
#ifndef BANGER_IMAGE_FETCH_BLOBS_H
#define BANGER_IMAGE_FETCH_BLOBS_H

#include "cache.h"

enum blob_state {
    BLOB_NEW,   /* not looked for yet */
    BLOB_WAITS, /* another pull gets it */
    BLOB_READY, /* to be started, from `not_before` on */
    BLOB_RUNS,  /* a transfer is under way */
    BLOB_DONE,  /* whole, its digest checked */
};

struct blob {
    struct fetch *fetch;
    struct descriptor descriptor; /* size -1: not known before it is here */
    size_t number;                /* for sentences; 0: the file itself */
    size_t endpoint;              /* where it is looked for */
    enum blob_state state;
    int fd;
    int64_t have;    /* bytes in the file */
    int64_t resumed; /* bytes of an earlier pull at its beginning: then none is fed before the digest was checked */
    int restarts;
    EVP_MD_CTX *sha;
    struct transfer transfer;
    int64_t seen; /* of another pull's part */
    long long seen_at;
};

/* Looks it up and moves it on as far as it goes without the network: 0 or a negative errno. */
int blob_prepare(struct blob *b, struct err *e);
/* Starts its transfer. */
int blob_start(struct blob *b, struct err *e);
/* Its transfer's attempt is finished. */
int blob_finished(struct blob *b, struct err *e);
/* Bytes that may be fed. */
int64_t blob_safe(const struct blob *b);
/* Frees; a part without a byte is removed. */
void blob_end(struct blob *b);

/* What goes into the pipe. */
struct feed {
    struct blob **parts; /* in order, `count` of them */
    size_t count, at;
    uint8_t (*diff_ids)[32]; /* NULL: raw bytes, no headers */
    size_t header_done;      /* bytes of the header under way */
    int64_t done;            /* bytes of the part under way */
    int ended;               /* all is in the pipe, STREAM_END too */
    int full;                /* the pipe takes no more for now */
};

/* Puts into the pipe what is there; 0, or -EPIPE when nobody reads it, or another negative errno. */
int feed_turn(struct feed *feed, int pipe, struct err *e);

#endif
