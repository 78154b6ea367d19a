/* Start-up: look at every record and folder, compare with what is alive, mend. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../daemon/monitor.h"
#include "../priv/priv.h"
#include "../store/events.h"
#include "../vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define KEY_BOOT     "boot"
#define RELINK_STACK 131072
#define QUIT_MS      5000
#define QUIT_NAP     50000 /* microseconds between two looks at the lock */

/* --- all records ---------------------------------------------------------------------- */

static void add_record(const struct vm_record *r, void *arg) {
    struct vm_records *all = arg;
    if (all->count % 16 == 0) {
        struct vm_record *more = realloc(all->list, (all->count + 16) * sizeof(*more));
        all->failed |= !more;
        if (!more)
            return;
        all->list = more;
    }
    if (!all->failed)
        all->list[all->count++] = *r;
}

int vm_records_read(struct vm_records *all, struct err *e) {
    *all = (struct vm_records){0};
    int rc = store_vms(add_record, all, e);
    if (rc == 0 && all->failed) /* a folder without its record would be taken for an orphan */
        rc = err_set(e, ENOMEM, "no memory for the records of all VMs: free some");
    if (rc)
        free(all->list);
    return rc;
}

/* --- one VM ----------------------------------------------------------------------------- */

/* 1 while a jail holds the lock on the slot's status file. */
static int jail_alive(uint32_t slot) {
    cleanup_fd int lock = vm_status_lock(slot);
    return lock == -EWOULDBLOCK;
}

void vm_end_unknown(uint32_t slot) {
    struct err e;
    long long deadline = io_now_ms() + QUIT_MS;
    if (!jail_alive(slot))
        return;
    if (vmm_quit(slot, &e))
        log_warn(0, "slot %u: %s", slot, e.text);
    while (jail_alive(slot) && io_now_ms() < deadline)
        (void) usleep(QUIT_NAP);
}

/* The pidfd of the VM's jail, or -1 when it is dead. The pid is the jail's as long
 * as the jail lives, so it is looked at once more after the pidfd was made. */
static int find_process(const struct vm_record *r) {
    if (!jail_alive(r->slot))
        return -1;
    cleanup_fd int pidfd = r->pid > 0 ? pidfd_open(r->pid, 0) : -1;
    if (pidfd >= 0 && jail_alive(r->slot) && !vm_pid_ended(pidfd))
        return take_fd(&pidfd);
    if (pidfd < 0)
        vm_end_unknown(r->slot);
    return -1;
}

/* Connects the link again, so that commands of the last engine end and the next one starts at once. */
static void *relink(void *arg) {
    struct vm_live *live = arg;
    struct vm_record r;
    struct err e;
    if (store_vm_get(live->id, &r, &e) == 0) {
        struct link *link = vm_live_link(live, r.name, &e);
        if (!link)
            log_warn(0, "VM %s: %s", r.name, e.text);
        link_drop(link);
    }
    vm_live_drop(live);
    return NULL;
}

static void adopt(struct vm_live *live, struct vm_record *r, int pidfd) {
    struct err e;
    pthread_t thread;
    pthread_attr_t attr;
    if (vm_live_began(live, pidfd, &e) || vm_gate_make(live, r, r->started, &e))
        log_error(0, "VM %s: %s", r->name, e.text);
    r->state = VM_RUNNING;
    if (store_vm_update(r, &e))
        log_error(0, "VM %s: %s", r->name, e.text);
    log_info(0, "VM %s: found running, pid %d", r->name, r->pid);
    events_add(EVENT_VM_FOUND, r, "running, pid %d", r->pid);
    cleanup_fd int cgroup = monitor_cgroup(r->slot, r->memory_mib, r->vcpus, &e); /* its ceilings may be gone */
    if (cgroup < 0 && cgroup != -EOPNOTSUPP)
        log_error(0, "VM %s: %s", r->name, e.text);
    struct vm_live *held = vm_live_hold(r);
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void) pthread_attr_setstacksize(&attr, RELINK_STACK);
    if (held && pthread_create(&thread, &attr, relink, held))
        vm_live_drop(held);
    (void) pthread_attr_destroy(&attr);
}

/* What the VM may reach is what its record says, although the last engine died while that was being changed. */
static int mend_rules(struct vm_live *live, struct vm_record *r, struct err *e) {
    int rc = vm_egress_mend(0, live, r, e);
    if (rc > 0)
        events_add(EVENT_VM_MENDED, r, "a change of what it may reach was cut off: it is as before");
    return rc < 0 ? rc : 0;
}

/* What start-up puts right of a VM is in the log and among the events. */
static void say(const struct vm_record *r, const char *what) {
    log_warn(0, "VM %s: %s", r->name, what);
    events_add(EVENT_VM_MENDED, r, "%s", what);
}

/* A VMM that boots its guest only when it is told to may never have been. */
static int is_half_started(const struct vm_record *r) {
    return r->state == VM_STARTING && vmm_of(r->vmm)->boot;
}

/* Takes `pidfd`, -1 for none. */
static int end(struct vm_live *live, struct vm_record *r, int pidfd, int rebooted, struct err *e) {
    say(r, pidfd >= 0 ? "the last engine ended in the midst of its start: it is stopped"
           : rebooted ? "the machine was started anew: it does not run"
                      : "its VMM ended meanwhile: its network was taken down");
    if (pidfd >= 0) {
        (void) vm_pid_kill(pidfd);
        (void) close(pidfd);
    }
    return vm_settle(0, live, r, VM_STOPPED, e);
}

/* `rebooted`: the records are of an earlier run of the machine, whose last moments may be missing in them: a VM that
 * runs in its record may have been stopped, and one that is to be removed deleted. */
static void mend(struct vm_record *r, int rebooted) {
    struct err e;
    struct vm_live *live = vm_lock_new(r);
    if (!live)
        return;
    int pidfd = find_process(r);
    int rc = 0;
    if (r->remove) { /* its creation or deletion was cut off, or its run's client is gone with the last engine */
        if (pidfd >= 0 && vm_live_began(live, pidfd, &e))
            log_error(0, "VM %s: %s", r->name, e.text);
        say(r, rebooted ? "the machine went down before its making or removal was complete: it is removed"
                        : "its request was cut off by the last engine's end, it is removed");
        rc = vm_destroy(0, live, r, &e);
    } else if (pidfd >= 0 && !is_half_started(r)) {
        adopt(live, r, pidfd);
    } else if (r->state != VM_STOPPED && r->state != VM_FAILED) {
        rc = end(live, r, pidfd, rebooted, &e);
    }
    if (rc == 0 && !r->remove)
        rc = mend_rules(live, r, &e);
    if (rc)
        log_error(0, "VM %s: %s", r->name, e.text);
    vm_unlock(live);
}

/* --- snapshots ------------------------------------------------------------------------ */

/* A snapshot goes with its VMM; one whose last holder died in the midst of making it may be left. */
static void mend_snapshots(const struct vm_records *all) {
    uint64_t up[(SLOT_MAX + 63) / 64];
    struct err e;
    int wanted = 0;
    for (size_t i = 0; i < all->count; i++)
        wanted += vm_is_snapshot(&all->list[i]);
    if (!wanted)
        return;
    if (priv_snap_list(0, up, &e)) {
        log_warn(0, "%s", e.text);
        return;
    }
    for (size_t i = 0; i < all->count; i++) {
        const struct vm_record *r = &all->list[i];
        if (!vm_is_snapshot(r) || !(up[r->slot / 64] >> r->slot % 64 & 1) || jail_alive(r->slot))
            continue;
        if (priv_snap_down(0, r->slot, &e))
            log_warn(0, "VM %s: %s", r->name, e.text);
        else
            events_add(EVENT_VM_MENDED, r, "its last run had left a snapshot: it is removed");
    }
}

/* --- folders without a record --------------------------------------------------------- */

static int has_overlay(uint32_t slot) {
    cleanup_fd int dir = vm_folder_open(slot);
    cleanup_fd int overlay = dir < 0 ? dir : vm_open(dir, VM_OVERLAY, O_PATH);
    return overlay >= 0;
}

/* Only slots this state folder has a trace of: another daemon of the account may own the rest. */
static void remove_orphan(uint32_t slot, void *arg) {
    const struct vm_records *all = arg;
    struct err e;
    for (size_t i = 0; i < all->count; i++) {
        if (all->list[i].slot == slot)
            return;
    }
    if (vm_folder_is_mark(slot)) { /* a tap was ready there */
        if (priv_net_down(0, slot, &e))
            log_warn(0, "vms/%03x: %s", slot, e.text);
        else
            (void) vm_folder_unmark(slot);
        return;
    }
    log_warn(0, "vms/%03x: no VM owns this folder, it is removed", slot);
    events_add(EVENT_MENDED, NULL, "vms/%03x: no VM owns this folder, it is removed", slot);
    vm_end_unknown(slot);
    if (has_overlay(slot) && priv_snap_down(0, slot, &e))
        log_warn(0, "vms/%03x: %s", slot, e.text);
    if (priv_net_down(0, slot, &e) || vm_folder_remove(slot, &e))
        log_error(0, "vms/%03x: %s", slot, e.text);
}

/* The first call of the helper's net worker has it told what guests may reach. */
static void mend_egress(void) {
    uint64_t slots[(SLOT_MAX + 63) / 64];
    uint32_t subnet;
    struct err e;
    if (vm_running_count() > 0 && priv_net_list(0, slots, &subnet, &e))
        log_error(0, "%s", e.text);
}

/* Each by what its record says, which may be of an earlier run of the machine. */
static void mend_all(const struct vm_records *all) {
    struct err e;
    int64_t last = 0;
    if (store_setting_get(KEY_BOOT, &last, &e))
        log_error(0, "%s", e.text);
    for (size_t i = 0; i < all->count; i++)
        mend(&all->list[i], last && engine.boot && last != engine.boot);
    if (last != engine.boot && store_setting_set(KEY_BOOT, engine.boot, &e))
        log_error(0, "%s", e.text);
}

static int put_right(struct err *e) {
    struct vm_records all;
    int rc = vm_records_read(&all, e);
    if (rc)
        return rc;
    int swept = vm_folders_sweep();
    mend_all(&all);
    mend_snapshots(&all);
    mend_egress();
    vm_publish_recover();
    rc = vm_folders(remove_orphan, &all);
    free(all.list);
    rc = rc ? rc : swept;
    return rc ? err_sys(e, -rc, "cannot look at the VMs' folders") : 0;
}

static int begin_threads(struct err *e) {
    int rc = vm_egress_renew(e);
    if (rc == 0)
        rc = vm_idle_watch(e);
    return rc ? rc : vm_taps_begin(e);
}

int vm_recover(struct err *e) {
    struct err other;
    priv_on_net_worker(vm_egress_worker);
    int rc = put_right(e);
    if (rc == 0)
        return begin_threads(e);
    if (begin_threads(&other)) /* they serve the VMs that run, whatever could not be put right */
        log_error(0, "start-up: %s", other.text);
    return rc;
}
