#include "pull.h"

#include "../../common/json.h"
#include "fetcher.h"
#include "images.h"
#include "reference.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LIMIT    ((int64_t) 64 << 30) /* bytes of all layers as the registry has them */
#define PATIENCE 30                   /* seconds without progress */
#define MIRRORS  8

struct pull {
    struct reference reference;
    cJSON *request; /* of banger-fetch */
    int64_t size;
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
        take_endpoints(rpc->args, pull->request, e))
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

static int fill(const struct rpc *rpc, const struct image_files *files, struct image_record *r, void *arg,
                struct import_result *got, struct err *e) {
    const struct pull *pull = arg;
    struct fetch_result fetched;
    const struct fetch_job job = {.request = pull->request,
                                  .cache = rpc->fds[0],
                                  .config = files->config,
                                  .plan = {.mode = IMPORT_LAYERS, .size = (uint64_t) pull->size},
                                  .outputs = {files->rootfs},
                                  .output_count = 1};
    (void) r;
    rpc_progress(rpc, "pull", "asking", 0, 0);
    return fetcher_run(rpc, &job, &fetched, got, e);
}

int pull_op(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r = {0};
    struct pull pull = {.request = cJSON_CreateObject()};
    int failed = take_arguments(rpc, &pull, &r, e);
    if (failed == 0)
        failed = image_create(rpc, &r, fill, &pull, result, e);
    cJSON_Delete(pull.request);
    return failed;
}
