/* From a stopped VM to a guest whose agent has answered. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../daemon/metrics.h"
#include "../daemon/monitor.h"
#include "../priv/priv.h"
#include "../vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BOOT_MS_KVM 120000
#define BOOT_MS_TCG 300000
#define ENDING_MS   2000

struct starting {
    struct rpc *rpc;
    struct vm_record *r;
    const struct vmm_driver *vmm;
    int kvm;
    int never_ready; /* the VMM was started and its guest did not come up */
    int fds[SPAWN_FDS];
    char cmdline[384];
    struct vmm_config config;
};

/* --- the steps -------------------------------------------------------------------- */

static void choose_accelerator(struct starting *s) {
    char why[256] = "";
    s->kvm = vmm_kvm_works(s->rpc->op, why);
    if (!s->kvm && s->vmm == &vmm_firecracker)
        rpc_warn(s->rpc, "KVM does not work here (%s), and Firecracker has nothing else: `--vmm qemu` can emulate",
                 why);
    else if (!s->kvm)
        rpc_warn(s->rpc, "KVM does not work here (%s): using emulation, which is slower", why);
    s->kvm |= s->vmm == &vmm_firecracker;
    (void) snprintf(s->r->accel, sizeof(s->r->accel), "%s", s->kvm ? "kvm" : "tcg");
}

static int network_up(struct starting *s, struct vm_live *live, struct err *e) {
    struct vm_record *r = s->r;
    const int named = s->vmm->style == SPAWN_BY_NAME;
    const uint32_t kind = (named ? WIRE_TAP_NAMED : WIRE_TAP_FD) | (r->ipv6 ? WIRE_TAP_IPV6 : 0);
    int tap = vm_taps_up(s->rpc->op, r->slot, kind, &r->subnet, e);
    if (tap < 0)
        return tap;
    s->fds[SPAWN_TAP] = named ? -1 : tap;
    int rc = vm_gate_make(live, r, time(NULL), e);
    return rc ? rc : gate_apply(live->gate, s->rpc->op, e);
}

/* One file of the VM's folder. */
struct file {
    const char *name;
    enum wire_spawn_fd role;
    int flags;
};
static const struct file folder_files[] = {
    {"vmm.log", SPAWN_LOG, O_RDWR | O_CREAT | O_TRUNC},
    {"console.log", SPAWN_CONSOLE, O_RDWR | O_CREAT | O_TRUNC},
    {"jail", SPAWN_JAIL, O_RDONLY | O_DIRECTORY},
    {"work.ext4", SPAWN_WORK, O_RDWR},
};

static int open_folder_files(struct starting *s, struct err *e) {
    cleanup_fd int dir = vm_folder_open(s->r->slot);
    if (dir < 0)
        return err_sys(e, -dir, "cannot open %s/vms/%03x", engine.state_path, s->r->slot);
    for (size_t i = 0; i < sizeof(folder_files) / sizeof(folder_files[0]); i++) {
        const struct file *file = &folder_files[i];
        int fd = vm_open(dir, file->name, file->flags);
        if (fd < 0)
            return err_sys(e, -fd, "cannot open %s/vms/%03x/%s", engine.state_path, s->r->slot, file->name);
        s->fds[file->role] = fd;
    }
    return 0;
}

/* The snapshot that was made with the VM, or a new one over its overlay. */
static int open_root(struct starting *s, struct vm_root *root, struct err *e) {
    const struct vm_record *r = s->r;
    if (vm_is_snapshot(r)) {
        int device = root->device >= 0 ? take_fd(&root->device) : vm_snapshot_open(s->rpc->op, r, e);
        s->fds[SPAWN_ROOT] = device < 0 ? -1 : device;
        return device < 0 ? device : 0;
    }
    cleanup_fd int dir = vm_folder_open(r->slot);
    int fd = dir < 0 ? dir : vm_open(dir, VM_ROOT_FILE, O_RDWR);
    if (fd < 0)
        return err_sys(e, -fd, "cannot open %s/vms/%03x/" VM_ROOT_FILE, engine.state_path, r->slot);
    s->fds[SPAWN_ROOT] = fd;
    return 0;
}

static int open_kernel_file(struct starting *s, enum wire_spawn_fd role, const char *name, struct err *e) {
    char path[64];
    (void) snprintf(path, sizeof(path), "kernels/%s/%s", s->r->kernel, name);
    int fd = vm_open(engine.state, path, O_RDONLY);
    if (fd < 0)
        return err_set(e, -fd,
                       "cannot open the kernel's file %s/%s (%s): import the kernel again with `banger kernel pull`",
                       engine.state_path, path, strerror(-fd));
    s->fds[role] = fd;
    return 0;
}

static int open_status(struct starting *s, struct err *e) {
    int fd = vm_status_lock(s->r->slot);
    if (fd == -EWOULDBLOCK)
        return err_set(e, EBUSY, "a VMM of VM %s is still alive; `banger vm kill %s` ends it", s->r->name, s->r->name);
    if (fd < 0)
        return err_sys(e, -fd, "cannot lock %s/vms/%03x/status", engine.state_path, s->r->slot);
    s->fds[SPAWN_STATUS] = fd;
    return ftruncate(fd, 0) ? err_sys(e, errno, "cannot empty the VM's status file") : 0;
}

static int open_sockets(struct starting *s, struct err *e) {
    if (s->vmm->style == SPAWN_BY_NAME)
        return 0; /* it makes its own */
    int qmp = monitor_listen(s->r->slot, MONITOR_QMP, e);
    if (qmp < 0)
        return qmp;
    s->fds[SPAWN_QMP] = qmp;
    int agent = monitor_listen(s->r->slot, MONITOR_AGENT, e);
    if (agent < 0)
        return agent;
    s->fds[SPAWN_AGENT] = agent;
    return 0;
}

static void dotted(char text[16], uint32_t address) {
    (void) snprintf(text, 16, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

/* A VM without IPv6 is told nothing of it. */
static void make_ipv6(const struct vm_record *r, char text[128]) {
    char address[INET6_ADDRSTRLEN], gateway[INET6_ADDRSTRLEN];
    text[0] = '\0';
    if (!r->ipv6)
        return;
    vm_ipv6_text(addr_guest(r->subnet, r->slot), address);
    vm_ipv6_text(addr_gateway(r->subnet), gateway);
    (void) snprintf(text, 128, " banger.addr6=%s/%d banger.gw6=%s", address, SUBNET6_PREFIX, gateway);
}

/* What the VMM is told of the VM, with the guest's own part of the command line. */
static void make_config(struct starting *s) {
    const struct vm_record *r = s->r;
    char address[16];
    char gateway[16];
    char dns[16] = "";
    char ipv6[128];
    dotted(address, addr_guest(r->subnet, r->slot));
    dotted(gateway, addr_gateway(r->subnet));
    uint32_t server = r->egress == WIRE_EGRESS_NAT ? vm_resolv_read() : 0;
    if (server)
        dotted(dns, server);
    make_ipv6(r, ipv6);
    (void) snprintf(s->cmdline, sizeof(s->cmdline), "banger.addr=%s/%d banger.gw=%s banger.name=%s%s%s%s", address,
                    SUBNET_PREFIX, gateway, r->name, server ? " banger.dns=" : "", dns, ipv6);
    s->config = (struct vmm_config){
        .name = r->name,
        .slot = r->slot,
        .vcpus = r->vcpus,
        .memory_mib = r->memory_mib,
        .kvm = s->kvm,
        .root_device = vm_is_snapshot(r),
        .tsc_khz = s->kvm ? 0 : vmm_tsc_khz(),
        .cmdline = s->cmdline,
    };
    addr_mac(s->config.mac, getuid(), r->slot);
}

static int make_arguments(struct starting *s, struct err *e) {
    make_config(s);
    int fd = s->vmm->arguments(&s->config, e);
    s->fds[SPAWN_ARGS] = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* Starts the VMM: its pidfd is the live entry's from then on. */
static int spawn(struct starting *s, struct vm_live *live, struct err *e) {
    struct vm_record *r = s->r;
    int pid = 0;
    uint32_t kind = 0;
    int found = vmm_kind(s->vmm, &kind, e);
    if (found < 0)
        return found;
    cleanup_fd int cgroup = monitor_cgroup(r->slot, r->memory_mib, r->vcpus, e);
    if (cgroup < 0 && cgroup != -EOPNOTSUPP)
        return cgroup;
    const struct priv_spawn what = {.slot = r->slot,
                                    .kind = kind,
                                    .style = s->vmm->style,
                                    .memory_mib = r->memory_mib,
                                    .vcpus = r->vcpus,
                                    .fds = s->fds,
                                    .cgroup = cgroup};
    int pidfd = priv_vmm_spawn(s->rpc->op, &what, &pid, e);
    if (pidfd < 0)
        return pidfd;
    r->pid = pid;
    r->started = time(NULL);
    r->state = VM_STARTING;
    int rc = vm_live_began(live, pidfd, e);
    if (rc == 0)
        rc = store_vm_update_soon(r, e);
    return rc;
}

/* --- waiting for the guest ------------------------------------------------------------ */

struct waiting {
    const struct rpc *rpc;
    int pidfd;
};

static int give_up(void *arg) {
    const struct waiting *w = arg;
    return vm_pid_ended(w->pidfd) || rpc_gone(w->rpc);
}

static void how_it_ended(uint32_t slot, char text[64]) {
    struct jail_status status = {0};
    (void) snprintf(text, 64, "ended");
    cleanup_fd int dir = vm_folder_open(slot);
    cleanup_fd int fd = dir < 0 ? -1 : vm_open(dir, "status", O_RDONLY);
    if (fd < 0 || pread(fd, &status, sizeof(status), 0) != (ssize_t) sizeof(status) || status.magic != JAIL_ARGS_MAGIC)
        return;
    int wait_status = (int) status.wait_status;
    if (WIFEXITED(wait_status))
        (void) snprintf(text, 64, "ended with exit status %d", WEXITSTATUS(wait_status));
    else if (WIFSIGNALED(wait_status))
        (void) snprintf(text, 64, "was ended by signal %d", WTERMSIG(wait_status));
}

/* Says what was last seen of a guest that never became ready. */
static int not_ready(const struct vm_record *r, int timeout_ms, int ended, struct err *e) {
    char line[160];
    char how[64];
    struct err cause = *e;
    vm_last_line(r->slot, "console.log", line, sizeof(line));
    if (line[0] == 0)
        vm_last_line(r->slot, "vmm.log", line, sizeof(line));
    if (line[0] == 0)
        (void) snprintf(line, sizeof(line), "nothing");
    if (ended) {
        how_it_ended(r->slot, how);
        return err_set(e, EIO,
                       "VM %s never became ready: its VMM %s; last seen: \"%s\"; `banger vm logs %s` shows more",
                       r->name, how, line, r->name);
    }
    if (cause.code == ETIMEDOUT)
        return err_set(
            e, ETIMEDOUT,
            "VM %s was not ready after %d s and was stopped; last seen: \"%s\"; `banger vm logs %s` shows more",
            r->name, timeout_ms / 1000, line, r->name);
    return err_set(e, cause.code, "VM %s never became ready: %s; `banger vm logs %s` shows more", r->name, cause.text,
                   r->name);
}

/* The guest's kernel boots meanwhile; it looks at its disks once it is greeted. */
static int disks_ready(struct starting *s, struct vm_root *root, struct err *e) {
    int copied = root->to >= 0;
    int rc = vm_disks_wait(root, e);
    if (rc == 0 && copied)
        rpc_progress(s->rpc, "disk", "disks ready", 1, 1);
    if (rc == 0)
        rpc_progress(s->rpc, "network", "network ready", 1, 1);
    return rc;
}

/* Connects to the agent and waits for its WELCOME: the link, or NULL. */
static struct link *greet(const struct starting *s, const struct vmm_wait *wait, struct err *e) {
    int sock = s->vmm->agent(s->r->slot, wait, e);
    long long left = wait->deadline - io_now_ms();
    return sock < 0 ? NULL : link_open(sock, 1, left > 0 ? (int) left : 0, wait->given_up, wait->arg, e);
}

/* Then this engine is about to end too, and the guest is not to blame. */
static int without_monitor(void) {
    int helper;
    char why[MONITOR_TEXT];
    struct err ignored;
    return monitor_status(&helper, why, &ignored) != 0;
}

/* Has the VMM boot where it does not by itself, the disks be complete, and the agent answer. */
static int wait_ready(struct starting *s, struct vm_live *live, struct vm_root *root, struct err *e) {
    int timeout_ms = s->kvm ? BOOT_MS_KVM : BOOT_MS_TCG;
    cleanup_fd int pidfd = vm_live_pidfd(live);
    struct waiting w = {.rpc = s->rpc, .pidfd = pidfd};
    struct vmm_wait wait = {.deadline = io_now_ms() + timeout_ms, .given_up = give_up, .arg = &w};
    struct link *link = NULL;
    int rc = s->vmm->boot ? s->vmm->boot(&s->config, &wait, e) : 0;
    if (rc == 0) {
        rc = disks_ready(s, root, e);
        if (rc)
            return rc;
        rpc_progress(s->rpc, "boot", "starting the guest", 0, 1);
        wait.deadline = io_now_ms() + timeout_ms;
        link = greet(s, &wait, e);
    }
    if (link) {
        vm_live_linked(live, link);
        return 0;
    }
    if (rpc_gone(s->rpc))
        return err_set(e, ECANCELED, "starting VM %s was cancelled", s->r->name);
    if (without_monitor())
        return err_set(e, ECANCELED, "starting VM %s was cut off: bangerd ended", s->r->name);
    s->never_ready = 1;
    /* A VMM that ends closes its sockets a moment before its jail is gone. */
    int ended = e->code != ETIMEDOUT && e->code != EPROTO && io_wait(pidfd, POLLIN, ENDING_MS) == 0;
    return not_ready(s->r, timeout_ms, ended, e);
}

/* --- start ------------------------------------------------------------------------------ */

static int run_steps(struct starting *s, struct vm_live *live, struct vm_root *root, struct err *e) {
    int rc = vm_publish_hold(s->r, e);
    if (rc == 0)
        rc = open_status(s, e);
    if (rc == 0)
        rc = vm_disk_grow(s->r, e);
    if (rc == 0)
        rc = vm_folder_jail(s->r->slot, e);
    if (rc == 0)
        rc = open_folder_files(s, e);
    if (rc == 0)
        rc = open_root(s, root, e);
    if (rc == 0)
        rc = open_kernel_file(s, SPAWN_KERNEL, "vmlinux", e);
    if (rc == 0)
        rc = open_kernel_file(s, SPAWN_INITRD, "initrd", e);
    if (rc)
        return rc;
    choose_accelerator(s);
    if (rpc_gone(s->rpc))
        return err_set(e, ECANCELED, "starting VM %s was cancelled", s->r->name);
    rc = network_up(s, live, e);
    if (rc == 0)
        rc = open_sockets(s, e);
    if (rc == 0)
        rc = make_arguments(s, e);
    if (rc == 0)
        rc = spawn(s, live, e);
    /* Now the VMM has its own: the lock on the status file must be the jail's alone, and
     * a snapshot goes with the last descriptor of it. */
    fdpass_close(s->fds, SPAWN_FDS);
    return rc ? rc : wait_ready(s, live, root, e);
}

/* Nothing of a failed start runs on. */
static void undo_start(struct starting *s, struct vm_live *live) {
    struct err e;
    cleanup_fd int pidfd = vm_live_pidfd(live);
    if (pidfd >= 0)
        (void) vm_pid_kill(pidfd);
    else /* a helper that died may have started it and not said so */
        vm_end_unknown(s->r->slot);
    if (vm_settle(s->rpc->op, live, s->r, s->never_ready ? VM_FAILED : VM_STOPPED, &e))
        log_error(s->rpc->op, "undoing the start of VM %s: %s", s->r->name, e.text);
}

int vm_start(struct rpc *rpc, struct vm_live *live, struct vm_record *r, struct vm_root *root, struct err *e) {
    struct starting s = {.rpc = rpc, .r = r, .vmm = vmm_of(r->vmm)};
    const long long began = io_now_ms();
    if (vm_live_runs(live))
        return err_set(e, EALREADY, "VM %s is running already", r->name);
    for (size_t i = 0; i < SPAWN_FDS; i++)
        s.fds[i] = -1;
    r->state = VM_STARTING;
    int rc = store_vm_update_soon(r, e); /* without power nothing runs: no state is waited for */
    if (rc == 0)
        rc = run_steps(&s, live, root, e);
    fdpass_close(s.fds, SPAWN_FDS);
    if (rc == 0)
        rc = vm_publish_open(r, e);
    if (rc == 0) {
        r->state = VM_RUNNING;
        rc = store_vm_update_soon(r, e);
    }
    vm_dns_changed(r);
    vm_idle_begin(live);
    vm_idle_end(live);
    if (rc) {
        undo_start(&s, live);
        return rc;
    }
    metrics_boot(io_now_ms() - began);
    rpc_progress(rpc, "boot", "the guest is up", 1, 1);
    rpc_progress(rpc, "ready", "ready", 1, 1);
    log_info(rpc->op, "VM %s: running, pid %d, %s", r->name, r->pid, r->accel);
    return 0;
}

int vm_op_start(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    int rc = vm_asked_lock(rpc, &live, &r, e);
    if (rc)
        return rc;
    struct vm_root none = VM_NO_ROOT;
    rc = vm_start(rpc, live, &r, &none, e);
    if (rc == 0)
        *result = vm_json(&r);
    vm_unlock(live);
    return rc;
}
