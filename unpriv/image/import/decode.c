#include "decode.h"

#include "sha256.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define HEADER_ROOM (64u << 10) /* ISA-L mistakes a gzip header with a checksum when it comes in two pieces */

enum packing { PACKING_NONE, PACKING_GZIP, PACKING_ZSTD };

struct decoder {
    struct inflate_state gzip; /* first: it wants its alignment */
    ZSTD_DCtx *zstd;
    struct blobs *source;
    struct blob blob;
    SHA256_CTX hash;
    enum packing packing;
    int ended;     /* the blob has no more bytes */
    int finished;  /* the packing said that it is complete */
    uint64_t read; /* of this blob */
    uint64_t packed, unpacked;
    size_t at, have; /* input: buffer + at .. buffer + have */
    uint8_t buffer[DECODE_INPUT];
};

struct decoder *decoder_new(void) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, sizeof(struct decoder)))
        return NULL;
    struct decoder *d = memory;
    memset(d, 0, sizeof(*d));
    d->zstd = ZSTD_createDCtx();
    if (d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, DECODE_WINDOW_LOG)))
        return d;
    decoder_free(d);
    return NULL;
}

void decoder_free(struct decoder *d) {
    if (d)
        (void) ZSTD_freeDCtx(d->zstd);
    free(d);
}

uint64_t decoder_packed(const struct decoder *d) {
    return d->packed;
}

static int check_end(struct decoder *d, struct err *e) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    if (d->blob.size != BLOB_TO_THE_END && d->read != d->blob.size)
        return err_set(e, EINVAL, "A layer is not as long as the image's manifest says; it is damaged");
    if (!d->blob.has_digest)
        return 0;
    (void) SHA256_Final(digest, &d->hash);
    if (memcmp(digest, d->blob.digest, sizeof(digest)) != 0)
        return err_set(e, EBADMSG,
                       "A layer's content does not have the digest that the image's manifest says; it is "
                       "damaged, or somebody changed it");
    return 0;
}

/* Up to `size` bytes of the blob as they are; at its end 0, and everything about it was right. */
static ssize_t take(struct decoder *d, uint8_t *to, size_t size, struct err *e) {
    if (d->ended)
        return 0;
    ssize_t n = d->source->read(d->source, to, size, e);
    if (n < 0)
        return n;
    if (d->blob.has_digest)
        (void) SHA256_Update(&d->hash, to, (size_t) n);
    d->read += (uint64_t) n;
    d->packed += (uint64_t) n;
    d->ended = n == 0;
    int r = d->ended ? check_end(d, e) : 0;
    return r ? r : n;
}

/* More input behind what is left, at least `want` bytes of it unless the blob ends. */
static int refill(struct decoder *d, size_t want, struct err *e) {
    if (d->at) {
        memmove(d->buffer, d->buffer + d->at, d->have - d->at);
        d->have -= d->at;
        d->at = 0;
    }
    while (!d->ended && d->have < want) {
        ssize_t n = take(d, d->buffer + d->have, sizeof(d->buffer) - d->have, e);
        if (n < 0)
            return (int) n;
        d->have += (size_t) n;
    }
    return 0;
}

static void start_gzip(struct decoder *d) {
    isal_inflate_init(&d->gzip);
    d->gzip.crc_flag = ISAL_GZIP;
}

int decoder_begin(struct decoder *d, struct blobs *source, const struct blob *blob, struct err *e) {
    static const uint8_t gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd}, skip[] = {0x2a, 0x4d, 0x18};
    d->source = source;
    d->blob = *blob;
    d->ended = d->finished = 0;
    d->read = 0;
    d->at = d->have = 0;
    (void) SHA256_Init(&d->hash);
    int r = refill(d, HEADER_ROOM, e);
    if (r)
        return r;
    d->packing = PACKING_NONE;
    if (d->have >= sizeof(gzip) && memcmp(d->buffer, gzip, sizeof(gzip)) == 0)
        d->packing = PACKING_GZIP;
    else if (d->have >= sizeof(zstd) && (memcmp(d->buffer, zstd, sizeof(zstd)) == 0 ||
                                         ((d->buffer[0] & 0xf0) == 0x50 && memcmp(d->buffer + 1, skip, 3) == 0)))
        d->packing = PACKING_ZSTD;
    start_gzip(d);
    (void) ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only);
    return 0;
}

static int cut_short(struct err *e) {
    return err_set(e, ENODATA, "A packed archive is cut short; make or fetch it again");
}

static int damaged(const char *why, struct err *e) {
    return err_set(e, EBADMSG, "A packed archive is damaged (%s); make or fetch it again", why);
}

static const char *gzip_reason(int code) {
    switch (code) {
    case ISAL_INVALID_WRAPPER:
        return "what is in the place of a gzip header is none";
    case ISAL_INCORRECT_CHECKSUM:
        return "a wrong checksum";
    case ISAL_UNSUPPORTED_METHOD:
        return "an unknown way of packing";
    default:
        return "not a gzip stream";
    }
}

/* After a member: another one follows, or zeros up to the end, or nothing. */
static int next_member(struct decoder *d, struct err *e) {
    int r = refill(d, HEADER_ROOM, e);
    if (r)
        return r;
    while (d->at < d->have && d->buffer[d->at] == 0) {
        d->at++;
        if (d->at == d->have && (r = refill(d, 1, e)) != 0)
            return r;
        if (d->at < d->have && d->buffer[d->at] != 0)
            return damaged("what follows it is no gzip", e);
    }
    d->finished = d->at == d->have;
    start_gzip(d);
    return 0;
}

/* One step; `*got` bytes came. */
static int step_gzip(struct decoder *d, uint8_t *out, size_t size, size_t *got, struct err *e) {
    struct inflate_state *z = &d->gzip;
    z->next_in = d->buffer + d->at;
    z->avail_in = (uint32_t) (d->have - d->at);
    z->next_out = out;
    z->avail_out = (uint32_t) size;
    int code = isal_inflate(z);
    size_t used = d->have - d->at - z->avail_in;
    *got = size - z->avail_out;
    d->at = d->have - z->avail_in;
    if (code < 0)
        return damaged(gzip_reason(code), e);
    if (z->block_state == ISAL_BLOCK_FINISH)
        return next_member(d, e);
    return d->ended && d->at == d->have && used == 0 && *got == 0 ? cut_short(e) : 0;
}

static int step_zstd(struct decoder *d, uint8_t *out, size_t size, size_t *got, struct err *e) {
    ZSTD_inBuffer in = {d->buffer, d->have, d->at};
    ZSTD_outBuffer to = {out, size, 0};
    size_t code = ZSTD_decompressStream(d->zstd, &to, &in);
    size_t used = in.pos - d->at;
    d->at = in.pos;
    *got = to.pos;
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
        return err_set(e, EFBIG,
                       "An archive is packed with a zstd window of more than %u MiB (--ultra or --long); pack it "
                       "again without",
                       (1u << DECODE_WINDOW_LOG) >> 20);
    if (ZSTD_isError(code))
        return damaged(ZSTD_getErrorName(code), e);
    if (code == 0) { /* a frame is complete; another may follow */
        int r = d->at == d->have ? refill(d, 1, e) : 0;
        d->finished = d->at == d->have;
        return r;
    }
    return d->ended && d->at == d->have && used == 0 && *got == 0 ? cut_short(e) : 0;
}

/* What decoder_begin() looked at, then straight from the source. */
static int step_plain(struct decoder *d, uint8_t *out, size_t size, size_t *got, struct err *e) {
    if (d->at == d->have) {
        ssize_t n = take(d, out, size, e);
        if (n < 0)
            return (int) n;
        *got = (size_t) n;
        d->finished = d->ended;
        return 0;
    }
    *got = d->have - d->at < size ? d->have - d->at : size;
    memcpy(out, d->buffer + d->at, *got);
    d->at += *got;
    return 0;
}

ssize_t decoder_read(struct decoder *d, void *out, size_t size, struct err *e) {
    size_t done = 0;
    while (done < size && !d->finished) {
        size_t got = 0;
        int r = d->at == d->have && d->packing != PACKING_NONE ? refill(d, 1, e) : 0;
        if (r == 0 && d->packing == PACKING_GZIP)
            r = step_gzip(d, (uint8_t *) out + done, size - done, &got, e);
        else if (r == 0 && d->packing == PACKING_ZSTD)
            r = step_zstd(d, (uint8_t *) out + done, size - done, &got, e);
        else if (r == 0)
            r = step_plain(d, (uint8_t *) out + done, size - done, &got, e);
        if (r)
            return r;
        done += got;
        d->unpacked += got;
    }
    if (d->unpacked > DECODE_RATIO_FREE && d->unpacked / DECODE_RATIO > d->packed)
        return err_set(e, EFBIG, "The archive unpacks to more than %u times its size, as no real one does; use another",
                       DECODE_RATIO);
    return (ssize_t) done;
}
