#include "pull.h"

#include "../../common/cleanup.h"
#include "../../common/json.h"
#include "../store/copy.h"
#include "fetcher.h"
#include "images.h"
#include "reference.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LIMIT    ((int64_t) 64 << 30) /* bytes of all layers as the registry has them */
#define PATIENCE 30                   /* seconds without progress */
#define MIRRORS  8
#define KNOWN    128 /* images that banger-fetch is told of */

struct pull {
    struct reference reference;
    cJSON *request; /* of banger-fetch */
    int64_t size;
    struct image_record earlier; /* of this reference, under this name; without an id: none */
};

/* One place to look at: only what banger-fetch knows is handed on. */
static int take_endpoint(const cJSON *item, cJSON *out, struct err *e) {
    static const char *const texts[] = {"host", "username", "password", "token"};
    cJSON *endpoint = cJSON_CreateObject();
    (void) cJSON_AddItemToArray(out, endpoint);
    if (!cJSON_IsObject(item))
        return err_set(e, EINVAL, "\"endpoints\" must be a list of objects");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *text = i ? json_string_or(item, texts[i], "", e) : json_string(item, texts[i], e);
        if (!text)
            return -EINVAL;
        if (i == 0 && !reference_is_host(text))
            return err_set(e, EINVAL, "\"%.80s\" is no registry's host: give one as in registry.example:5000", text);
        if (text[0])
            (void) cJSON_AddStringToObject(endpoint, texts[i], text);
    }
    (void) cJSON_AddBoolToObject(endpoint, "insecure", json_true(item, "insecure"));
    return 0;
}

static int take_endpoints(const cJSON *args, cJSON *request, struct err *e) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(args, "endpoints");
    cJSON *out = cJSON_AddArrayToObject(request, "endpoints");
    const cJSON *item = NULL;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1 || cJSON_GetArraySize(list) > MIRRORS)
        return err_set(e, EINVAL, "\"endpoints\" must name 1 to %d registries", MIRRORS);
    cJSON_ArrayForEach(item, list) {
        if (take_endpoint(item, out, e))
            return -EINVAL;
    }
    return 0;
}

static int take_arguments(const struct rpc *rpc, struct pull *pull, struct image_record *r, struct err *e) {
    char text[REFERENCE_TEXT_MAX];
    struct platform platform;
    struct stat st;
    const char *reference = json_string(rpc->args, "reference", e);
    const char *wanted = reference ? json_string_or(rpc->args, "platform", "", e) : NULL;
    if (!reference || !wanted || image_arguments(rpc, r, &pull->size, e) ||
        reference_parse(reference, &pull->reference, e) || platform_parse(wanted, &platform, e) ||
        take_endpoints(rpc->args, pull->request, e) || fetcher_take_proxies(rpc->args, pull->request, e))
        return -EINVAL;
    if (rpc->fd_count != 1 || fstat(rpc->fds[0], &st) || !S_ISDIR(st.st_mode))
        return err_set(e, EINVAL, "image.pull takes one descriptor, the blob cache's folder");
    (void) reference_text(&pull->reference, text);
    if (strlen(text) >= sizeof(r->source))
        return err_set(e, EINVAL, "the reference is longer than %zu bytes", sizeof(r->source) - 1);
    (void) snprintf(r->source, sizeof(r->source), "%s", text);
    (void) snprintf(r->kind, sizeof(r->kind), "oci");
    (void) cJSON_AddStringToObject(pull->request, "mode", "image");
    (void) cJSON_AddStringToObject(pull->request, "reference", text);
    (void) cJSON_AddStringToObject(pull->request, "platform", wanted);
    (void) cJSON_AddNumberToObject(pull->request, "limit", (double) LIMIT);
    (void) cJSON_AddNumberToObject(pull->request, "patience", PATIENCE);
    return 0;
}

/* A name that was pulled by this reference is pulled again; what is not given stays as it was. */
static int find_earlier(struct pull *pull, struct image_record *r, struct err *e) {
    struct image_record *earlier = &pull->earlier;
    struct err why = {0};
    int failed = store_image_get(r->name, earlier, &why);
    if (failed && failed != -ENOENT)
        *e = why;
    if (failed || strcmp(earlier->name, r->name) != 0 || strcmp(earlier->kind, r->kind) != 0 ||
        strcmp(earlier->source, r->source) != 0) {
        *earlier = (struct image_record){0};
        return failed == -ENOENT ? 0 : failed;
    }
    pull->size = pull->size ? pull->size : earlier->asked;
    if (!r->kernel[0])
        memcpy(r->kernel, earlier->kernel, sizeof(r->kernel));
    return 0;
}

/* --- an image that is here already --------------------------------------------------- */

/* The images whose bytes are those that a pull of their manifest would give. Whose manifest an image is of was said by
 * the banger-fetch that got it: one that another registry had taken over is not believed of this one's images. */
struct known {
    const char *host;
    int64_t size;       /* as asked for */
    cJSON *digests;     /* all of them are added, or NULL */
    const char *digest; /* this one is looked for, or NULL */
    struct image_record found;
};

static int is_of_host(const struct image_record *r, const char *host) {
    const size_t size = strlen(host);
    return strncmp(r->source, host, size) == 0 && r->source[size] == '/';
}

static void look_at(const struct image_record *r, void *arg) {
    struct known *known = arg;
    if (!r->digest[0] || !image_is_own(r) || !is_of_host(r, known->host) ||
        (r->asked != known->size && r->size != known->size))
        return;
    if (known->digests && cJSON_GetArraySize(known->digests) < KNOWN)
        (void) cJSON_AddItemToArray(known->digests, cJSON_CreateString(r->digest));
    if (known->digest && strcmp(r->digest, known->digest) == 0)
        known->found = *r;
}

static void copied(void *arg, int64_t done, int64_t total) {
    rpc_progress(arg, "import", "copying", done, total + 1); /* not done before it is on the disk */
}

static int cancelled(void *arg) {
    return rpc_gone(arg);
}

/* The same manifest gives the same bytes: they are copied, or shared where the file system can. */
static int copy_known(const struct rpc *rpc, const struct pull *pull, const char *digest, int to,
                      struct import_result *got, struct err *e) {
    struct known known = {.host = pull->reference.host, .size = pull->size, .digest = digest};
    struct copy_how how = {.progress = copied, .cancelled = cancelled, .arg = (void *) rpc};
    char path[64];
    int failed = store_images(look_at, &known, e);
    if (failed)
        return failed;
    cleanup_fd int images = images_open(e);
    if (images < 0)
        return images;
    (void) snprintf(path, sizeof(path), "%s/rootfs.ext4", known.found.id);
    /* Without one the path would lead to the top of the host's files. */
    cleanup_fd int from = known.found.id[0] ? openat(images, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (from < 0)
        return err_set(e, ENOENT, "the image with the same manifest was deleted meanwhile: pull again");
    *got = (struct import_result){.size = known.found.size, .used = known.found.used};
    return copy_disk(from, to, &how, e);
}

static int is_unchanged(const struct pull *pull, const char *digest) {
    const struct image_record *earlier = &pull->earlier;
    return strcmp(earlier->digest, digest) == 0 && (earlier->asked == pull->size || earlier->size == pull->size);
}

/* -EALREADY, and no sentence: the registry has what the earlier one is. */
static int fill(const struct rpc *rpc, const struct image_files *files, struct image_record *r, void *arg,
                struct import_result *got, struct err *e) {
    const struct pull *pull = arg;
    struct fetch_result fetched;
    struct known known = {
        .host = pull->reference.host, .size = pull->size, .digests = cJSON_AddArrayToObject(pull->request, "known")};
    const struct fetch_job job = {.request = pull->request,
                                  .may_be_known = 1,
                                  .cache = rpc->fds[0],
                                  .config = files->config,
                                  .plan = {.mode = IMPORT_LAYERS, .size = (uint64_t) pull->size},
                                  .outputs = {files->rootfs},
                                  .output_count = 1};
    rpc_progress(rpc, "pull", "asking", 0, 0);
    int failed = store_images(look_at, &known, e);
    if (failed == 0)
        failed = fetcher_run(rpc, &job, &fetched, got, e);
    if (failed == 0 && fetched.known && is_unchanged(pull, fetched.digest))
        return -EALREADY;
    if (failed == 0 && fetched.known)
        failed = copy_known(rpc, pull, fetched.digest, files->rootfs, got, e);
    (void) snprintf(r->digest, sizeof(r->digest), "%s", failed ? "" : fetched.digest);
    r->asked = pull->size;
    return failed;
}

static int keep_earlier(const struct image_record *r, struct image_record *earlier, cJSON **result, struct err *e) {
    int failed = 0;
    if (strcmp(earlier->kernel, r->kernel) != 0) {
        memcpy(earlier->kernel, r->kernel, sizeof(earlier->kernel));
        failed = store_image_update(earlier, e);
    }
    *result = failed ? NULL : image_json(earlier);
    (void) cJSON_AddBoolToObject(*result, "unchanged", 1);
    return failed;
}

int pull_op(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r = {0};
    struct pull pull = {.request = cJSON_CreateObject()};
    int failed = take_arguments(rpc, &pull, &r, e);
    if (failed == 0)
        failed = find_earlier(&pull, &r, e);
    if (failed == 0)
        failed = image_create(rpc, &r, pull.earlier.id[0] ? &pull.earlier : NULL, fill, &pull, result, e);
    if (failed == -EALREADY)
        failed = keep_earlier(&r, &pull.earlier, result, e);
    cJSON_Delete(pull.request);
    return failed;
}
