/* Images out of the user's own files: registered where they are, promoted into banger's
 * store, or taken from a bundle. */
#include "../../common/cleanup.h"
#include "../daemon/engine.h"
#include "../store/copy.h"
#include "../store/folder.h"
#include "fetcher.h"
#include "images.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BUNDLE_MOST ((int64_t) 16 << 40)
#define PATIENCE    30 /* seconds without progress of a download */

/* The one descriptor that came: a regular file's. */
static int take_file(const struct rpc *rpc, struct stat *st, struct err *e) {
    if (rpc->fd_count != 1)
        return err_set(e, EINVAL, "this operation takes one descriptor; %zu came", rpc->fd_count);
    if (fstat(rpc->fds[0], st) || !S_ISREG(st->st_mode))
        return err_set(e, EINVAL, "the descriptor that came is no file's");
    return 0;
}

/* --- image.register ------------------------------------------------------------------ */

/* The file stays the user's, and where it is: a client that makes a VM of it hands over descriptors of it. */
int image_op_register(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r = {.kind = IMAGE_REGISTERED, .created = time(NULL)};
    struct stat st = {0};
    int64_t size = 0;
    if (image_arguments(rpc, &r, &size, e) || name_copy_text(rpc->args, "source", r.source, sizeof(r.source), e) ||
        take_file(rpc, &st, e))
        return -e->code;
    if (r.source[0] != '/')
        return err_set(e, EINVAL, "\"source\" must be an absolute path");
    r.size = st.st_size;
    r.used = (int64_t) st.st_blocks * 512;
    folder_new_id(r.id);
    int failed = store_image_add(&r, e);
    if (failed == 0)
        *result = image_json(&r);
    return failed;
}

/* --- image.promote ------------------------------------------------------------------- */

static void copied(void *arg, int64_t done, int64_t total) {
    rpc_progress(arg, "copy", "copying", done, total);
}

static int cancelled(void *arg) {
    return rpc_gone(arg);
}

static int copy_into(struct rpc *rpc, int folder, struct err *e) {
    const struct copy_how how = {.progress = copied, .cancelled = cancelled, .arg = rpc};
    cleanup_fd int to = openat(folder, "rootfs.ext4", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return to < 0 ? err_sys(e, errno, "cannot make the image's file") : copy_disk(rpc->fds[0], to, &how, e);
}

int image_op_promote(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r;
    struct stat st = {0};
    const char *name = json_string(rpc->args, "name", e);
    int failed = name ? store_image_get(name, &r, e) : -EINVAL;
    if (failed || (failed = take_file(rpc, &st, e)))
        return failed;
    if (image_is_own(&r))
        return err_set(e, EALREADY, "image %s is in banger's store already", r.name);
    cleanup_fd int images = images_open(e);
    if (images < 0)
        return images;
    cleanup_fd int folder = folder_begin(images, r.id);
    if (folder == -EEXIST)
        return err_set(e, EBUSY, "image %s is being promoted already: wait for that", r.name);
    if (folder < 0)
        return err_sys(e, -folder, "cannot make a folder for the image");
    rpc_progress(rpc, "copy", "copying", 0, 0);
    failed = copy_into(rpc, folder, e);
    if (failed) {
        (void) folder_discard(images, r.id);
        return failed;
    }
    failed = folder_commit(images, r.id);
    if (failed)
        return err_sys(e, -failed, "cannot write the image to the disk");
    (void) snprintf(r.kind, sizeof(r.kind), "local");
    r.size = st.st_size;
    failed = store_image_update(&r, e);
    if (failed) {
        (void) folder_remove(images, r.id);
        return failed;
    }
    rpc_progress(rpc, "copy", "done", 1, 1);
    *result = image_json(&r);
    return 0;
}

/* --- image.bundle -------------------------------------------------------------------- */

/* The member `key`: 2 x `size` small hexadecimal digits. */
static int take_bytes(const cJSON *args, const char *key, uint8_t *out, size_t size, struct err *e) {
    static const char digits[] = "0123456789abcdef";
    const char *text = json_string(args, key, e);
    if (!text)
        return -EINVAL;
    if (strlen(text) != 2 * size || strspn(text, digits) != 2 * size)
        return err_set(e, EINVAL, "\"%s\" must be %zu hexadecimal digits", key, 2 * size);
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t) ((strchr(digits, text[2 * i]) - digits) << 4 | (strchr(digits, text[2 * i + 1]) - digits));
    return 0;
}

/* A bundle to be imported, and where it is. */
struct bundle {
    struct import_plan plan;
    cJSON *request; /* of banger-fetch; NULL: the descriptor that came is the file's */
};

static int import_bundle(const struct rpc *rpc, const struct image_files *files, struct image_record *r, void *arg,
                         struct import_result *got, struct err *e) {
    const struct bundle *bundle = arg;
    struct fetch_result fetched;
    (void) r;
    if (bundle->request) {
        const struct fetch_job job = {.request = bundle->request,
                                      .cache = rpc->fds[0],
                                      .config = -1,
                                      .plan = bundle->plan,
                                      .outputs = {files->rootfs, files->config},
                                      .output_count = 2};
        rpc_progress(rpc, "pull", "asking", 0, 0);
        return fetcher_run(rpc, &job, &fetched, got, e);
    }
    const int fds[] = {rpc->fds[0], files->rootfs, files->config};
    rpc_progress(rpc, "import", "reading", 0, 0);
    return importer_run(rpc, &bundle->plan, fds, 3, "import", got, e);
}

static int take_bundle(const struct rpc *rpc, struct bundle *bundle, struct image_record *r, struct err *e) {
    struct import_pin *pin = &bundle->plan.pin;
    struct stat st;
    int64_t size = 0, bytes = 0;
    if (image_arguments(rpc, r, &size, e) || name_copy_text(rpc->args, "source", r->source, sizeof(r->source), e) ||
        json_integer(rpc->args, "bytes", 1, BUNDLE_MOST, &bytes, e) ||
        take_bytes(rpc->args, "sha256", pin->sha256, sizeof(pin->sha256), e) ||
        take_bytes(rpc->args, "key", pin->key, sizeof(pin->key), e) ||
        take_bytes(rpc->args, "signature", pin->signature, sizeof(pin->signature), e))
        return -e->code;
    if (size)
        return err_set(e, EINVAL, "a bundle's image has the size it has: leave \"size\" out");
    if (rpc->fd_count != 1 || fstat(rpc->fds[0], &st))
        return err_set(e, EINVAL, "image.bundle takes one descriptor: the bundle, or the blob cache's folder");
    bundle->plan.size = (uint64_t) bytes;
    if (!S_ISDIR(st.st_mode))
        return 0;
    bundle->request = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(bundle->request, "mode", "file");
    (void) cJSON_AddStringToObject(bundle->request, "url", r->source);
    (void) cJSON_AddStringToObject(bundle->request, "sha256", json_string(rpc->args, "sha256", e));
    (void) cJSON_AddNumberToObject(bundle->request, "limit", (double) bytes);
    (void) cJSON_AddNumberToObject(bundle->request, "patience", PATIENCE);
    return fetcher_take_proxies(rpc->args, bundle->request, e);
}

int image_op_bundle(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r = {.kind = "bundle"};
    struct bundle bundle = {.plan = {.mode = IMPORT_BUNDLE}};
    int failed = take_bundle(rpc, &bundle, &r, e);
    if (failed == 0)
        failed = image_create(rpc, &r, NULL, import_bundle, &bundle, result, e);
    cJSON_Delete(bundle.request);
    return failed;
}
