#include "kernels.h"

#include "../../common/cleanup.h"
#include "../../common/log.h"
#include "../../common/version.h"
#include "../daemon/engine.h"
#include "../daemon/rpc.h"
#include "../image/importer.h"
#include "../image/names.h"
#include "../store/events.h"
#include "../store/folder.h"
#include "../store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#define FOLDER "kernels"

static void add_path(cJSON *object, const char *key, const char *id) {
    char path[8192];
    (void) snprintf(path, sizeof(path), "%s/" FOLDER "/%s/%s", engine.state_path, id, key);
    (void) cJSON_AddStringToObject(object, key, path);
}

static cJSON *to_json(const struct kernel_record *r) {
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "id", r->id);
    (void) cJSON_AddStringToObject(object, "name", r->name);
    (void) cJSON_AddStringToObject(object, "release", r->release);
    (void) cJSON_AddStringToObject(object, "source", r->source);
    add_path(object, "vmlinux", r->id);
    add_path(object, "initrd", r->id);
    (void) cJSON_AddStringToObject(object, "agent", r->agent);
    (void) cJSON_AddItemToObject(object, "created", name_time(r->created));
    return object;
}

static int open_kernels(struct err *e) {
    int fd = folder_open(engine.state, FOLDER);
    return fd < 0 ? err_sys(e, -fd, "cannot open %s/" FOLDER, engine.state_path) : fd;
}

/* --- operations ------------------------------------------------------------------- */

static void add_to_list(const struct kernel_record *r, void *arg) {
    (void) cJSON_AddItemToArray(arg, to_json(r));
}

static int op_list(struct rpc *rpc, cJSON **result, struct err *e) {
    (void) rpc;
    *result = cJSON_CreateObject();
    return store_kernels(add_to_list, cJSON_AddArrayToObject(*result, "kernels"), e);
}

static int op_show(struct rpc *rpc, cJSON **result, struct err *e) {
    struct kernel_record r;
    const char *name = json_string(rpc->args, "name", e);
    if (!name)
        return -EINVAL;
    int failed = store_kernel_get(name, &r, e);
    if (failed == 0)
        *result = to_json(&r);
    return failed;
}

static int op_delete(struct rpc *rpc, cJSON **result, struct err *e) {
    struct kernel_record r;
    (void) result;
    const char *name = json_string(rpc->args, "name", e);
    if (!name)
        return -EINVAL;
    cleanup_fd int kernels = open_kernels(e);
    int failed = kernels < 0 ? kernels : store_kernel_get(name, &r, e);
    if (failed == 0)
        failed = store_kernel_delete(r.id, e);
    if (failed)
        return failed;
    failed = folder_remove(kernels, r.id);
    if (failed) /* the record is gone, so the next start removes the rest */
        rpc_warn(rpc, "the files of kernel %s are removed at the daemon's next start: %s", r.name, strerror(-failed));
    return 0;
}

/* The name's record when there is one and it may be replaced; `*old` is its id or "". */
static int find_old(const struct rpc *rpc, const char *name, char old[FOLDER_ID_SIZE], struct err *e) {
    struct kernel_record taken;
    struct err why = {0};
    int r = store_kernel_get(name, &taken, &why);
    old[0] = '\0';
    if (r == -ENOENT || (r == 0 && strcmp(taken.name, name) != 0))
        return 0;
    if (r) {
        *e = why;
        return r;
    }
    if (!json_true(rpc->args, "replace"))
        return err_set(e, EEXIST, "kernel %s already exists: choose another name, or replace it", name);
    (void) snprintf(old, FOLDER_ID_SIZE, "%s", taken.id);
    return 0;
}

static int read_arguments(const struct rpc *rpc, struct kernel_record *r, struct err *e) {
    const char *name = name_of_asset(rpc->args, "a kernel", e);
    if (!name)
        return -EINVAL;
    (void) snprintf(r->name, sizeof(r->name), "%s", name);
    if (name_copy_text(rpc->args, "source", r->source, sizeof(r->source), e))
        return -EINVAL;
    if (rpc->fd_count != 2)
        return err_set(e, EINVAL, "kernel.import takes two descriptors, the package and banger-agent; %zu came",
                       rpc->fd_count);
    return 0;
}

static int import_into(const struct rpc *rpc, int folder, struct import_result *got, struct err *e) {
    const struct import_plan plan = {.mode = IMPORT_KERNEL};
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    cleanup_fd int vmlinux = openat(folder, "vmlinux", flags, 0600);
    cleanup_fd int initrd = openat(folder, "initrd", flags, 0600);
    if (vmlinux < 0 || initrd < 0)
        return err_sys(e, errno, "cannot make the kernel's files");
    const int fds[] = {rpc->fds[0], rpc->fds[1], vmlinux, initrd};
    rpc_progress(rpc, "kernel", "reading", 0, 0);
    return importer_run(rpc, &plan, fds, 4, "kernel", got, e);
}

/* Under the old id when it replaces one, so that VMs boot it at their next start. */
static int record(const struct kernel_record *r, int replaces, int kernels, struct err *e) {
    int failed = folder_commit(kernels, r->id);
    if (failed)
        return err_sys(e, -failed, "cannot write the kernel to the disk");
    failed = replaces ? store_kernel_update(r, e) : store_kernel_add(r, e);
    if (failed && (!replaces || failed == -ENOENT)) /* no record has it */
        (void) folder_remove(kernels, r->id);
    return failed;
}

static int op_import(struct rpc *rpc, cJSON **result, struct err *e) {
    struct kernel_record r = {0};
    struct import_result got = {0};
    char old[FOLDER_ID_SIZE];
    int failed = read_arguments(rpc, &r, e);
    if (failed == 0)
        failed = find_old(rpc, r.name, old, e);
    if (failed)
        return failed;
    if (old[0])
        (void) snprintf(r.id, sizeof(r.id), "%s", old);
    else
        folder_new_id(r.id);
    cleanup_fd int kernels = open_kernels(e);
    if (kernels < 0)
        return kernels;
    cleanup_fd int folder = folder_begin(kernels, r.id);
    if (folder == -EEXIST)
        return err_set(e, EBUSY, "kernel %s is being replaced already: wait for that", r.name);
    if (folder < 0)
        return err_sys(e, -folder, "cannot make a folder for the kernel");
    failed = import_into(rpc, folder, &got, e);
    if (failed) {
        (void) folder_discard(kernels, r.id);
        return failed;
    }
    (void) snprintf(r.release, sizeof(r.release), "%s", got.release);
    (void) snprintf(r.agent, sizeof(r.agent), "%s", BANGER_STAMP);
    r.created = time(NULL);
    failed = record(&r, old[0] != '\0', kernels, e);
    if (failed)
        return failed;
    rpc_progress(rpc, "kernel", "done", got.bytes, got.bytes);
    *result = to_json(&r);
    return 0;
}

const struct rpc_op kernel_ops[] = {
    {"kernel.list", op_list},
    {"kernel.show", op_show},
    {"kernel.delete", op_delete},
    {"kernel.import", op_import},
    {NULL, NULL},
};

/* --- start-up ---------------------------------------------------------------------- */

static int is_recorded(const char *name, void *arg) {
    struct kernel_record r;
    int *failed = arg;
    int found = store_kernel_get(name, &r, NULL);
    if (found && found != -ENOENT)
        *failed = found;
    return *failed || (found == 0 && strcmp(r.id, name) == 0);
}

static void restore(const struct kernel_record *r, void *arg) {
    (void) folder_restore(*(const int *) arg, r->id);
}

int kernels_recover(struct err *e) {
    cleanup_fd int kernels = open_kernels(e);
    if (kernels < 0)
        return kernels;
    int failed = store_kernels(restore, &kernels, e);
    if (failed)
        return failed;
    int removed = folder_sweep(kernels, is_recorded, &failed);
    if (removed > 0) {
        log_info(0, "removed %d kernels that were not finished", removed);
        events_add(EVENT_MENDED, NULL, "kernels/: %d that were not finished are removed", removed);
    }
    if (removed < 0)
        log_warn(0, "cannot remove what unfinished imports left in %s/" FOLDER ": %s", engine.state_path,
                 strerror(-removed));
    return failed ? err_sys(e, -failed, "cannot read the kernels' records") : 0;
}
