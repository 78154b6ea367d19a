#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_DEPTH_MAX 3

static const char manifest_types[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

static int check_digest(struct inquiry *q, struct err *e) {
    const struct transfer *t = q->transfer;
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

static int start(struct inquiry *q, struct err *e) {
    const struct reference *ref = &q->fetch->request.reference;
    char whole[REFERENCE_TEXT_MAX];
    struct transfer *t = q->transfer = calloc(1, sizeof(*t));
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
    return transfer_start(t, e);
}

/* By digest it may be here already: then nothing is started. */
static int begin(struct inquiry *q, struct err *e) {
    q->type[0] = '\0';
    if (q->digest[0] && cache_read(q->fetch->store, q->digest, &q->document) == 0)
        return 0;
    return start(q, e);
}

static void drop_transfer(struct inquiry *q) {
    if (q->transfer)
        transfer_end(q->transfer);
    free(q->transfer);
    q->transfer = NULL;
}

/* Waits for what was begun. */
static int finish(struct inquiry *q, struct err *e) {
    if (!q->transfer)
        return 0;
    int r = transfer_run(q->transfer, e);
    if (r == 0)
        r = check_digest(q, e);
    drop_transfer(q);
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
        int r = begin(q, e);
        if (r == 0)
            r = finish(q, e);
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

int registry_manifest(struct fetch *f, struct endpoint *endpoint, struct manifest *m, struct err *e) {
    struct inquiry q = {.fetch = f,
                        .endpoint = endpoint,
                        .folder = "manifests",
                        .noun = "the manifest of",
                        .accept = manifest_types,
                        .document = {.limit = MANIFEST_BYTES_MAX}};
    (void) snprintf(q.digest, sizeof(q.digest), "%s", f->request.reference.digest);
    int r = find_manifest(&q, m, e);
    if (r == 0)
        (void) snprintf(f->digest, sizeof(f->digest), "%s", q.digest);
    inquiry_end(&q);
    return r;
}

/* --- the configuration ----------------------------------------------------------------- */

int registry_config_begin(struct inquiry *q, struct fetch *f, struct endpoint *endpoint, const struct manifest *m,
                          struct err *e) {
    *q = (struct inquiry){.fetch = f,
                          .endpoint = endpoint,
                          .folder = "blobs",
                          .noun = "the configuration of",
                          .document = {.limit = CONFIG_BYTES_MAX}};
    (void) snprintf(q->digest, sizeof(q->digest), "%s", m->config.digest);
    return begin(q, e);
}

int registry_config_finish(struct inquiry *q, struct manifest *m, struct err *e) {
    int r = finish(q, e);
    if (r == 0 && (int64_t) q->document.size != m->config.size)
        r = err_set(e, EBADMSG, "the image's configuration has %zu bytes, and its manifest says %lld", q->document.size,
                    (long long) m->config.size);
    if (r == 0)
        r = config_read(q->document.text ? q->document.text : "", q->document.size, &q->fetch->request.platform, m, e);
    return r;
}

void inquiry_end(struct inquiry *q) {
    drop_transfer(q);
    free(q->document.text);
    q->document.text = NULL;
}
