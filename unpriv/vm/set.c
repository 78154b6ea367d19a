/* vm.set: another size or another way out for a VM that exists. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/json.h"
#include "../../common/log.h"
#include "../daemon/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int vm_disk_grow(const struct vm_record *r, struct err *e) {
    struct stat st;
    cleanup_fd int dir = vm_folder_open(r->slot);
    cleanup_fd int work = dir < 0 ? dir : vm_open(dir, "work.ext4", O_RDWR);
    if (work < 0)
        return err_sys(e, -work, "cannot open %s/vms/%03x/work.ext4", engine.state_path, r->slot);
    if (fstat(work, &st) || (st.st_size < r->disk && ftruncate(work, r->disk)))
        return err_sys(e, errno, "cannot make the work disk of VM %s %lld bytes large", r->name, (long long) r->disk);
    return 0;
}

/* What the guest sees of its machine does not change while it runs. */
static int check(struct vm_live *live, const struct vm_record *old, const struct vm_record *r, struct err *e) {
    int machine =
        r->vcpus != old->vcpus || r->memory_mib != old->memory_mib || r->disk != old->disk || r->ipv6 != old->ipv6;
    if (r->disk < old->disk)
        return err_set(e, EINVAL, "the disk of VM %s has %lld bytes and only grows: ask for more", r->name,
                       (long long) old->disk);
    if (machine && vm_live_runs(live))
        return err_set(e, EBUSY, "VM %s is running, and so only its egress can be changed: `banger vm stop %s` first",
                       r->name, r->name);
    return 0;
}

/* The record comes first: a start makes good what is cut off after it. */
static int apply(struct rpc *rpc, struct vm_live *live, const struct vm_record *old, struct vm_record *r,
                 const struct egress_rules *rules, struct err *e) {
    int rc = store_vm_update(r, e);
    if (rc == 0 && r->disk != old->disk)
        rc = vm_disk_grow(r, e);
    if (rc == 0 && rules)
        rc = vm_egress_change(rpc->op, live, r, rules, e);
    struct err undo;
    if (rc && store_vm_update(old, &undo))
        log_error(rpc->op, "VM %s: %s", r->name, undo.text);
    return rc;
}

int vm_op_set(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record old;
    *result = NULL;
    int rc = vm_asked_lock(rpc, &live, &old, e);
    if (rc)
        return rc;
    struct vm_record r = old;
    struct egress_rules rules;
    const char *egress = json_string_or(rpc->args, "egress", "", e);
    rc = egress ? vm_sizes_parse(rpc->args, &r, e) : -EINVAL;
    if (rc == 0)
        rc = vm_text_parse(rpc->args, "head", r.head, sizeof(r.head), e);
    if (rc == 0 && egress[0])
        rc = egress_rules_parse(egress, &rules, e);
    if (rc == 0)
        rc = check(live, &old, &r, e);
    if (rc == 0)
        rc = apply(rpc, live, &old, &r, egress[0] ? &rules : NULL, e);
    if (rc == 0)
        *result = vm_json(&r);
    vm_unlock(live);
    return rc;
}
