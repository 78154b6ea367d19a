/* Manifests and indexes of images: OCI's and Docker's (schema 2), which agree in what is used. */
#ifndef BANGER_IMAGE_OCI_MANIFEST_H
#define BANGER_IMAGE_OCI_MANIFEST_H

#include "oci_config.h"

#define OCI_PLATFORM_DEFAULT "linux/amd64"
#define OCI_INDEX_DEPTH      4 /* indexes that lead to indexes: read at most so many */

struct oci_descriptor {
    uint8_t digest[OCI_DIGEST_BYTES];
    uint64_t size;   /* bytes of the blob */
    int is_index;    /* its media type says that it is one */
    char media[128]; /* control bytes replaced; "" = not said */
};

struct oci_manifest {
    struct oci_descriptor config;
    uint32_t count;                /* of layers, at most STREAM_LAYERS_MAX */
    struct oci_descriptor *layers; /* bottom first */
};

/* Whether the document is an index (a list of manifests) and not a manifest: by its members, not its media type. */
int oci_is_index(const char *text, size_t size);

/* 0, or a negative errno with `e` filled. Free it also after an error. Sizes sum up to less than 2^62. */
int oci_manifest_read(const char *text, size_t size, struct oci_manifest *out, struct err *e);
void oci_manifest_free(struct oci_manifest *m);

/* The one manifest of an index for `platform` ("os/arch" or "os/arch/variant"; "" =
 * OCI_PLATFORM_DEFAULT) and, where `tag` is not "", of that name (a layout's: the annotation
 * org.opencontainers.image.ref.name or io.containerd.image.name). Entries without a platform fit any.
 * None, or several of different digest: an error that lists what there is. */
int oci_index_pick(const char *text, size_t size, const char *platform, const char *tag, struct oci_descriptor *out,
                   struct err *e);

/* Whether a name as "docker.io/library/debian:12" is meant by `tag` ("12", "debian:12" or the whole). */
int oci_tag_fits(const char *name, const char *tag);

/* Whether a configuration is for the platform (as above); what it does not say fits. 0 or -EINVAL with `e` filled. */
int oci_platform_check(const struct oci_config *c, const char *platform, struct err *e);

#endif
