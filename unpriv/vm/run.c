/* Commands in a VM: exec in one that runs, run in one made for it. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/json.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../image/run_config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Hands the client its end of the command's channel; ours in `*ours`. */
static int offer_channel(struct rpc *rpc, const char *event, const struct vm_record *r, int *ours, struct err *e) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return err_sys(e, errno, "cannot make the command's channel");
    cJSON *extra = cJSON_CreateObject();
    (void) cJSON_AddItemToObject(extra, "vm", vm_json(r));
    int rc = rpc_event(rpc, event, extra, pair[1]);
    /* The client's end must be the client's alone: its close is the end of the command. */
    (void) close(pair[1]);
    if (rc) {
        (void) close(pair[0]);
        return err_set(e, ECANCELED, "the client went away before the command was started");
    }
    *ours = pair[0];
    return 0;
}

static cJSON *exit_json(const struct mux_exit *exit) {
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(object, "exit_code", exit->signaled ? 128.0 + exit->code : exit->code);
    (void) cJSON_AddNumberToObject(object, "signal", exit->signaled ? exit->code : 0);
    return object;
}

/* Runs a command whose channel goes to the client with the event of that name. */
static int run(struct rpc *rpc, const char *event, struct vm_live *live, const struct vm_record *r,
               const struct vm_command *command, struct mux_exit *exit, struct err *e) {
    cleanup_fd int client = -1;
    struct link *link = vm_live_link(live, r->name, e);
    if (!link)
        return -e->code;
    vm_idle_begin(live);
    int rc = offer_channel(rpc, event, r, &client, e);
    if (rc == 0)
        rc = link_exec(link, command->open, command->size, client, exit, e);
    vm_idle_end(live);
    link_drop(link);
    return rc ? err_prefix(e, "VM %s", r->name) : 0;
}

int vm_exec(struct rpc *rpc, struct vm_live *live, const struct vm_record *r, const struct vm_command *command,
            cJSON **result, struct err *e) {
    struct mux_exit exit = {0};
    int rc = run(rpc, "exec", live, r, command, &exit, e);
    if (rc == 0)
        *result = exit_json(&exit);
    return rc;
}

int vm_prepare(struct rpc *rpc, struct vm_live *live, const struct vm_record *r, struct err *e) {
    struct vm_command command;
    struct mux_exit exit = {0};
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(rpc->args, "prepare");
    if (!cJSON_IsObject(wanted))
        return 0;
    int rc = vm_command_parse(wanted, NULL, "", &command, e);
    if (rc)
        return err_prefix(e, "\"prepare\"");
    rc = run(rpc, "prepare", live, r, &command, &exit, e);
    free(command.open);
    if (rc || (!exit.signaled && exit.code == 0) || json_true(wanted, "may_fail"))
        return rc;
    return err_set(e, ECHILD, "preparing VM %s failed with %s %u, and it is removed again: what it printed says why",
                   r->name, exit.signaled ? "signal" : "status", exit.code);
}

int vm_command_asked(const struct rpc *rpc, const char *image, const char *workspace, int enter,
                     struct vm_command *command, struct err *e) {
    cJSON *config = NULL;
    int rc = run_config_read(engine.state, image, &config, e);
    if (config && workspace[0])
        cJSON_DeleteItemFromObjectCaseSensitive(config, "user");
    if (rc == 0)
        rc = vm_command_parse(rpc->args, config, enter ? workspace : "", command, e);
    cJSON_Delete(config);
    return rc;
}

int vm_exec_in(struct rpc *rpc, const struct vm_record *r, struct vm_command *command, cJSON **result, struct err *e) {
    struct vm_live *live = vm_live_up(r, e);
    int rc = live ? vm_exec(rpc, live, r, command, result, e) : -e->code;
    if (live)
        vm_live_drop(live);
    free(command->open);
    return rc;
}

int vm_op_exec(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r;
    struct vm_command command;
    int rc = vm_asked(rpc, &r, e);
    if (rc == 0)
        rc = vm_command_asked(rpc, r.image, r.workspace, 1, &command, e);
    return rc ? rc : vm_exec_in(rpc, &r, &command, result, e);
}

int vm_op_copy(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r;
    struct vm_command command;
    const char *name = json_string(rpc->args, "name", e);
    const char *path = name ? json_string(rpc->args, "path", e) : NULL;
    const char *from = path ? json_string_or(rpc->args, "from", "", e) : NULL;
    if (!from)
        return -EINVAL;
    const int put = cJSON_IsString(cJSON_GetObjectItemCaseSensitive(rpc->args, "from"));
    const char *const argv[] = {put ? "put" : "get", path, put ? from : NULL, NULL};
    int rc = store_vm_get(name, &r, e);
    if (rc == 0)
        rc = vm_command_service(argv, &command, e);
    return rc ? rc : vm_exec_in(rpc, &r, &command, result, e);
}

/* A VM made for one command is gone with it: the client asked for that, or left. */
static void remove_vm(struct rpc *rpc, struct vm_live *live, struct vm_record *r) {
    struct err e;
    (void) pthread_mutex_lock(&live->lock);
    if (store_vm_get(live->id, r, NULL) == 0 && vm_destroy(rpc->op, live, r, &e)) {
        log_error(rpc->op, "removing VM %s: %s", r->name, e.text);
        rpc_warn(rpc, "VM %s could not be removed: %s", r->name, e.text);
    }
    (void) pthread_mutex_unlock(&live->lock);
}

int vm_op_run(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    struct vm_command command;
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(rpc->args, "start")))
        return err_set(e, EINVAL, "a command cannot run in a VM that is not started: leave \"start\" out");
    struct image_record image;
    const char *name = json_string(rpc->args, "image", e);
    const char *workspace = name ? json_string_or(rpc->args, "workspace", "", e) : NULL;
    int rc = workspace ? store_image_get(name, &image, e) : -EINVAL;
    if (rc == 0)
        rc = vm_command_asked(rpc, image.id, workspace, 0, &command, e);
    if (rc)
        return rc;
    int removed = json_true(rpc->args, "remove");
    rc = vm_create_and_start(rpc, removed, &live, &r, e);
    if (rc) {
        free(command.open);
        return rc;
    }
    (void) pthread_mutex_unlock(&live->lock); /* the entry stays held */
    rc = vm_exec(rpc, live, &r, &command, result, e);
    if (removed)
        remove_vm(rpc, live, &r);
    vm_live_drop(live);
    free(command.open);
    return rc;
}
