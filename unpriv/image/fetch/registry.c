/* An image's documents: index, manifest, configuration. */
#include "cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_DEPTH_MAX 3

static const char manifest_types[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

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
};

static int check_digest(struct inquiry *q, const struct transfer *t, struct err *e) {
    char found[DIGEST_TEXT_MAX];
    cache_digest(q->document.text ? q->document.text : "", q->document.size, found);
    const char *wanted = q->digest[0] ? q->digest : reference_is_digest(t->digest) ? t->digest : found;
    if (strcmp(found, wanted) != 0)
        return err_set(e, EBADMSG, "%s has another digest than it must have: %.19s... and not %.19s...", t->what, found,
                       wanted);
    (void) snprintf(q->digest, sizeof(q->digest), "%s", found);
    (void) snprintf(q->type, sizeof(q->type), "%s", t->type);
    return 0;
}

static int download(struct inquiry *q, struct err *e) {
    const struct reference *ref = &q->fetch->request.reference;
    char whole[REFERENCE_TEXT_MAX];
    struct transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    (void) snprintf(t->what, sizeof(t->what), "%s %.320s", q->noun, reference_text(ref, whole));
    (void) snprintf(t->path, sizeof(t->path), "/v2/%s/%s/%s", ref->path, q->folder,
                    q->digest[0] ? q->digest : ref->tag);
    t->fetch = q->fetch;
    t->endpoint = q->endpoint;
    t->accept = q->accept;
    t->is_document = 1;
    t->limit = (int64_t) q->document.limit;
    t->begin = document_begin;
    t->take = document_take;
    t->arg = &q->document;
    int r = transfer_run(t, e);
    if (r == 0)
        r = check_digest(q, t, e);
    transfer_end(t);
    free(t);
    return r;
}

/* By digest it may be here already. */
static int get(struct inquiry *q, struct err *e) {
    q->type[0] = '\0';
    if (q->digest[0] && cache_read(q->fetch->store, q->digest, &q->document) == 0)
        return 0;
    int r = download(q, e);
    if (r == 0)
        cache_write(q->fetch->store, q->digest, q->document.text ? q->document.text : "", q->document.size);
    return r;
}

static void forget(struct inquiry *q) {
    free(q->document.text);
    q->document = (struct document){.limit = q->document.limit, .noun = q->document.noun};
}

/* --- the manifest ---------------------------------------------------------------------- */

static int find_manifest(struct inquiry *q, struct manifest *m, struct err *e) {
    const struct fetch_request *request = &q->fetch->request;
    for (int depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
        enum document_kind kind = DOCUMENT_MANIFEST;
        struct descriptor chosen;
        int r = get(q, e);
        if (r == 0)
            r = document_kind(q->document.text ? q->document.text : "", q->document.size, q->type, &kind, e);
        if (r)
            return r;
        if (kind == DOCUMENT_MANIFEST)
            return manifest_read(q->document.text, q->document.size, request->limit, m, e);
        r = index_choose(q->document.text, q->document.size, &request->platform, &chosen, e);
        if (r)
            return r;
        forget(q);
        (void) snprintf(q->digest, sizeof(q->digest), "%s", chosen.digest);
    }
    return err_set(e, ELOOP, "the image's index leads to an index, %d times", INDEX_DEPTH_MAX);
}

static int find_config(struct fetch *f, struct endpoint *endpoint, struct manifest *m, struct err *e) {
    struct inquiry q = {.fetch = f,
                        .endpoint = endpoint,
                        .folder = "blobs",
                        .noun = "the configuration of",
                        .document = {.limit = CONFIG_BYTES_MAX}};
    (void) snprintf(q.digest, sizeof(q.digest), "%s", m->config.digest);
    int r = get(&q, e);
    if (r == 0 && (int64_t) q.document.size != m->config.size)
        r = err_set(e, EBADMSG, "the image's configuration has %zu bytes, and its manifest says %lld", q.document.size,
                    (long long) m->config.size);
    if (r == 0)
        r = config_read(q.document.text ? q.document.text : "", q.document.size, &f->request.platform, m, e);
    free(q.document.text);
    return r;
}

static int from_endpoint(struct fetch *f, struct endpoint *endpoint, struct manifest *m, struct err *e) {
    struct inquiry q = {.fetch = f,
                        .endpoint = endpoint,
                        .folder = "manifests",
                        .noun = "the manifest of",
                        .accept = manifest_types,
                        .document = {.limit = MANIFEST_BYTES_MAX}};
    (void) snprintf(q.digest, sizeof(q.digest), "%s", f->request.reference.digest);
    int r = find_manifest(&q, m, e);
    if (r == 0) {
        (void) snprintf(f->digest, sizeof(f->digest), "%s", q.digest);
        r = find_config(f, endpoint, m, e);
    }
    free(q.document.text);
    if (r)
        manifest_free(m);
    return r;
}

/* A mirror that fails is passed over: what the registry itself says is the answer. */
int registry_manifest(struct fetch *f, struct manifest *m, size_t *from, struct err *e) {
    int r = -ENOENT;
    for (size_t i = 0; r && i < f->request.endpoint_count; i++) {
        *e = (struct err){0};
        r = from_endpoint(f, &f->request.endpoints[i], m, e);
        *from = i;
    }
    return r;
}
