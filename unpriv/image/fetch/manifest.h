/* The JSON documents of a registry: what banger-fetch asks of them beyond what every
 * reader of images does (oci_manifest.h, oci_config.h). Pure. */
#ifndef BANGER_IMAGE_FETCH_MANIFEST_H
#define BANGER_IMAGE_FETCH_MANIFEST_H

#include "../../../common/err.h"
#include "../reference.h"
#include "../stream.h"

#include <stddef.h>
#include <stdint.h>

#define MANIFEST_BYTES_MAX ((size_t) 4 << 20)
#define CONFIG_BYTES_MAX   ((size_t) 1 << 20)
#define MEDIA_TYPE_MAX     128

struct descriptor {
    char digest[DIGEST_TEXT_MAX];
    char media_type[MEDIA_TYPE_MAX];
    int64_t size;
};

enum document_kind { DOCUMENT_INDEX, DOCUMENT_MANIFEST };

/* What the text is: by its own mediaType, else by `content_type` (of the answer), else by its
 * members. -EBADMSG or -EPROTONOSUPPORT with a sentence for all else. */
int document_kind(const char *text, size_t size, const char *content_type, enum document_kind *out, struct err *e);

/* The manifest for the platform; when there is none the sentence says which there are. */
int index_choose(const char *text, size_t size, const struct platform *wanted, struct descriptor *out, struct err *e);

struct manifest {
    struct descriptor config;
    struct descriptor *layers; /* freed by manifest_free */
    size_t count;              /* 1 to STREAM_LAYERS_MAX */
    uint8_t (*diff_ids)[32];   /* count of them, once config_read was called */
    char *canonical;           /* the run configuration as the engine reads it, with its NUL */
};

/* Of all the layers at most `limit` bytes. */
int manifest_read(const char *text, size_t size, int64_t limit, struct manifest *out, struct err *e);

/* The configuration that belongs to `m`: diff_ids and the canonical run configuration; refuses one for
 * another platform. */
int config_read(const char *text, size_t size, const struct platform *wanted, struct manifest *m, struct err *e);

void manifest_free(struct manifest *m);

#endif
