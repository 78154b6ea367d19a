#include "load.h"

#include "../../../common/io.h"
#include "../oci_manifest.h"
#include "decode.h"
#include "disk.h"
#include "files.h"
#include "sha256.h"
#include "volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOB_NAME    128
#define UNPACK_PIECE ((size_t) 1 << 20)

struct load {
    struct blobs blobs;
    const struct import_plan *plan;
    struct files *files;
    struct oci_config config;
    struct oci_manifest manifest; /* of a layout */
    char **names;                 /* of the layers' files, of docker save */
    uint32_t next;                /* layer */
};

static void blob_name(const uint8_t digest[OCI_DIGEST_BYTES], char out[BLOB_NAME]) {
    char hex[2 * OCI_DIGEST_BYTES + 1];
    oci_digest_hex(digest, hex);
    (void) snprintf(out, BLOB_NAME, "blobs/sha256/%s", hex);
}

static int check_digest(const char *name, const char *text, size_t size, const uint8_t wanted[OCI_DIGEST_BYTES],
                        struct err *e) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX hash; /* the call that does it at once goes through providers */
    (void) SHA256_Init(&hash);
    (void) SHA256_Update(&hash, text, size);
    (void) SHA256_Final(digest, &hash);
    if (memcmp(digest, wanted, sizeof(digest)) == 0)
        return 0;
    return err_set(e, EBADMSG,
                   "\"%.200s\" of the image does not have the digest of its name; it is damaged, or somebody "
                   "changed it",
                   name);
}

/* A document of a layout, or NULL with `e` filled. */
static char *read_blob(struct load *l, const struct oci_descriptor *d, size_t *size, struct err *e) {
    char name[BLOB_NAME];
    blob_name(d->digest, name);
    char *text = files_text(l->files, name, size, e);
    if (!text || (*size == d->size && check_digest(name, text, *size, d->digest, e) == 0))
        return text;
    if (*size != d->size)
        (void) err_set(e, EBADMSG, "\"%s\" of the image is not as long as the image says; it is damaged", name);
    free(text);
    return NULL;
}

static int take_config(struct load *l, const char *text, size_t size, struct err *e) {
    int r = oci_config_read(text, size, &l->config, e);
    return r ? r : oci_platform_check(&l->config, l->plan->platform, e);
}

/* --- an OCI layout ------------------------------------------------------------------ */

/* From index.json through further indexes to the manifest's text. */
static char *find_manifest(struct load *l, size_t *size, struct err *e) {
    const char *tag = l->plan->tag;
    char *text = files_text(l->files, "index.json", size, e);
    for (int depth = 0; text && (depth == 0 || oci_is_index(text, *size)); depth++) {
        struct oci_descriptor d;
        int r = depth < OCI_INDEX_DEPTH
                    ? oci_index_pick(text, *size, l->plan->platform, tag, &d, e)
                    : err_set(e, ELOOP, "The image's indexes lead to more than %d others", OCI_INDEX_DEPTH);
        free(text);
        text = r ? NULL : read_blob(l, &d, size, e);
        tag = "";
    }
    return text;
}

static int read_layout(struct load *l, struct err *e) {
    size_t size = 0;
    char *text = find_manifest(l, &size, e);
    int r = text ? oci_manifest_read(text, size, &l->manifest, e) : -e->code;
    free(text);
    if (r)
        return r;
    text = read_blob(l, &l->manifest.config, &size, e);
    r = text ? take_config(l, text, size, e) : -e->code;
    free(text);
    if (r == 0 && l->manifest.count != l->config.layers)
        r = err_set(e, EINVAL, "The image's manifest has %u layers, its configuration %u; it is damaged",
                    l->manifest.count, l->config.layers);
    return r;
}

/* --- docker save --------------------------------------------------------------------- */

static int tag_fits(const cJSON *image, const char *tag) {
    const cJSON *name = NULL;
    cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(image, "RepoTags")) {
        if (cJSON_IsString(name) && oci_tag_fits(name->valuestring, tag))
            return 1;
    }
    return !tag[0];
}

static const cJSON *pick_image(const cJSON *list, const char *tag, struct err *e) {
    const cJSON *image = NULL, *found = NULL;
    cJSON_ArrayForEach(image, list) {
        if (!tag_fits(image, tag))
            continue;
        if (found) {
            (void) err_set(e, EINVAL, "There are several images in the archive; name one with --tag");
            return NULL;
        }
        found = image;
    }
    if (!found)
        (void) err_set(e, ENOENT, "There is no image%s%s in the archive", tag[0] ? " " : "", tag);
    return found;
}

/* Its name is its digest, in both styles: "<64 digits>.json" and "blobs/sha256/<64 digits>". */
static int check_config_name(const char *name, const char *text, size_t size, struct err *e) {
    uint8_t digest[OCI_DIGEST_BYTES];
    struct err unused = {0};
    char word[80];
    const char *slash = strrchr(name, '/');
    (void) snprintf(word, sizeof(word), "sha256:%.*s", 64, slash ? slash + 1 : name);
    return oci_digest(word, digest, &unused) ? 0 : check_digest(name, text, size, digest, e);
}

static int take_layers(struct load *l, const cJSON *image, struct err *e) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(image, "Layers"), *name = NULL;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != (int) l->config.layers)
        return err_set(e, EINVAL,
                       "The archive's manifest.json has %d layers, the image's configuration %u; it is damaged",
                       cJSON_GetArraySize(list), l->config.layers);
    char **next = l->names = calloc((size_t) l->config.layers + 1, sizeof(*l->names));
    if (!next)
        return err_set(e, ENOMEM, "There is not enough memory for the image's layers; free some and try again");
    cJSON_ArrayForEach(name, list) {
        if (!cJSON_IsString(name))
            return err_set(e, EINVAL, "The archive's manifest.json is damaged: a layer has no name");
        *next++ = strdup(name->valuestring);
    }
    return 0;
}

static int read_image(struct load *l, const cJSON *image, struct err *e) {
    size_t size = 0;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(image, "Config"));
    if (!name)
        return err_set(e, EINVAL, "The archive's manifest.json is damaged: it names no configuration");
    char *text = files_text(l->files, name, &size, e);
    int r = text ? check_config_name(name, text, size, e) : -e->code;
    if (r == 0)
        r = take_config(l, text, size, e);
    free(text);
    return r ? r : take_layers(l, image, e);
}

static int read_saved(struct load *l, struct err *e) {
    size_t size = 0;
    char *text = files_text(l->files, "manifest.json", &size, e);
    cJSON *list = text ? oci_json_list(text, size, "The archive's manifest.json", e) : NULL;
    free(text);
    const cJSON *image = list ? pick_image(list, l->plan->tag, e) : NULL;
    int r = image ? read_image(l, image, e) : -e->code;
    cJSON_Delete(list);
    return r;
}

/* --- layers -------------------------------------------------------------------------- */

static int next_layer(struct blobs *b, struct blob *out, struct err *e) {
    struct load *l = (struct load *) b;
    char name[BLOB_NAME];
    uint32_t i = l->next;
    if (i == l->config.layers)
        return 0;
    *out = (struct blob){.has_diff_id = 1};
    memcpy(out->diff_id, l->config.diff_ids[i], sizeof(out->diff_id));
    if (!l->names) {
        blob_name(l->manifest.layers[i].digest, name);
        memcpy(out->digest, l->manifest.layers[i].digest, sizeof(out->digest));
        out->has_digest = 1;
    }
    const char *file = l->names ? l->names[i] : name;
    int r = file ? files_begin(l->files, file, &out->size, e)
                 : err_set(e, ENOMEM, "There is not enough memory for the image's layers; free some and try again");
    if (r == 0 && !l->names)
        out->size = l->manifest.layers[i].size;
    l->next++;
    return r ? r : 1;
}

static ssize_t read_layer(struct blobs *b, void *out, size_t size, struct err *e) {
    return files_read(((struct load *) b)->files, out, size, e);
}

static int read_documents(struct load *l, struct err *e) {
    if (files_has(l->files, "index.json"))
        return read_layout(l, e);
    if (files_has(l->files, "manifest.json"))
        return read_saved(l, e);
    return err_set(e, EINVAL, "It is no saved image: it has neither index.json (OCI) nor manifest.json (docker save)");
}

static void free_load(struct load *l) {
    for (uint32_t i = 0; l->names && i < l->config.layers; i++)
        free(l->names[i]);
    free(l->names);
    oci_manifest_free(&l->manifest);
    oci_config_free(&l->config);
    files_close(l->files);
}

/* --- an archive packed as a whole ----------------------------------------------------- */

static int is_packed(int fd) {
    static const uint8_t gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    uint8_t head[4] = {0};
    ssize_t n = pread(fd, head, sizeof(head), 0); /* of a folder none */
    return n == (ssize_t) sizeof(head) &&
           (memcmp(head, gzip, sizeof(gzip)) == 0 || memcmp(head, zstd, sizeof(zstd)) == 0);
}

static int copy_unpacked(struct decoder *d, uint8_t *piece, int to, uint64_t limit, struct err *e) {
    for (uint64_t at = 0;;) {
        ssize_t n = decoder_read(d, piece, UNPACK_PIECE, e);
        if (n < 0)
            return (int) n;
        if (n == 0)
            return ftruncate(to, (off_t) at) ? err_sys(e, errno, "The archive cannot be unpacked") : 0;
        if (at + (uint64_t) n > limit)
            return err_set(e, EFBIG,
                           "The archive unpacks to more than the %llu MiB that are allowed; use a smaller one",
                           (unsigned long long) (limit >> 20));
        int is_zero = piece[0] == 0 && memcmp(piece, piece + 1, (size_t) n - 1) == 0;
        int r = is_zero ? 0 : volume_pwrite(to, piece, (size_t) n, at, e);
        if (r)
            return r;
        at += (uint64_t) n;
        import_progress(decoder_packed(d), 0);
    }
}

/* Its files are read more than once and in another order than they come in. */
static int unpack(int from, int to, uint64_t limit, struct err *e) {
    struct blobs_file source;
    const struct blob blob = {.size = BLOB_TO_THE_END};
    struct decoder *d = decoder_new();
    uint8_t *piece = malloc(UNPACK_PIECE);
    int r = 0;
    blobs_file(&source, from);
    if (!d || !piece)
        r = err_set(e, ENOMEM, "There is not enough memory to unpack the archive; free some and try again");
    else if ((r = decoder_begin(d, &source.blobs, &blob, e)) == 0)
        r = copy_unpacked(d, piece, to, limit, e);
    decoder_free(d);
    free(piece);
    return r;
}

int load_image(const struct import_plan *plan, int in, int out, int config, int scratch, struct import_report *report,
               struct err *e) {
    struct load l = {.blobs = {.next = next_layer, .read = read_layer}, .plan = plan};
    if (is_packed(in)) {
        int failed = unpack(in, scratch, import_limit(plan), e);
        if (failed)
            return failed;
        in = scratch;
    }
    if (memchr(plan->tag, '\0', sizeof(plan->tag)) == NULL ||
        memchr(plan->platform, '\0', sizeof(plan->platform)) == NULL)
        return err_set(e, EINVAL, "The importer's plan is not one of this version; install banger again");
    l.files = files_open(in, e);
    int r = l.files ? read_documents(&l, e) : -e->code;
    if (r == 0 && l.config.canonical) {
        r = io_write(config, l.config.canonical, strlen(l.config.canonical));
        r = r ? err_sys(e, -r, "The image's configuration cannot be written")
              : disk_layers(plan, &l.blobs, out, report, e);
    }
    free_load(&l);
    return r;
}
