#include "vm.h"

#include "client.h"
#include "output.h"
#include "publish.h"
#include "session.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

/* --- looking ----------------------------------------------------------------- */

static void vm_row(struct table *t, const cJSON *vm) {
    char disk[32];
    output_size(output_number(vm, "disk"), disk);
    table_cell(t, "%s", output_member(vm, "id"));
    table_cell(t, "%s", output_member(vm, "name"));
    table_cell(t, "%s", output_member(vm, "state"));
    table_cell(t, "%s", output_member(vm, "image"));
    table_cell(t, "%s", output_member(vm, "address"));
    table_cell(t, "%lld", (long long) output_number(vm, "vcpus"));
    table_cell(t, "%lldM", (long long) output_number(vm, "memory_mib"));
    table_cell(t, "%s", disk);
    table_cell(t, "%s", output_member(vm, "workspace"));
    table_cell(t, "%s", output_member(vm, "created"));
}

/* The members of a VM that --filter knows. */
static const char *const filters[] = {"id",  "name",   "state",     "image",     "kernel", "address",
                                      "vmm", "egress", "root_kind", "workspace", "source"};

static const char *next_filter(size_t index, const void *arg) {
    (void) arg;
    return index < sizeof(filters) / sizeof(filters[0]) ? filters[index] : NULL;
}

/* What the table has and the filters look at. */
static cJSON *wanted_members(void) {
    static const char *const numbers[] = {"vcpus", "memory_mib", "disk", "created"};
    cJSON *args = cJSON_CreateObject();
    cJSON *names = cJSON_AddArrayToObject(args, "members");
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        (void) cJSON_AddItemToArray(names, cJSON_CreateStringReference(filters[i]));
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void) cJSON_AddItemToArray(names, cJSON_CreateStringReference(numbers[i]));
    return args;
}

/* KEY=PATTERN, each with a member's name. */
static int check_filters(const struct invocation *in, struct err *e) {
    for (size_t i = 0; i < in->list_count; i++) {
        char key[32];
        size_t at = 0;
        (void) snprintf(key, sizeof(key), "%.*s", (int) strcspn(in->list[i], "="), in->list[i]);
        while (next_filter(at, NULL) && strcmp(next_filter(at, NULL), key) != 0)
            at++;
        const char *near = options_nearest(key, next_filter, NULL);
        if (!next_filter(at, NULL))
            return err_set(e, EINVAL, "--filter %s: a VM has no %s: %s%s%s", in->list[i], key,
                           near ? "did you mean " : "docs/protocol.md lists what it has", near ? near : "",
                           near ? "?" : "");
    }
    return 0;
}

/* 1 when every filter fits. */
static int is_wanted(const struct invocation *in, const cJSON *vm) {
    for (size_t i = 0; i < in->list_count; i++) {
        char key[32];
        const char *equals = strchr(in->list[i], '=');
        (void) snprintf(key, sizeof(key), "%.*s", (int) (equals - in->list[i]), in->list[i]);
        if (fnmatch(equals + 1, output_member(vm, key), 0) != 0)
            return 0;
    }
    return 1;
}

static void drop_unwanted(const struct invocation *in, cJSON *vms) {
    for (cJSON *vm = vms ? vms->child : NULL, *next = NULL; vm; vm = next) {
        next = vm->next;
        if (!is_wanted(in, vm))
            cJSON_Delete(cJSON_DetachItemViaPointer(vms, vm));
    }
}

int command_list(const struct invocation *in) {
    static const char *const headers[] = {"ID",   "NAME", "STATE", "IMAGE",     "IP",
                                          "VCPU", "MEM",  "DISK",  "WORKSPACE", "CREATED"};
    struct err e = {0};
    cJSON *result = NULL;
    if (check_filters(in, &e) < 0) {
        output_error(&e);
        return EXIT_USAGE;
    }
    int r = client_simple("vm.list", options_given(in, OPT_JSON) ? NULL : wanted_members(), &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    cJSON *vms = cJSON_GetObjectItemCaseSensitive(result, "vms");
    drop_unwanted(in, vms);
    if (options_given(in, OPT_JSON)) {
        output_json(result);
        return 0;
    }
    struct table t = {.columns = 10};
    const cJSON *vm = NULL;
    cJSON_ArrayForEach(vm, vms) {
        vm_row(&t, vm);
    }
    table_print(&t, headers);
    cJSON_Delete(result);
    return 0;
}

int command_show(const struct invocation *in) {
    struct err e = {0};
    cJSON *result = NULL;
    int r = client_simple("vm.show", client_named(in->arguments[0]), &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (options_given(in, OPT_JSON)) {
        output_json(result);
        return 0;
    }
    publish_for_people(result);
    output_object(result);
    cJSON_Delete(result);
    return 0;
}
