/* What an image's foreign JSON documents have in common, and the image configuration:
 * read bounded (bytes, depth, number of values) and handed on in one canonical form. */
#ifndef BANGER_IMAGE_OCI_CONFIG_H
#define BANGER_IMAGE_OCI_CONFIG_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#define OCI_JSON_MAX      (4u << 20) /* bytes of one document: what registries allow */
#define OCI_CANONICAL_MAX 65536u     /* bytes of images/<id>/config.json */
#define OCI_DIGEST_BYTES  32u

/* The document as an object of the caller's (cJSON_Delete), or NULL with `e` filled. At
 * most OCI_JSON_MAX bytes, 32 levels and 50,000 values; `what` begins the sentence
 * ("The image's manifest"). Bytes after the object are an error, and so is a NUL. */
cJSON *oci_json(const char *text, size_t size, const char *what, struct err *e);
/* The same for a document that is a list. */
cJSON *oci_json_list(const char *text, size_t size, const char *what, struct err *e);

/* "sha256:" and 64 lower-case digits. 0 or -EINVAL with `e` filled. */
int oci_digest(const char *text, uint8_t out[OCI_DIGEST_BYTES], struct err *e);
/* 64 digits and a NUL. */
void oci_digest_hex(const uint8_t digest[OCI_DIGEST_BYTES], char out[2 * OCI_DIGEST_BYTES + 1]);

struct oci_config {
    char *canonical; /* {"env":[...],"workdir":"/",...}, no newline; less than OCI_CANONICAL_MAX bytes */
    char os[32], architecture[32], variant[32]; /* as it says, "" = it does not */
    uint32_t layers;                            /* at most STREAM_LAYERS_MAX; may be 0 */
    uint8_t (*diff_ids)[OCI_DIGEST_BYTES];      /* of each layer, bottom first */
};

/* Reads an image configuration (OCI or Docker: they agree in what is used). 0, or a
 * negative errno with `e` filled. Free it also after an error. */
int oci_config_read(const char *text, size_t size, struct oci_config *out, struct err *e);
void oci_config_free(struct oci_config *c);

#endif
