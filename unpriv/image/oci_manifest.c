#include "oci_manifest.h"

#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_BYTES                                                                                                 \
    ((double) ((uint64_t) 1 << 52)) /* whole numbers a double holds; 1,024 of them stay below 2^62                     \
                                     */

static const char manifest_noun[] = "The image's manifest", index_noun[] = "The image's index";

static const cJSON *member(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static int read_descriptor(const cJSON *item, struct oci_descriptor *out, const char *noun, struct err *e) {
    const cJSON *size = member(item, "size");
    const char *media = cJSON_GetStringValue(member(item, "mediaType"));
    if (!cJSON_IsObject(item) || !cJSON_IsNumber(size) || !(size->valuedouble >= 0) ||
        size->valuedouble > SIZE_MAX_BYTES)
        return err_set(e, EINVAL, "%s is damaged: an entry has no size", noun);
    if (oci_digest(cJSON_GetStringValue(member(item, "digest")), out->digest, e))
        return err_prefix(e, "%s", noun);
    out->size = (uint64_t) size->valuedouble;
    (void) snprintf(out->media, sizeof(out->media), "%s", media ? media : "");
    text_sanitize(out->media);
    out->is_index = strstr(out->media, "image.index") != NULL || strstr(out->media, "manifest.list") != NULL;
    return 0;
}

int oci_is_index(const char *text, size_t size) {
    cJSON *root = oci_json(text, size, index_noun, NULL);
    int is = cJSON_IsArray(member(root, "manifests"));
    cJSON_Delete(root);
    return is;
}

/* Layers that cannot be unpacked by anybody without more than the image. */
static int check_layer(const struct oci_descriptor *layer, struct err *e) {
    if (strstr(layer->media, "encrypted"))
        return err_set(e, EOPNOTSUPP, "The image's layers are encrypted; use one that is not");
    if (strstr(layer->media, ".foreign.") || strstr(layer->media, "windows"))
        return err_set(e, EOPNOTSUPP, "The image is for Windows; use one for Linux");
    return 0;
}

static int read_manifest(const cJSON *root, struct oci_manifest *out, struct err *e) {
    const cJSON *list = member(root, "layers"), *item = NULL;
    if (member(root, "fsLayers"))
        return err_set(e, EOPNOTSUPP, "%s is of Docker's old kind (schema 1); push the image again with a newer tool",
                       manifest_noun);
    if (!cJSON_IsArray(list))
        return err_set(e, EINVAL, "%s is damaged: it has no list of layers", manifest_noun);
    int count = cJSON_GetArraySize(list);
    if (count > (int) STREAM_LAYERS_MAX)
        return err_set(e, EFBIG, "The image has more than %u layers; squash it first", STREAM_LAYERS_MAX);
    int r = read_descriptor(member(root, "config"), &out->config, manifest_noun, e);
    if (r)
        return r;
    out->layers = calloc(count ? (size_t) count : 1, sizeof(*out->layers));
    if (!out->layers)
        return err_set(e, ENOMEM, "There is not enough memory for the image's layers; free some and try again");
    cJSON_ArrayForEach(item, list) {
        struct oci_descriptor *layer = &out->layers[out->count++];
        r = read_descriptor(item, layer, manifest_noun, e);
        if (r == 0)
            r = check_layer(layer, e);
        if (r)
            return r;
    }
    return 0;
}

int oci_manifest_read(const char *text, size_t size, struct oci_manifest *out, struct err *e) {
    memset(out, 0, sizeof(*out));
    cJSON *root = oci_json(text, size, manifest_noun, e);
    if (!root)
        return -EINVAL;
    int r = read_manifest(root, out, e);
    cJSON_Delete(root);
    return r;
}

void oci_manifest_free(struct oci_manifest *m) {
    free(m->layers);
    memset(m, 0, sizeof(*m));
}

int oci_tag_fits(const char *name, const char *tag) {
    size_t whole = strlen(name), part = strlen(tag);
    if (part > whole || strcmp(name + whole - part, tag) != 0)
        return 0;
    return part == whole || name[whole - part - 1] == ':' || name[whole - part - 1] == '/';
}

static int fits_part(const char **wanted, const char *got) {
    size_t size = strcspn(*wanted, "/");
    int fits = strlen(got) == size && strncmp(*wanted, got, size) == 0;
    *wanted += size;
    *wanted += **wanted == '/';
    return fits;
}

/* What a document does not say fits; so does any variant where none is asked for. */
static int platform_fits(const char *platform, const char *os, const char *architecture, const char *variant) {
    const char *wanted = platform[0] ? platform : OCI_PLATFORM_DEFAULT;
    int fits = fits_part(&wanted, os) || !os[0];
    fits &= fits_part(&wanted, architecture) || !architecture[0];
    return fits && (!wanted[0] || !variant[0] || strcmp(wanted, variant) == 0);
}

int oci_platform_check(const struct oci_config *c, const char *platform, struct err *e) {
    if (platform_fits(platform, c->os, c->architecture, c->variant))
        return 0;
    return err_set(e, EINVAL, "The image is for %s/%s, not for %s; ask for it with --platform, or use another image",
                   c->os, c->architecture, platform[0] ? platform : OCI_PLATFORM_DEFAULT);
}

static const char *word(const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(member(object, key));
    return text ? text : "";
}

/* The entry's name in a layout, "" where it has none. */
static const char *name_of(const cJSON *item) {
    const cJSON *notes = member(item, "annotations");
    const char *whole = word(notes, "io.containerd.image.name");
    return whole[0] ? whole : word(notes, "org.opencontainers.image.ref.name");
}

static int has_tag(const cJSON *item, const char *tag) {
    const cJSON *notes = member(item, "annotations");
    return !tag[0] || oci_tag_fits(word(notes, "io.containerd.image.name"), tag) ||
           oci_tag_fits(word(notes, "org.opencontainers.image.ref.name"), tag);
}

/* Attestations and signatures lie in indexes as manifests for "unknown/unknown". */
static int is_usable(const cJSON *item, const char *platform, const char *tag) {
    const cJSON *p = member(item, "platform");
    return has_tag(item, tag) && platform_fits(platform, word(p, "os"), word(p, "architecture"), word(p, "variant"));
}

static int none_fits(const cJSON *list, const char *platform, const char *tag, struct err *e) {
    char there[256] = "";
    const cJSON *item = NULL;
    size_t used = 0;
    cJSON_ArrayForEach(item, list) {
        const cJSON *p = member(item, "platform");
        const char *name = name_of(item);
        int n = snprintf(there + used, sizeof(there) - used, "%s%.80s%s%.20s%s%.20s", used ? ", " : "", name,
                         name[0] && p ? " " : "", word(p, "os"), p ? "/" : "", word(p, "architecture"));
        if (n < 0 || (size_t) n >= sizeof(there) - used)
            break;
        used += (size_t) n;
    }
    there[used] = '\0';
    return err_set(e, ENOENT, "There is no image%s%s for %s; there is: %s", tag[0] ? " " : "", tag,
                   platform[0] ? platform : OCI_PLATFORM_DEFAULT, there[0] ? there : "nothing");
}

static int pick(const cJSON *list, const char *platform, const char *tag, struct oci_descriptor *out, struct err *e) {
    const cJSON *item = NULL;
    int found = 0;
    cJSON_ArrayForEach(item, list) {
        struct oci_descriptor one = {0};
        if (!is_usable(item, platform, tag))
            continue;
        int r = read_descriptor(item, &one, index_noun, e);
        if (r)
            return r;
        if (found && memcmp(one.digest, out->digest, sizeof(one.digest)) != 0) {
            if (tag[0] || !name_of(item)[0])
                continue; /* a variant of the same: the first is the better one */
            return err_set(e, EINVAL, "There are several images, among them %.80s; name one with --tag", name_of(item));
        }
        if (!found)
            *out = one;
        found = 1;
    }
    return found ? 0 : none_fits(list, platform, tag, e);
}

int oci_index_pick(const char *text, size_t size, const char *platform, const char *tag, struct oci_descriptor *out,
                   struct err *e) {
    memset(out, 0, sizeof(*out));
    cJSON *root = oci_json(text, size, index_noun, e);
    if (!root)
        return -EINVAL;
    const cJSON *list = member(root, "manifests");
    int r = cJSON_IsArray(list) ? pick(list, platform, tag, out, e)
                                : err_set(e, EINVAL, "%s is damaged: it has no list of manifests", index_noun);
    cJSON_Delete(root);
    return r;
}
