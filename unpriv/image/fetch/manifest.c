#include "manifest.h"

#include "../../../common/json.h"
#include "../oci_manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *type;
    enum document_kind kind;
} kinds[] = {
    {"application/vnd.oci.image.index.v1+json", DOCUMENT_INDEX},
    {"application/vnd.docker.distribution.manifest.list.v2+json", DOCUMENT_INDEX},
    {"application/vnd.oci.image.manifest.v1+json", DOCUMENT_MANIFEST},
    {"application/vnd.docker.distribution.manifest.v2+json", DOCUMENT_MANIFEST},
};

static const char *const layer_types[] = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
};
static const char *const config_types[] = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
};

static int is_one_of(const char *const *types, size_t count, const char *type) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(types[i], type) == 0)
            return 1;
    }
    return 0;
}

/* --- which document -------------------------------------------------------------- */

/* A media type without its parameters ("; charset=utf-8"). */
static int kind_of_type(const char *type, enum document_kind *out) {
    const size_t length = strcspn(type, "; \t");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strncmp(kinds[i].type, type, length) == 0 && !kinds[i].type[length]) {
            *out = kinds[i].kind;
            return 1;
        }
    }
    return 0;
}

static int kind_of(const cJSON *object, const char *content_type, enum document_kind *out, struct err *e) {
    const int has_layers = cJSON_HasObjectItem(object, "layers");
    const int has_manifests = cJSON_HasObjectItem(object, "manifests");
    int64_t version = 2;
    const char *type = json_string_or(object, "mediaType", "", e);
    if (!type || json_integer_or(object, "schemaVersion", 1, 2, &version, e))
        return err_prefix(e, "The image's manifest is damaged");
    if (version == 1 || strstr(content_type, "distribution.manifest.v1+"))
        return err_set(
            e, EPROTONOSUPPORT,
            "The image has only a manifest of the old schema 1; push it again with a newer docker or skopeo");
    if (has_layers && has_manifests) /* two readers would see two images */
        return err_set(e, EBADMSG, "The image's manifest is damaged: it has both layers and manifests");
    if (type[0]) {
        if (!kind_of_type(type, out))
            return err_set(e, EPROTONOSUPPORT, "The manifest's media type is %.100s, which is no image's", type);
    } else if (!kind_of_type(content_type, out)) {
        if (!has_layers && !has_manifests)
            return err_set(e, EPROTONOSUPPORT, "What the registry has there is no image's manifest (its type: %.60s)",
                           content_type[0] ? content_type : "not given");
        *out = has_manifests ? DOCUMENT_INDEX : DOCUMENT_MANIFEST;
    }
    if (*out == DOCUMENT_INDEX ? has_layers : has_manifests)
        return err_set(e, EBADMSG, "The image's manifest is damaged: its media type and its members are at odds");
    return 0;
}

int document_kind(const char *text, size_t size, const char *content_type, enum document_kind *out, struct err *e) {
    cJSON *object = oci_json(text, size, "The image's manifest", e);
    if (!object)
        return -e->code;
    int r = kind_of(object, content_type, out, e);
    cJSON_Delete(object);
    return r;
}

/* --- index and manifest -------------------------------------------------------------- */

static void take_descriptor(const struct oci_descriptor *from, struct descriptor *out) {
    (void) snprintf(out->digest, sizeof(out->digest), "sha256:");
    oci_digest_hex(from->digest, out->digest + strlen("sha256:"));
    (void) snprintf(out->media_type, sizeof(out->media_type), "%s", from->media);
    out->size = (int64_t) from->size;
}

static void platform_text(const struct platform *p, char out[64]) {
    (void) snprintf(out, 64, "%s/%s%s%s", p->os, p->architecture, p->variant[0] ? "/" : "", p->variant);
}

int index_choose(const char *text, size_t size, const struct platform *wanted, struct descriptor *out, struct err *e) {
    char platform[64];
    struct oci_descriptor picked;
    platform_text(wanted, platform);
    int r = oci_index_pick(text, size, platform, "", &picked, e);
    if (r == 0)
        take_descriptor(&picked, out);
    return r;
}

static int check_layer(const struct descriptor *layer, size_t number, struct err *e) {
    if (is_one_of(layer_types, COUNT(layer_types), layer->media_type))
        return 0;
    if (strstr(layer->media_type, "nondistributable"))
        return err_set(e, EPROTONOSUPPORT,
                       "Layer %zu is of the type %s, which registries do not hand out; such an image cannot be pulled",
                       number, layer->media_type);
    return err_set(e, EPROTONOSUPPORT, "Layer %zu is of the type \"%s\", which is no layer that banger knows", number,
                   layer->media_type);
}

static int take_manifest(const struct oci_manifest *from, int64_t limit, struct manifest *out, struct err *e) {
    int64_t total = 0;
    take_descriptor(&from->config, &out->config);
    if (!is_one_of(config_types, COUNT(config_types), out->config.media_type))
        return err_set(e, EPROTONOSUPPORT,
                       "What the registry has there is no container image: its configuration is of the type \"%s\"",
                       out->config.media_type);
    if (out->config.size > (int64_t) CONFIG_BYTES_MAX)
        return err_set(e, EFBIG, "The image's configuration is larger than 1 MiB");
    if (from->count == 0)
        return err_set(e, EBADMSG, "The image's manifest is damaged: it has no layer");
    out->layers = calloc(from->count, sizeof(*out->layers));
    if (!out->layers)
        return err_set(e, ENOMEM, "There is not enough memory; free some and try again");
    for (size_t i = 0; i < from->count; i++) {
        struct descriptor *layer = &out->layers[out->count++];
        take_descriptor(&from->layers[i], layer);
        if (check_layer(layer, i + 1, e))
            return -e->code;
        total += layer->size < limit ? layer->size : limit; /* a sum of 1,024 cannot overflow */
        if (layer->size > limit || total > limit)
            return err_set(e, EFBIG, "The image's layers are larger than %lld MiB, more than a pull takes in",
                           (long long) (limit >> 20));
    }
    return 0;
}

int manifest_read(const char *text, size_t size, int64_t limit, struct manifest *out, struct err *e) {
    struct oci_manifest read;
    memset(out, 0, sizeof(*out));
    int r = oci_manifest_read(text, size, &read, e);
    if (r == 0)
        r = take_manifest(&read, limit, out, e);
    oci_manifest_free(&read);
    if (r)
        manifest_free(out);
    return r;
}

int config_read(const char *text, size_t size, const struct platform *wanted, struct manifest *m, struct err *e) {
    char platform[64];
    struct oci_config config;
    platform_text(wanted, platform);
    int r = oci_config_read(text, size, &config, e);
    if (r == 0)
        r = oci_platform_check(&config, platform, e);
    if (r == 0 && config.layers != m->count)
        r = err_set(e, EBADMSG, "The image's configuration is damaged: it has %u diff_ids for %zu layers",
                    config.layers, m->count);
    if (r == 0) {
        m->diff_ids = config.diff_ids;
        m->canonical = config.canonical;
        config.diff_ids = NULL;
        config.canonical = NULL;
    }
    oci_config_free(&config);
    return r;
}

void manifest_free(struct manifest *m) {
    free(m->layers);
    free(m->diff_ids);
    free(m->canonical);
    *m = (struct manifest){0};
}
