/* The table of vm operations (docs/protocol.md), and those that only look. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_SIZE 1024
#define FULL      "stopped by its VMM because the host's disk is full; it goes on when there is room"

/* clang-format off */
const struct rpc_op vm_ops[] = {
    {"vm.create", vm_op_create},
    {"vm.start", vm_op_start},
    {"vm.stop", vm_op_stop},
    {"vm.restart", vm_op_restart},
    {"vm.kill", vm_op_kill},
    {"vm.delete", vm_op_delete},
    {"vm.set", vm_op_set},
    {"vm.list", vm_op_list},
    {"vm.show", vm_op_show},
    {"vm.exec", vm_op_exec},
    {"vm.run", vm_op_run},
    {"vm.copy", vm_op_copy},
    {"vm.logs", vm_op_logs},
    {"image.build", vm_op_build},
    {"vm.egress", vm_op_egress},
    {"vm.stats", vm_op_stats},
    {"vm.publish", vm_op_publish},
    {"vm.publishable", vm_op_publishable},
    {"vm.ports", vm_op_ports},
    {"vm.session.start", vm_op_session_start},
    {"vm.session.list", vm_op_session_list},
    {"vm.session.show", vm_op_session_show},
    {"vm.session.stop", vm_op_session_stop},
    {"vm.session.kill", vm_op_session_kill},
    {"vm.session.logs", vm_op_session_logs},
    {"vm.session.send", vm_op_session_send},
    {"vm.session.attach", vm_op_session_attach},
    {NULL, NULL},
};
/* clang-format on */

/* As text: a tree of many VMs would be memory that the kernel gives and takes again for each list. */
static void add_text(cJSON *list, cJSON *object) {
    char *text = cJSON_PrintBuffered(object, TEXT_SIZE, 0);
    cJSON_Delete(object);
    if (text)
        (void) cJSON_AddItemToArray(list, cJSON_CreateRaw(text));
    cJSON_free(text);
}

int vm_op_list(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_records all;
    uint32_t wanted = 0;
    int rc = vm_json_members(cJSON_GetObjectItemCaseSensitive(rpc->args, "members"), &wanted, e);
    if (rc == 0)
        rc = vm_records_read(&all, e);
    if (rc)
        return rc;
    struct vm_sources last = {.image = {.id = ""}, .kernel = {.id = ""}};
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < all.count; i++)
        add_text(list, vm_json_next(&all.list[i], &last, wanted));
    free(all.list);
    *result = cJSON_CreateObject();
    (void) cJSON_AddItemToObject(*result, "vms", list);
    return 0;
}

/* When it was last used, and when it is stopped if nobody uses it; a client that is about to has said so. */
static void add_use(cJSON *object, const struct rpc *rpc, struct vm_live *live, const struct vm_record *r) {
    if (json_true(rpc->args, "touch")) {
        vm_idle_begin(live);
        vm_idle_end(live);
    }
    int64_t touched = vm_idle_touched(live, r), after = vm_idle_after();
    int stops = after > 0 && vm_live_runs(live) && live->users == 0;
    vm_json_time(object, "used", live->users > 0 ? time(NULL) : touched);
    vm_json_time(object, "stops", stops ? touched + after : 0);
}

int vm_op_show(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r;
    int rc = vm_asked(rpc, &r, e);
    if (rc)
        return rc;
    *result = vm_json(&r);
    struct vm_live *live = vm_live_hold(&r);
    struct link *link = live ? vm_live_link_if(live) : NULL;
    if (live && vm_live_runs(live))
        (void) cJSON_AddNumberToObject(*result, "uptime_ms", (double) (time(NULL) - r.started) * 1000);
    else
        (void) cJSON_AddNullToObject(*result, "uptime_ms");
    if (live)
        add_use(*result, rpc, live, &r);
    (void) cJSON_AddStringToObject(*result, "detail", live && live->full ? FULL : "");
    if (link)
        (void) cJSON_AddStringToObject(*result, "agent", link_welcome(link)->build);
    else
        (void) cJSON_AddNullToObject(*result, "agent");
    link_drop(link);
    if (live)
        vm_live_drop(live);
    return 0;
}

static int send_log(struct rpc *rpc, const struct vm_record *r, const char *which, struct err *e) {
    char file[32];
    (void) snprintf(file, sizeof(file), "%s.log", which);
    cleanup_fd int dir = vm_folder_open(r->slot);
    cleanup_fd int fd = dir < 0 ? dir : vm_open(dir, file, O_RDONLY);
    if (fd == -ENOENT)
        return err_set(e, ENOENT, "VM %s has no log yet: it was never started", r->name);
    if (fd < 0)
        return err_sys(e, -fd, "cannot open the log of VM %s", r->name);
    cJSON *extra = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(extra, "which", which);
    return rpc_event(rpc, "log", extra, fd) ? err_set(e, ECANCELED, "the client went away before it had the log") : 0;
}

/* By the process a client sees the VM's end by itself. */
static int send_process(struct rpc *rpc, const struct vm_record *r, struct err *e) {
    struct vm_live *live = vm_live_hold(r);
    if (!live)
        return err_set(e, ENOMEM, "out of memory");
    cleanup_fd int pidfd = vm_live_pidfd(live);
    vm_live_drop(live);
    if (pidfd < 0)
        return 0;
    return rpc_event(rpc, "process", NULL, pidfd) ? err_set(e, ECANCELED, "the client went away before it had the log")
                                                  : 0;
}

int vm_op_logs(struct rpc *rpc, cJSON **result, struct err *e) {
    static const char *const both[] = {"console", "vmm"};
    struct vm_record r;
    *result = NULL;
    const char *which = json_string_or(rpc->args, "which", "console", e);
    int rc = which ? vm_asked(rpc, &r, e) : -EINVAL;
    int sent = 0;
    if (rc == 0 && json_true(rpc->args, "follow"))
        rc = send_process(rpc, &r, e);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        if (strcmp(which, both[i]) != 0 && strcmp(which, "both") != 0)
            continue;
        rc = send_log(rpc, &r, both[i], e);
        sent = 1;
    }
    if (rc == 0 && !sent)
        rc = err_set(e, EINVAL, "\"which\" must be \"console\", \"vmm\" or \"both\"");
    return rc;
}
