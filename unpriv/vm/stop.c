/* The ways a VM ends: stop, restart, kill, delete; and what is tidied up in each. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/json.h"
#include "../../common/log.h"
#include "../daemon/monitor.h"
#include "../priv/priv.h"
#include "../vmm/vmm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define GRACE_MS      20000
#define GRACE_MS_MOST 600000

int vm_settle(uint64_t op, struct vm_live *live, struct vm_record *r, enum vm_state state, struct err *e) {
    int rc = 0;
    if (r->state != VM_STOPPED && r->state != VM_FAILED)
        rc = vm_taps_down(op, r->slot, e);
    vm_live_ended(live);
    vm_publish_end(r);
    struct err cgroup;
    (void) monitor_cgroup_end(r->slot, &cgroup); /* one that stays is remade at the next start */
    r->state = rc ? VM_STOPPING : state;         /* the next start-up takes down what could not be now */
    r->pid = 0;
    struct err store;
    int stored = store_vm_update_soon(r, &store);
    vm_dns_changed(r);
    if (stored && stored != -ENOENT && rc == 0) {
        *e = store;
        rc = stored;
    }
    return rc;
}

int vm_power_off(struct vm_live *live, const struct vm_record *r, int grace_ms, struct err *e) {
    cleanup_fd int pidfd = vm_live_pidfd(live);
    struct link *link = vm_live_link(live, r->name, e);
    int rc = link ? link_poweroff(link, e) : -e->code;
    link_drop(link);
    if (rc == 0 && pidfd >= 0 && io_wait(pidfd, POLLIN, grace_ms))
        rc = err_set(e, ETIMEDOUT, "VM %s did not power off within %d s", r->name, grace_ms / 1000);
    return rc;
}

/* Asks the guest, then its power button, then takes the power away. */
static int end_gently(struct vm_live *live, const struct vm_record *r, int pidfd, int grace_ms) {
    struct err e;
    int half = grace_ms / 2;
    struct link *link = vm_live_link_if(live);
    int asked = link && link_poweroff(link, &e) == 0;
    link_drop(link);
    if (asked && io_wait(pidfd, POLLIN, half) == 0)
        return 0;
    if (vmm_of(r->vmm)->powerdown(r->slot, &e) == 0 && io_wait(pidfd, POLLIN, asked ? grace_ms - half : grace_ms) == 0)
        return 0;
    return vm_pid_kill(pidfd);
}

static int not_running(const struct vm_record *r, struct err *e) {
    return err_set(e, ESRCH, "VM %s is not running; `banger vm start %s` starts it", r->name, r->name);
}

int vm_grace(const struct rpc *rpc, int *grace_ms, struct err *e) {
    int64_t grace = GRACE_MS;
    int rc = json_integer_or(rpc->args, "grace_ms", 0, GRACE_MS_MOST, &grace, e);
    *grace_ms = (int) grace;
    return rc;
}

/* It has ended, and its network or its record has not followed. */
static int is_unsettled(const struct vm_record *r, int pidfd) {
    return pidfd >= 0 ? vm_pid_ended(pidfd) : r->state != VM_STOPPED && r->state != VM_FAILED;
}

int vm_stop(uint64_t op, struct vm_live *live, struct vm_record *r, int grace_ms, struct err *e) {
    cleanup_fd int pidfd = vm_live_pidfd(live);
    if (pidfd < 0 && !is_unsettled(r, pidfd))
        return not_running(r, e);
    r->state = VM_STOPPING;
    (void) store_vm_update_soon(r, NULL);
    int rc = pidfd < 0 ? 0 : end_gently(live, r, pidfd, grace_ms);
    if (rc)
        return err_sys(e, -rc, "VM %s does not end", r->name);
    rc = vm_settle(op, live, r, VM_STOPPED, e);
    if (rc == 0)
        log_info(op, "VM %s: stopped", r->name);
    return rc;
}

int vm_op_stop(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    int grace = 0;
    int rc = vm_grace(rpc, &grace, e);
    if (rc == 0)
        rc = vm_asked_lock(rpc, &live, &r, e);
    if (rc)
        return rc;
    rc = vm_stop(rpc->op, live, &r, grace, e);
    if (rc == 0)
        *result = vm_json(&r);
    vm_unlock(live);
    return rc;
}

int vm_op_restart(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    struct vm_root none = VM_NO_ROOT;
    int grace = 0;
    int rc = vm_grace(rpc, &grace, e);
    if (rc == 0)
        rc = vm_asked_lock(rpc, &live, &r, e);
    if (rc)
        return rc;
    if (vm_live_runs(live)) {
        rpc_progress(rpc, "shutdown", "the guest powers off", 0, 1);
        rc = vm_stop(rpc->op, live, &r, grace, e);
    }
    if (rc == 0) {
        rpc_progress(rpc, "shutdown", "the guest is off", 1, 1);
        rc = vm_start(rpc, live, &r, &none, e);
    }
    if (rc == 0)
        *result = vm_json(&r);
    vm_unlock(live);
    return rc;
}

/* banger-jail passes these on; any other would do nothing to it or to the VMM. */
static int signal_check(int64_t number, struct err *e) {
    if (number == SIGINT || number == SIGKILL || number == SIGTERM)
        return 0;
    return err_set(e, EINVAL, "signal %d does nothing to a VM: use INT (2), KILL (9) or TERM (15)", (int) number);
}

/* Signals a VM whatever else goes on with it: a boot that hangs must be killable. */
static int signal_now(const char *name, int number, struct vm_record *r, struct err *e) {
    int rc = store_vm_get(name, r, e);
    if (rc)
        return rc;
    struct vm_live *live = vm_live_hold(r);
    if (!live)
        return err_set(e, ENOMEM, "out of memory");
    cleanup_fd int pidfd = vm_live_pidfd(live);
    vm_live_drop(live);
    if (pidfd < 0)
        return not_running(r, e);
    if (number == SIGKILL)
        rc = vm_pid_kill(pidfd);
    else if (pidfd_send_signal(pidfd, number, NULL, 0) && errno != ESRCH)
        rc = -errno;
    return rc ? err_sys(e, -rc, "sending signal %d to VM %s", number, r->name) : 0;
}

int vm_op_kill(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    int64_t number = SIGKILL;
    const char *name = json_string(rpc->args, "name", e);
    if (!name || json_integer_or(rpc->args, "signal", 1, SIGRTMAX, &number, e) || signal_check(number, e))
        return -EINVAL;
    int rc = signal_now(name, (int) number, &r, e);
    if (rc)
        return rc;
    if (number == SIGKILL) {
        rc = vm_lock(rpc, r.id, &live, &r, e);
        if (rc)
            return rc == -ENOENT ? 0 : rc;
        cleanup_fd int pidfd = vm_live_pidfd(live);
        if (is_unsettled(&r, pidfd))
            rc = vm_settle(rpc->op, live, &r, VM_STOPPED, e);
        vm_unlock(live);
        if (rc)
            return rc;
    }
    *result = vm_json(&r);
    return 0;
}

/* What runs, or is worked on, is in use: not for a request that only wants what is not. */
static int lock_unused(const char *id, struct vm_live **live, struct vm_record *r, struct err *e) {
    int rc = vm_trylock(id, live, r, e);
    if (rc || !vm_live_runs(*live))
        return rc;
    vm_unlock(*live);
    return err_set(e, EBUSY, "VM %s is running by now, so it is kept", r->name);
}

int vm_op_delete(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    struct err ignored;
    int unused = json_true(rpc->args, "unused");
    *result = NULL;
    int rc = vm_asked(rpc, &r, e);
    if (rc)
        return rc;
    if (!unused)
        (void) signal_now(r.id, SIGKILL, &r, &ignored);
    rc = unused ? lock_unused(r.id, &live, &r, e) : vm_lock(rpc, r.id, &live, &r, e);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    int64_t freed = vm_folder_size(r.slot);
    rc = vm_destroy(rpc->op, live, &r, e);
    vm_unlock(live);
    if (rc)
        return rc;
    *result = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(*result, "freed", (double) freed);
    return 0;
}
