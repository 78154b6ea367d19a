#include "layers.h"

#include "decode.h"
#include "second.h"
#include "sha256.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PIECES 8u

enum piece_kind { PIECE_BYTES, PIECE_BEGIN, PIECE_END };

struct piece {
    enum piece_kind kind;
    struct blob blob; /* BEGIN */
    size_t size;      /* BYTES */
    uint64_t packed;  /* read until now */
    uint8_t *bytes;
};

struct layers {
    struct blobs *source;
    struct decoder *decoder;
    uint64_t limit, unpacked;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t filled, taken; /* pieces, ever */
    int stop;               /* nobody reads any more */
    int over;               /* the worker will fill no more; `fault` says why */
    struct err fault;
    /* The reader's side. */
    int held; /* a piece is being read */
    int in_layer;
    struct blob blob;
    SHA256_CTX hash;
    uint64_t packed;
    struct piece pieces[PIECES];
    uint8_t *memory;
};

/* --- the worker --------------------------------------------------------------------- */

/* The next free piece, or NULL when nobody wants it. */
static struct piece *free_piece(struct layers *l) {
    (void) pthread_mutex_lock(&l->lock);
    while (!l->stop && l->filled - l->taken == PIECES)
        (void) pthread_cond_wait(&l->changed, &l->lock);
    struct piece *p = l->stop ? NULL : &l->pieces[l->filled % PIECES];
    (void) pthread_mutex_unlock(&l->lock);
    return p;
}

static void pass_on(struct layers *l, struct piece *p, enum piece_kind kind) {
    p->kind = kind;
    p->packed = decoder_packed(l->decoder);
    (void) pthread_mutex_lock(&l->lock);
    l->filled++;
    (void) pthread_cond_signal(&l->changed);
    (void) pthread_mutex_unlock(&l->lock);
}

static int check_limit(const struct layers *l, struct err *e) {
    if (decoder_packed(l->decoder) > l->limit)
        return err_set(e, EFBIG, "The archive is larger than the %llu MiB that are allowed; use a smaller one",
                       (unsigned long long) (l->limit >> 20));
    if (l->unpacked > l->limit)
        return err_set(e, EFBIG, "The archive unpacks to more than the %llu MiB that are allowed; use a smaller one",
                       (unsigned long long) (l->limit >> 20));
    return 0;
}

/* One blob: 1 when it is whole, 0 when nobody wants more. */
static int unpack(struct layers *l, const struct blob *blob, struct err *e) {
    struct piece *p = free_piece(l);
    int r = p ? decoder_begin(l->decoder, l->source, blob, e) : 0;
    if (!p || r)
        return r;
    p->blob = *blob;
    pass_on(l, p, PIECE_BEGIN);
    for (;;) {
        p = free_piece(l);
        ssize_t n = p ? decoder_read(l->decoder, p->bytes, LAYERS_PIECE, e) : 0;
        if (!p || n < 0)
            return (int) n;
        l->unpacked += (uint64_t) n;
        p->size = (size_t) n;
        r = check_limit(l, e);
        if (r)
            return r;
        pass_on(l, p, n ? PIECE_BYTES : PIECE_END);
        if (n == 0)
            return 1;
    }
}

static void work(void *context) {
    struct layers *l = context;
    struct blob blob;
    struct err fault = {0};
    int r = 1;
    while (r > 0) {
        r = l->source->next(l->source, &blob, &fault);
        if (r > 0)
            r = unpack(l, &blob, &fault);
    }
    (void) pthread_mutex_lock(&l->lock);
    l->fault = fault;
    l->over = 1;
    (void) pthread_cond_signal(&l->changed);
    (void) pthread_mutex_unlock(&l->lock);
}

/* --- the reader --------------------------------------------------------------------- */

static void give_back(struct layers *l) {
    if (!l->held)
        return;
    l->held = 0;
    (void) pthread_mutex_lock(&l->lock);
    l->taken++;
    (void) pthread_cond_signal(&l->changed);
    (void) pthread_mutex_unlock(&l->lock);
}

/* The next piece, held until the next call: 1, 0 when the worker is through, or what failed it. */
static int take_piece(struct layers *l, struct piece **out, struct err *e) {
    give_back(l);
    (void) pthread_mutex_lock(&l->lock);
    while (l->filled == l->taken && !l->over)
        (void) pthread_cond_wait(&l->changed, &l->lock);
    l->held = l->filled != l->taken;
    (void) pthread_mutex_unlock(&l->lock);
    if (!l->held && l->fault.code && e)
        *e = l->fault;
    if (!l->held)
        return -l->fault.code;
    *out = &l->pieces[l->taken % PIECES];
    l->packed = (*out)->packed;
    return 1;
}

static int check_diff_id(struct layers *l, struct err *e) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    l->in_layer = 0;
    if (!l->blob.has_diff_id)
        return 0;
    (void) SHA256_Final(digest, &l->hash);
    if (memcmp(digest, l->blob.diff_id, sizeof(digest)) != 0)
        return err_set(e, EBADMSG,
                       "A layer's unpacked content does not have the digest that the image's configuration says; it "
                       "is damaged, or somebody changed it");
    return 0;
}

ssize_t layers_read(struct layers *l, const uint8_t **out, struct err *e) {
    struct piece *p = NULL;
    if (!l->in_layer)
        return 0;
    int r = take_piece(l, &p, e);
    if (!p)
        return r ? r : err_set(e, EPROTO, "A layer has no end; this is an error in banger");
    if (p->kind == PIECE_END)
        return check_diff_id(l, e);
    if (l->blob.has_diff_id)
        (void) SHA256_Update(&l->hash, p->bytes, p->size);
    *out = p->bytes;
    return (ssize_t) p->size;
}

int layers_next(struct layers *l, struct err *e) {
    const uint8_t *unused = NULL;
    struct piece *p = NULL;
    ssize_t n = 1;
    while (n > 0)
        n = layers_read(l, &unused, e);
    int r = n ? (int) n : take_piece(l, &p, e);
    if (!p)
        return r;
    l->in_layer = 1;
    l->blob = p->blob;
    (void) SHA256_Init(&l->hash);
    return 1;
}

uint64_t layers_packed(const struct layers *l) {
    return l->packed;
}

struct layers *layers_open(struct blobs *source, uint64_t limit, struct err *e) {
    struct layers *l = calloc(1, sizeof(*l));
    if (l) {
        (void) pthread_mutex_init(&l->lock, NULL);
        (void) pthread_cond_init(&l->changed, NULL);
        l->source = source;
        l->limit = limit;
        l->memory = malloc(PIECES * LAYERS_PIECE);
        l->decoder = decoder_new();
    }
    if (!l || !l->memory || !l->decoder) {
        (void) err_set(e, ENOMEM, "There is not enough memory to read an archive; free some and try again");
    } else if (second_start(e) == 0) {
        for (size_t i = 0; i < PIECES; i++)
            l->pieces[i].bytes = l->memory + i * LAYERS_PIECE;
        source->stop = &l->stop;
        second_run(work, l);
        return l;
    }
    if (l) {
        decoder_free(l->decoder);
        free(l->memory);
    }
    free(l);
    return NULL;
}

void layers_close(struct layers *l) {
    if (!l)
        return;
    (void) pthread_mutex_lock(&l->lock);
    __atomic_store_n(&l->stop, 1, __ATOMIC_RELAXED);
    (void) pthread_cond_signal(&l->changed);
    (void) pthread_mutex_unlock(&l->lock);
    second_wait();
    (void) pthread_cond_destroy(&l->changed);
    (void) pthread_mutex_destroy(&l->lock);
    decoder_free(l->decoder);
    free(l->memory);
    free(l);
}
