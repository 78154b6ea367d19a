/* vm.stats: what the guest says of itself, and what the host counts of it. */
#include "stats.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../daemon/monitor.h"
#include "guest_stats.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define ANSWER_MS 5000

static int64_t allocated(int dir, const char *name) {
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) ? (int64_t) st.st_blocks * 512 : 0;
}

static void read_disks(const struct vm_record *r, struct vm_usage *out) {
    cleanup_fd int dir = vm_folder_open(r->slot);
    if (dir < 0)
        return;
    out->root = allocated(dir, vm_is_snapshot(r) ? VM_OVERLAY : VM_ROOT_FILE);
    out->work = allocated(dir, "work.ext4");
}

void vm_usage_read(const struct vm_record *r, struct vm_usage *out) {
    *out = (struct vm_usage){0};
    struct vm_live *live = vm_live_hold(r);
    if (!live)
        return;
    struct err e;
    cleanup_fd int pidfd = vm_live_pidfd(live);
    struct names *names = vm_live_names(live);
    vm_live_drop(live);
    out->runs = pidfd >= 0;
    if (out->runs && monitor_usage(r->slot, pidfd, &out->usage, &e))
        out->usage.have = 0;
    if (names) {
        names_counts(names, out->lookups);
        out->usage.have |= USAGE_LOOKUPS;
    }
    names_drop(names);
    read_disks(r, out);
}

/* The guest's own figures, or NULL with the reason in `why`. */
static cJSON *ask_guest(const struct vm_record *r, struct err *why) {
    static const char *const question[] = {"stats", NULL};
    char answer[GUEST_STATS_SIZE];
    struct guest_stats stats;
    struct vm_live *live = vm_live_hold(r);
    struct link *link = live ? vm_live_link_if(live) : NULL;
    int n = link ? link_ask(link, question, answer, sizeof(answer), ANSWER_MS, why)
                 : err_set(why, ENOTCONN, "the guest's agent is not connected");
    link_drop(link);
    if (live)
        vm_live_drop(live);
    if (n >= 0 && guest_stats_parse(answer, (size_t) n, &stats) == 0)
        return guest_stats_json(&stats);
    if (n >= 0)
        (void) err_set(why, EPROTO, "the guest's agent answered with something else than figures");
    return NULL;
}

static void add_number(cJSON *object, const char *key, int known, uint64_t value) {
    if (known)
        (void) cJSON_AddNumberToObject(object, key, (double) value);
    else
        (void) cJSON_AddNullToObject(object, key);
}

static void add_usage(cJSON *object, const struct vm_usage *vm) {
    const int counted = (vm->usage.have & (USAGE_CGROUP | USAGE_PROCESS)) != 0;
    const int network = (vm->usage.have & USAGE_NETWORK) != 0;
    cJSON *vmm = cJSON_AddObjectToObject(object, "vmm");
    add_number(vmm, "cpu_ms", counted, vm->usage.cpu_us / 1000);
    add_number(vmm, "memory", counted, vm->usage.memory);
    (void) cJSON_AddStringToObject(vmm, "counted_by",
                                   vm->usage.have & USAGE_CGROUP    ? "cgroup"
                                   : vm->usage.have & USAGE_PROCESS ? "process"
                                                                    : "");
    cJSON *disk = cJSON_AddObjectToObject(object, "disk");
    add_number(disk, "root", 1, (uint64_t) vm->root);
    add_number(disk, "work", 1, (uint64_t) vm->work);
    cJSON *net = cJSON_AddObjectToObject(object, "network");
    add_number(net, "sent", network, vm->usage.sent);
    add_number(net, "received", network, vm->usage.received);
}

int vm_op_stats(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r;
    struct vm_usage usage;
    struct err why = {0};
    int rc = vm_asked(rpc, &r, e);
    if (rc)
        return rc;
    vm_usage_read(&r, &usage);
    cJSON *guest = usage.runs && r.state == VM_RUNNING ? ask_guest(&r, &why) : NULL;
    cJSON *object = *result = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "id", r.id);
    (void) cJSON_AddStringToObject(object, "name", r.name);
    (void) cJSON_AddStringToObject(object, "state", vm_state_name(r.state));
    (void) cJSON_AddNumberToObject(object, "clock_ms", (double) io_now_ms());
    if (guest)
        (void) cJSON_AddItemToObject(object, "guest", guest);
    else
        (void) cJSON_AddNullToObject(object, "guest");
    (void) cJSON_AddStringToObject(object, "detail", why.text);
    add_usage(object, &usage);
    return 0;
}
