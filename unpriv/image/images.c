#include "images.h"

#include "../../common/cleanup.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../daemon/rpc.h"
#include "../store/events.h"
#include "../store/folder.h"
#include "../store/store.h"
#include "importer.h"
#include "load.h"
#include "names.h"
#include "pull.h"
#include "reference.h"
#include "run_config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FOLDER     "images"
#define SIZE_LEAST ((int64_t) 16 << 20)
#define SIZE_MOST  ((int64_t) 16 << 40)

static const char *const kinds[] = {"debian", "oci", "bundle", "local"};

cJSON *image_json(const struct image_record *r) {
    char path[8192];
    (void) snprintf(path, sizeof(path), "%s/" FOLDER "/%s/rootfs.ext4", engine.state_path, r->id);
    int own = image_is_own(r);
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "id", r->id);
    (void) cJSON_AddStringToObject(object, "name", r->name);
    (void) cJSON_AddStringToObject(object, "kind", r->kind);
    (void) cJSON_AddStringToObject(object, "source", r->source);
    (void) cJSON_AddStringToObject(object, "kernel", r->kernel);
    (void) cJSON_AddStringToObject(object, "digest", r->digest);
    (void) cJSON_AddNumberToObject(object, "size", (double) r->size);
    (void) cJSON_AddNumberToObject(object, "used", (double) r->used);
    (void) cJSON_AddStringToObject(object, "path", own ? path : r->source);
    (void) cJSON_AddItemToObject(object, "created", name_time(r->created));
    return object;
}

int images_open(struct err *e) {
    int fd = folder_open(engine.state, FOLDER);
    return fd < 0 ? err_sys(e, -fd, "cannot open %s/" FOLDER, engine.state_path) : fd;
}

/* --- finding one ----------------------------------------------------------------------- */

struct sought {
    char source[REFERENCE_TEXT_MAX];
    struct image_record *found;
    int count;
};

static void look_at(const struct image_record *r, void *arg) {
    struct sought *sought = arg;
    const int is_earlier = strcmp(r->name, r->id) == 0; /* of a reference that was pulled again */
    if (is_earlier || strcmp(r->source, sought->source) != 0 || sought->count++)
        return;
    *sought->found = *r;
}

int image_lookup(const char *name, struct image_record *r, struct err *e) {
    struct sought sought = {.found = r};
    struct reference ref;
    struct err ignored;
    int failed = store_image_get(name, r, e);
    if (failed != -ENOENT || !reference_is_one(name) || reference_parse(name, &ref, &ignored))
        return failed;
    (void) reference_text(&ref, sought.source);
    int looked = store_images(look_at, &sought, &ignored);
    return looked == 0 && sought.count ? 0 : failed;
}

/* --- operations ------------------------------------------------------------------- */

static void add_to_list(const struct image_record *r, void *arg) {
    (void) cJSON_AddItemToArray(arg, image_json(r));
}

static int op_list(struct rpc *rpc, cJSON **result, struct err *e) {
    (void) rpc;
    *result = cJSON_CreateObject();
    return store_images(add_to_list, cJSON_AddArrayToObject(*result, "images"), e);
}

/* With how it is run: null where it does not say, or says what cannot be read. */
static int op_show(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r;
    struct err why = {0};
    cJSON *config = NULL;
    const char *name = json_string(rpc->args, "name", e);
    if (!name)
        return -EINVAL;
    int failed = image_lookup(name, &r, e);
    if (failed)
        return failed;
    if (image_is_own(&r) && run_config_read(engine.state, r.id, &config, &why))
        rpc_warn(rpc, "%s", why.text);
    *result = image_json(&r);
    (void) cJSON_AddItemToObject(*result, "config", config ? config : cJSON_CreateNull());
    return 0;
}

static int op_delete(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r;
    (void) result;
    const char *name = json_string(rpc->args, "name", e);
    if (!name)
        return -EINVAL;
    cleanup_fd int images = images_open(e);
    int failed = images < 0 ? images : image_lookup(name, &r, e);
    if (failed == 0)
        failed = store_image_delete(r.id, e);
    if (failed)
        return failed;
    failed = folder_remove(images, r.id);
    if (failed) /* the record is gone, so the next start removes the rest */
        rpc_warn(rpc, "the files of image %s are removed at the daemon's next start: %s", r.name, strerror(-failed));
    return 0;
}

int image_arguments(const struct rpc *rpc, struct image_record *r, int64_t *size, struct err *e) {
    const char *name = name_of_asset(rpc->args, "an image", e);
    if (!name)
        return -EINVAL;
    (void) snprintf(r->name, sizeof(r->name), "%s", name);
    if (json_integer_or(rpc->args, "size", 0, SIZE_MOST, size, e) ||
        name_copy_text(rpc->args, "kernel", r->kernel, sizeof(r->kernel), e))
        return -EINVAL;
    if (*size && *size < SIZE_LEAST)
        return err_set(e, EINVAL, "an image of %lld bytes is too small: give at least %lld, or 0 to fit the content",
                       (long long) *size, (long long) SIZE_LEAST);
    return 0;
}

static int must_be_free(const char *name, const struct image_record *earlier, struct err *e) {
    struct image_record taken;
    struct err ignored = {0};
    int r = store_image_get(name, &taken, &ignored);
    if (r == -ENOENT || (r == 0 && (strcmp(taken.name, name) != 0 || (earlier && strcmp(taken.id, earlier->id) == 0))))
        return 0;
    if (r == 0)
        return err_set(e, EEXIST, "image %s already exists: choose another name, or delete it first", name);
    *e = ignored;
    return r;
}

static int fill(const struct rpc *rpc, int folder, struct image_record *r, image_make *make, void *arg,
                struct import_result *got, struct err *e) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int rootfs = openat(folder, "rootfs.ext4", flags, 0600);
    cleanup_fd int config = openat(folder, "config.json", flags, 0600);
    if (rootfs < 0 || config < 0)
        return err_sys(e, errno, "cannot make the image's files");
    const struct image_files files = {rootfs, config};
    struct stat st;
    int failed = make(rpc, &files, r, arg, got, e);
    if (failed == 0 && (fstat(config, &st) || (st.st_size == 0 && unlinkat(folder, "config.json", 0))))
        failed = err_sys(e, errno, "cannot finish the image's files");
    return failed;
}

/* The record, and the end of the one before it. */
static int record(const struct rpc *rpc, const struct image_record *r, const struct image_record *earlier, int images,
                  struct err *e) {
    struct err gone;
    int kept = 0;
    int failed = earlier ? store_image_replace(earlier->id, r, &kept, &gone) : -ENOENT;
    if (failed == -ENOENT)
        return store_image_add(r, e);
    if (failed)
        *e = gone;
    else if (kept)
        rpc_warn(rpc, "a VM uses the image that was %s before: `banger image delete %s` removes it when none does",
                 r->name, earlier->id);
    else
        (void) folder_remove(images, earlier->id); /* what stays goes at the next start */
    return failed;
}

int image_create(const struct rpc *rpc, struct image_record *r, const struct image_record *earlier, image_make *make,
                 void *arg, cJSON **result, struct err *e) {
    struct import_result got = {0};
    int failed = must_be_free(r->name, earlier, e);
    if (failed)
        return failed;
    folder_new_id(r->id);
    cleanup_fd int images = images_open(e);
    if (images < 0)
        return images;
    cleanup_fd int folder = folder_begin(images, r->id);
    if (folder < 0)
        return err_sys(e, -folder, "cannot make a folder for the image");
    failed = fill(rpc, folder, r, make, arg, &got, e);
    if (failed) {
        (void) folder_discard(images, r->id);
        return failed;
    }
    failed = folder_commit(images, r->id);
    if (failed)
        return err_sys(e, -failed, "cannot write the image to the disk");
    r->size = got.size;
    r->used = got.used;
    r->created = time(NULL);
    failed = record(rpc, r, earlier, images, e);
    if (failed) {
        (void) folder_remove(images, r->id);
        return failed;
    }
    rpc_progress(rpc, "import", "done", got.bytes, got.bytes);
    *result = image_json(r);
    return 0;
}

/* --- image.import -------------------------------------------------------------------- */

/* The argument `config`, checked and written, where it came. */
static int keep_config(const struct rpc *rpc, int to, struct err *e) {
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(rpc->args, "config");
    if (!wanted || cJSON_IsNull(wanted))
        return 0;
    cJSON *config = run_config_take(wanted, e);
    int r = config ? run_config_write(to, config, e) : -e->code;
    cJSON_Delete(config);
    return r;
}

static int import_tar(const struct rpc *rpc, const struct image_files *files, struct image_record *r, void *arg,
                      struct import_result *got, struct err *e) {
    const int64_t *size = arg;
    const struct import_plan plan = {.mode = IMPORT_ROOTFS, .size = (uint64_t) *size};
    const int fds[] = {rpc->fds[0], files->rootfs};
    (void) r;
    int failed = keep_config(rpc, files->config, e);
    if (failed)
        return failed;
    rpc_progress(rpc, "import", "reading", 0, 0);
    return importer_run(rpc, &plan, fds, 2, "import", got, e);
}

static int op_import(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r = {0};
    int64_t size = 0;
    if (image_arguments(rpc, &r, &size, e) || name_copy_text(rpc->args, "kind", r.kind, sizeof(r.kind), e) ||
        name_copy_text(rpc->args, "source", r.source, sizeof(r.source), e))
        return -EINVAL;
    size_t kind = 0;
    while (kind < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[kind], r.kind) != 0)
        kind++;
    if (kind == sizeof(kinds) / sizeof(kinds[0]))
        return err_set(e, EINVAL, "\"kind\" must be debian, oci, bundle or local");
    if (rpc->fd_count != 1)
        return err_set(e, EINVAL, "image.import takes one descriptor, the tar stream; %zu came", rpc->fd_count);
    return image_create(rpc, &r, NULL, import_tar, &size, result, e);
}

const struct rpc_op image_ops[] = {
    {"image.list", op_list},
    {"image.show", op_show},
    {"image.delete", op_delete},
    {"image.import", op_import},
    {"image.load", load_op},
    {"image.pull", pull_op},
    {"image.register", image_op_register},
    {"image.promote", image_op_promote},
    {"image.bundle", image_op_bundle},
    {NULL, NULL},
};

/* --- start-up ---------------------------------------------------------------------- */

/* A registered image has no folder: one of its id is a promotion's that was cut off. */
static int is_recorded(const char *name, void *arg) {
    struct image_record r;
    int *failed = arg;
    int found = store_image_get(name, &r, NULL);
    if (found && found != -ENOENT)
        *failed = found;
    return *failed || (found == 0 && strcmp(r.id, name) == 0 && image_is_own(&r));
}

int images_recover(struct err *e) {
    cleanup_fd int images = images_open(e);
    if (images < 0)
        return images;
    int failed = 0;
    int removed = folder_sweep(images, is_recorded, &failed);
    if (removed > 0) {
        log_info(0, "removed %d images that were not finished", removed);
        events_add(EVENT_MENDED, NULL, "images/: %d that were not finished are removed", removed);
    }
    if (removed < 0)
        log_warn(0, "cannot remove what unfinished imports left in %s/" FOLDER ": %s", engine.state_path,
                 strerror(-removed));
    return failed ? err_sys(e, -failed, "cannot read the images' records") : 0;
}
