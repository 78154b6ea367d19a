/* An image's documents: index, manifest, configuration. */
#ifndef BANGER_IMAGE_FETCH_REGISTRY_H
#define BANGER_IMAGE_FETCH_REGISTRY_H

#include "cache.h"

/* One document under way: what it is for, and what was found. */
struct inquiry {
    struct fetch *fetch;
    struct endpoint *endpoint;
    const char *folder; /* "manifests" or "blobs" */
    const char *noun;
    const char *accept;
    char digest[DIGEST_TEXT_MAX]; /* wanted; "" : whatever the tag names. Then what it is */
    char type[MEDIA_TYPE_MAX];    /* of the answer */
    struct document document;
    struct transfer *transfer; /* NULL: the cache had it, or it is here by now */
};

/* Finds the manifest for the platform. 0 or a negative errno; free it with manifest_free() after an error too. */
int registry_manifest(struct fetch *f, struct endpoint *endpoint, struct manifest *m, struct err *e);

/* Asks for the manifest's configuration; other transfers may be started beside it. End it also after an error. */
int registry_config_begin(struct inquiry *q, struct fetch *f, struct endpoint *endpoint, const struct manifest *m,
                          struct err *e);
/* Waits for it, and puts what it says into `m`. All transfers move on meanwhile. */
int registry_config_finish(struct inquiry *q, struct manifest *m, struct err *e);
/* Gives up what is under way and frees. Safe on one that was zeroed. */
void inquiry_end(struct inquiry *q);

#endif
