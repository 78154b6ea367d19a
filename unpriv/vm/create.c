#include "internal.h"

#include "../../common/log.h"
#include "../priv/priv.h"
#include "../vmm/vmm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_ATTEMPTS 20

/* --- slot and name: one creation at a time, for a few milliseconds --------------- */

static pthread_mutex_t choosing = PTHREAD_MUTEX_INITIALIZER;

typedef uint64_t slot_set[(SLOT_MAX + 63) / 64];

static int has_slot(const slot_set slots, uint32_t slot) {
    return (slots[slot / 64] >> slot % 64 & 1) != 0;
}

static void take_slot(const struct vm_record *r, void *arg) {
    uint64_t *slots = arg;
    slots[r->slot / 64] |= 1ull << r->slot % 64;
}

/* The lowest slot that neither a record nor the kernel has. A tap that is just being taken apart does not
 * count: whoever sets up the slot's network waits for its end. */
static int free_slot(uint64_t op, uint32_t *slot, struct err *e) {
    slot_set closing, kernel, records = {0};
    uint32_t subnet;
    vm_taps_closing(closing); /* first: one that ends meanwhile is in the kernel's list still */
    int rc = priv_net_list(op, kernel, &subnet, e);
    if (rc == 0)
        rc = store_vms(take_slot, records, e);
    if (rc)
        return rc;
    for (*slot = 0; *slot < SLOT_MAX; ++*slot) {
        if (!has_slot(records, *slot) &&
            (has_slot(closing, *slot) || (!has_slot(kernel, *slot) && !vm_taps_has(*slot))))
            return 0;
    }
    return err_set(e, ENOSPC, "all %d slots for VMs are taken: delete one with `banger vm delete`", SLOT_MAX);
}

int vm_slot_claim(uint32_t *slot, struct err *e) {
    (void) pthread_mutex_lock(&choosing);
    int rc = free_slot(0, slot, e);
    if (rc == 0)
        vm_taps_claim(*slot);
    else
        *slot = SLOT_MAX;
    (void) pthread_mutex_unlock(&choosing);
    return rc;
}

/* One whose tap waits (for IPv4), for a VM that is about to use it. For any other the lowest, whether a tap waits there
 * or not: the policy allows the first so many. */
static int choose_slot(uint64_t op, const struct vm_spec *spec, struct vm_record *r, struct err *e) {
    uint32_t slot;
    if (spec->start && !r->ipv6 && vmm_of(r->vmm)->style == SPAWN_BY_FD && vm_taps_take(&r->slot, SLOT_MAX)) {
        r->state = VM_STOPPING; /* its network is up: whoever undoes this takes it down */
        return 0;
    }
    int rc = free_slot(op, &r->slot, e);
    if ((rc == 0 || rc == -ENOSPC) && vm_taps_take(&slot, r->slot)) {
        r->slot = slot;
        rc = vm_taps_down(op, slot, e);
    }
    return rc;
}

static int choose_name(struct vm_record *r, struct err *e) {
    struct vm_record other;
    for (unsigned i = 0; i < NAME_ATTEMPTS; i++) {
        vm_name_random(r->name, i);
        if (store_vm_get(r->name, &other, NULL) == -ENOENT)
            return 0;
    }
    return err_set(e, EEXIST, "no free random name was found: give one with `--name`");
}

/* Nothing of it stays. */
static void unmake(uint64_t op, struct vm_live *live, struct vm_record *r) {
    struct err e;
    if (vm_destroy(op, live, r, &e))
        log_error(op, "undoing the creation of VM %s: %s", r->name, e.text);
    vm_unlock(live);
}

/* On success the record is in the store and its lock is held. */
static int add_record(uint64_t op, const struct vm_spec *spec, struct vm_live **live, struct vm_record *r,
                      struct err *e) {
    vm_id_random(r->id);
    r->remove = 1; /* until the request has succeeded */
    *live = vm_lock_new(r);
    int rc = *live ? store_vm_add_soon(r, e) : err_set(e, ENOMEM, "out of memory");
    if (rc == 0 && r->egress == WIRE_EGRESS_LIST)
        rc = store_egress_set(r->id, spec->rules.text, e);
    if (rc && *live)
        unmake(op, *live, r);
    return rc;
}

/* Chooses what was left open, and adds the record; the lock is held, as above. */
static int register_vm(uint64_t op, const struct vm_spec *spec, struct vm_live **live, struct vm_record *r,
                       struct err *e) {
    *r = spec->record;
    (void) pthread_mutex_lock(&choosing);
    int rc = spec->named ? 0 : choose_name(r, e);
    if (rc == 0 && spec->named && store_vm_get(r->name, r, NULL) == 0)
        rc = err_set(e, EEXIST, "a VM named %s exists already: `banger vm list` shows it, `--name` chooses another",
                     r->name);
    r->state = VM_STOPPED;
    if (rc == 0)
        rc = choose_slot(op, spec, r, e);
    if (rc == 0)
        rc = add_record(op, spec, live, r, e);
    (void) pthread_mutex_unlock(&choosing);
    return rc;
}

/* --- making and unmaking ------------------------------------------------------------ */

int vm_create(struct rpc *rpc, struct vm_spec *spec, struct vm_live **live, struct vm_record *r, struct vm_root *root,
              struct err *e) {
    *root = VM_NO_ROOT;
    int rc = register_vm(rpc->op, spec, live, r, e);
    if (rc)
        return rc;
    rc = spec->start ? vm_publish_hold(r, e) : vm_publish_look(r, e);
    if (rc == 0) {
        rpc_progress(rpc, "disk", "making the disks", 0, 0);
        rc = vm_folder_make(r->slot, e);
    }
    if (rc == 0)
        rc = vm_disks_begin(rpc, spec, r, root, e);
    if (rc == 0 && rpc_gone(rpc))
        rc = err_set(e, ECANCELED, "creating the VM was cancelled");
    if (rc == 0)
        rc = store_vm_update_soon(r, e);
    if (rc) {
        vm_disks_abandon(root);
        unmake(rpc->op, *live, r);
    }
    return rc;
}

int vm_destroy(uint64_t op, struct vm_live *live, struct vm_record *r, struct err *e) {
    int pidfd = vm_live_pidfd(live);
    if (pidfd >= 0) {
        int rc = vm_pid_kill(pidfd);
        (void) close(pidfd);
        if (rc)
            return err_sys(e, -rc, "VM %s does not end", r->name);
    }
    const uint32_t before = r->remove;
    r->remove = 1; /* cut off from here on, the next start-up finishes it */
    int rc = vm_settle(op, live, r, VM_STOPPED, e);
    if (rc == 0 && !before) /* no record without its disks, also where the power goes */
        rc = store_sync(e);
    if (rc == 0)
        rc = vm_folder_remove(r->slot, e);
    if (rc) { /* it stays */
        r->remove = before;
        (void) store_vm_update(r, NULL);
        return rc;
    }
    rc = vm_known_hosts_drop(r->name, e);
    if (rc == 0)
        rc = store_vm_delete_soon(r->id, e); /* with `remove` set it does not come back */
    if (rc == -ENOENT)
        rc = 0;
    if (rc == 0)
        log_info(op, "VM %s: deleted", r->name);
    return rc;
}

/* The VM outlives its request, and the machine's power: what is recorded for good has its disks. */
static int keep(struct vm_record *r, struct err *e) {
    int rc = vm_disks_sync(r, e);
    if (rc)
        return rc;
    r->remove = 0;
    return store_vm_update(r, e);
}

static int start_if_asked(struct rpc *rpc, int start, struct vm_live *live, struct vm_record *r, struct vm_root *root,
                          struct err *e) {
    if (start)
        return vm_start(rpc, live, r, root, e);
    int rc = vm_disks_wait(root, e);
    if (rc == 0)
        rpc_progress(rpc, "disk", "disks ready", 1, 1);
    return rc;
}

int vm_create_and_start(struct rpc *rpc, int remove, struct vm_live **live, struct vm_record *r, struct err *e) {
    struct vm_spec spec;
    struct vm_root root;
    int rc = vm_spec_parse(rpc, &spec, e);
    spec.keep = !remove;
    if (rc == 0)
        rc = vm_create(rpc, &spec, live, r, &root, e);
    if (rc)
        return rc;
    rc = start_if_asked(rpc, spec.start || remove, *live, r, &root, e);
    vm_disks_abandon(&root);
    if (rc == 0)
        rc = vm_prepare(rpc, *live, r, e);
    if (rc == 0 && rpc_gone(rpc))
        rc = err_set(e, ECANCELED, "creating VM %s was cancelled", r->name);
    if (rc == 0 && !remove)
        rc = keep(r, e);
    if (rc == 0)
        return 0;
    struct err ignored;
    if (r->state == VM_FAILED && keep(r, &ignored) == 0) {
        log_warn(rpc->op, "VM %s is kept: its guest never became ready", r->name);
        vm_unlock(*live);
    } else {
        unmake(rpc->op, *live, r);
    }
    return rc;
}

int vm_op_create(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    int rc = vm_create_and_start(rpc, 0, &live, &r, e);
    if (rc)
        return rc;
    *result = vm_json(&r);
    vm_unlock(live);
    return 0;
}
