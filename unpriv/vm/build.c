/* image.build: a throw-away VM is made and prepared, and its disks kept as a new image. */
#include "internal.h"

#include "../../common/json.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../image/images.h"
#include "../image/run_config.h"

#include <errno.h>
#include <string.h>

#define POWER_OFF_MS 120000

struct building {
    struct rpc machine; /* the request with vm.create's arguments */
    int64_t size;       /* of the new image, 0 to fit what is in it */
};

/* How the base is run is how the new image is. */
static int inherit(const struct image_record *base, int to, struct err *e) {
    cJSON *config = NULL;
    int rc = run_config_read(engine.state, base->id, &config, e);
    if (rc == 0 && config)
        rc = run_config_write(to, config, e);
    cJSON_Delete(config);
    return rc;
}

/* The guest has written all it will write once it has powered itself off. */
static int keep(struct building *b, struct vm_live *live, struct vm_record *r, const struct image_files *files,
                struct import_result *got, struct err *e) {
    const struct rpc *rpc = &b->machine;
    rpc_progress(rpc, "shutdown", "the guest powers off", 0, 1);
    int rc = vm_power_off(live, r, POWER_OFF_MS, e);
    if (rc == 0)
        rc = vm_settle(rpc->op, live, r, VM_STOPPED, e);
    if (rc)
        return rc;
    rpc_progress(rpc, "shutdown", "the guest is off", 1, 1);
    rc = vm_disks_keep(rpc, r, b->size, files->rootfs, got, e);
    return rc ? err_prefix(e, "keeping the disks") : 0;
}

static int build(const struct rpc *rpc, const struct image_files *files, struct image_record *image, void *arg,
                 struct import_result *got, struct err *e) {
    struct building *b = arg;
    struct vm_live *live;
    struct vm_record r;
    struct image_record base;
    const char *name = json_string(b->machine.args, "image", e);
    int rc = name ? store_image_get(name, &base, e) : -EINVAL;
    if (rc == 0)
        rc = inherit(&base, files->config, e);
    if (rc)
        return rc;
    (void) snprintf(image->kind, sizeof(image->kind), "local");
    (void) snprintf(image->kernel, sizeof(image->kernel), "%s", base.kernel);
    (void) snprintf(image->source, sizeof(image->source), "built from %s", base.name);
    rc = vm_create_and_start(&b->machine, 1, &live, &r, e);
    if (rc)
        return rc;
    rc = keep(b, live, &r, files, got, e);
    struct err undo;
    if (vm_destroy(rpc->op, live, &r, &undo))
        log_error(rpc->op, "removing VM %s: %s", r.name, undo.text);
    vm_unlock(live);
    return rc;
}

int vm_op_build(struct rpc *rpc, cJSON **result, struct err *e) {
    struct building b = {.machine = *rpc};
    struct image_record image = {0};
    b.machine.args = cJSON_GetObjectItemCaseSensitive(rpc->args, "machine");
    if (!cJSON_IsObject(b.machine.args))
        return err_set(e, EINVAL, "\"machine\" must be the arguments of vm.create");
    int rc = image_arguments(rpc, &image, &b.size, e);
    return rc ? rc : image_create(rpc, &image, NULL, build, &b, result, e);
}
