/* The ways a VM ends: stop, kill, delete; and what is tidied up in each. */
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
        rc = priv_net_down(op, r->slot, e);
    vm_live_ended(live);
    struct err cgroup;
    (void) monitor_cgroup_end(r->slot, &cgroup); /* one that stays is remade at the next start */
    r->state = state;
    r->pid = 0;
    struct err store;
    int stored = store_vm_update(r, &store);
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
    if (vmm_qemu.powerdown(r->slot, &e) == 0 && io_wait(pidfd, POLLIN, asked ? grace_ms - half : grace_ms) == 0)
        return 0;
    return vm_pid_kill(pidfd);
}

static int not_running(const struct vm_record *r, struct err *e) {
    return err_set(e, ESRCH, "VM %s is not running; `banger vm start %s` starts it", r->name, r->name);
}

int vm_op_stop(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    int64_t grace = GRACE_MS;
    const char *name = json_string(rpc->args, "name", e);
    if (!name || json_integer_or(rpc->args, "grace_ms", 0, GRACE_MS_MOST, &grace, e))
        return -EINVAL;
    int rc = vm_lock(rpc, name, &live, &r, e);
    if (rc)
        return rc;
    cleanup_fd int pidfd = vm_live_pidfd(live);
    if (pidfd < 0) {
        rc = not_running(&r, e);
    } else {
        r.state = VM_STOPPING;
        (void) store_vm_update(&r, NULL);
        rc = end_gently(live, &r, pidfd, (int) grace);
        if (rc)
            rc = err_sys(e, -rc, "VM %s does not end", r.name);
        else
            rc = vm_settle(rpc->op, live, &r, VM_STOPPED, e);
    }
    if (rc == 0) {
        log_info(rpc->op, "VM %s: stopped", r.name);
        *result = vm_json(&r);
    }
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
        if (pidfd >= 0 && vm_pid_ended(pidfd))
            rc = vm_settle(rpc->op, live, &r, VM_STOPPED, e);
        vm_unlock(live);
        if (rc)
            return rc;
    }
    *result = vm_json(&r);
    return 0;
}

int vm_op_delete(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    struct err ignored;
    *result = NULL;
    const char *name = json_string(rpc->args, "name", e);
    int rc = name ? store_vm_get(name, &r, e) : -EINVAL;
    if (rc)
        return rc;
    (void) signal_now(r.id, SIGKILL, &r, &ignored);
    rc = vm_lock(rpc, r.id, &live, &r, e);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    rc = vm_destroy(rpc->op, live, &r, e);
    vm_unlock(live);
    return rc;
}
