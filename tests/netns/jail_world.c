#include "jail_world.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/jailargs.h"
#include "../../unpriv/daemon/monitor.h"
#include "../../unpriv/vmm/args.h"
#include "../../unpriv/vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct world world;
static int passed, failed, skipped;

void ok(const char *name) {
    passed++;
    printf("ok %s\n", name);
}
void not_ok(const char *name, const char *fmt, ...) {
    va_list list;
    failed++;
    printf("not ok %s: ", name);
    va_start(list, fmt);
    vprintf(fmt, list);
    va_end(list);
    printf("\n");
}
void check(int good, const char *name, const char *fmt, ...) {
    char text[1024];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof(text), fmt, list);
    va_end(list);
    if (good)
        ok(name);
    else
        not_ok(name, "%s", text);
}
void skip(const char *name, const char *why) {
    skipped++;
    printf("SKIP %s: %s\n", name, why);
}
int summary(void) {
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}

static void die(const char *what) {
    not_ok("setup", "%s: %s", what, strerror(errno));
    exit(summary() || 1);
}

void as_root(void) {
    if (seteuid(0) || setegid(0))
        abort();
}
void as_account(void) {
    as_root();
    if (setegid(world.gid) || seteuid(world.uid))
        abort();
}

void helper_start(void) {
    int pairs[WIRE_WORKERS][2];
    struct group *group = getgrnam("banger");
    gid_t gids[] = {world.gid, group ? group->gr_gid : world.gid};
    as_root();
    for (int i = 0; i < WIRE_WORKERS; i++) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[i]))
            die("socketpair");
        world.workers[i] = pairs[i][0];
    }
    world.helper = fork();
    if (world.helper == 0) {
        int high[WIRE_WORKERS];
        for (int i = 0; i < WIRE_WORKERS; i++)
            high[i] = fcntl(pairs[i][1], F_DUPFD_CLOEXEC, 50);
        for (int i = 0; i < WIRE_WORKERS; i++)
            (void) dup2(high[i], WIRE_FD_FIRST + i);
        if (setgroups(2, gids) || setresgid(world.gid, world.gid, world.gid) ||
            setresuid(world.uid, world.uid, world.uid))
            _exit(126);
        (void) execl(BANGER_LIBEXECDIR "/banger-helper", "banger-helper", (char *) NULL);
        _exit(127);
    }
    for (int i = 0; i < WIRE_WORKERS; i++)
        close(pairs[i][1]);
    as_account();
}

void helper_kill(void) {
    as_root();
    pid_t worker;
    while ((worker = child_of(world.helper)) > 0) {
        kill(worker, SIGKILL);
        usleep(50000);
    }
    kill(world.helper, SIGKILL);
    (void) waitpid(world.helper, NULL, 0);
    for (int i = 0; i < WIRE_WORKERS; i++)
        close(world.workers[i]);
    as_account();
}

int ask(enum wire_worker worker, const struct wire_request *request, const int *fds, struct wire_reply *reply) {
    struct wire_request r = *request;
    int fd = -1;
    size_t count = 0;
    r.version = WIRE_VERSION;
    r.size = sizeof(r);
    *reply = (struct wire_reply){.verdict = ~0u};
    if (fdpass_send(world.workers[worker], &r, sizeof(r), fds, wire_request_fds(&r)))
        return -1;
    if (io_wait(world.workers[worker], POLLIN, 15000) ||
        fdpass_recv(world.workers[worker], reply, sizeof(*reply), &fd, 1, &count) != (ssize_t) sizeof(*reply))
        reply->verdict = ~0u;
    return count ? fd : -1;
}

static void path_of(char out[108], uint32_t slot, const char *name) {
    int n = snprintf(out, 108, "%s/%03x/%s", world.folder, slot, name);
    if (n < 0 || n >= 108)
        abort();
}

static int file(const struct vm *vm, const char *name, off_t size) {
    char path[108];
    path_of(path, vm->slot, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, size))
        die(path);
    return fd;
}

static struct sockaddr_un address(uint32_t slot, const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    path_of(a.sun_path, slot, name);
    return a;
}

static int listener(const struct vm *vm, const char *name) {
    struct sockaddr_un a = address(vm->slot, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(a.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) || listen(fd, 8))
        die(a.sun_path);
    return fd;
}

/* What bangerd's monitor does for the driver. */
int monitor_connect(uint32_t slot, enum monitor_socket which, struct err *e) {
    struct sockaddr_un a = address(slot, which == MONITOR_QMP ? "qmp.sock" : "agent.sock");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &a, sizeof(a)))
        return err_sys(e, errno, "connect %s", a.sun_path);
    return fd;
}

/* And for the helper's client. */
int monitor_helper(enum wire_worker worker, struct err *e) {
    int fd = fcntl(world.workers[worker], F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? err_sys(e, errno, "no helper") : fd;
}

/* What every style has. */
static void prepare(struct vm *vm, uint32_t slot, enum wire_style style) {
    char path[108];
    *vm = (struct vm){.slot = slot, .style = style, .cgroup = -1, .pidfd = -1};
    for (int role = 0; role < SPAWN_FDS; role++)
        vm->fds[role] = -1;
    as_account();
    path_of(path, slot, "");
    mkdir(path, 0700);
    path_of(path, slot, "jail");
    mkdir(path, 0700);
    vm->fds[SPAWN_JAIL] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void) unlinkat(vm->fds[SPAWN_JAIL], "api.sock", 0); /* of a VMM before: it would not start */
    vm->fds[SPAWN_LOG] = file(vm, "log", 0);
    vm->fds[SPAWN_CONSOLE] = file(vm, "console", 0);
    vm->fds[SPAWN_KERNEL] = open(world.kernel, O_RDONLY | O_CLOEXEC);
    vm->fds[SPAWN_INITRD] = open(world.initrd, O_RDONLY | O_CLOEXEC);
    vm->fds[SPAWN_ROOT] = file(vm, "root.img", 64 << 20);
    vm->fds[SPAWN_WORK] = file(vm, "work.img", 64 << 20);
    vm_lock(vm);
}

static void all_there(const struct vm *vm, const struct wire_reply *reply) {
    for (int role = 0; role < (vm->style == SPAWN_BY_NAME ? SPAWN_NAMED_FDS : SPAWN_FDS); role++) {
        if (vm->fds[role] >= 0)
            continue;
        fprintf(stderr, "descriptor %d of slot %u: verdict %u reason %u error %d step %u\n", role, vm->slot,
                reply->verdict, reply->reason, reply->error, reply->step);
        die("a descriptor of the VM");
    }
}

void vm_prepare(struct vm *vm, uint32_t slot) {
    struct wire_reply reply;
    struct vmm_config config = {.name = "vm0",
                                .slot = slot,
                                .vcpus = 2,
                                .memory_mib = 256,
                                .kvm = world.kvm,
                                .tsc_khz = vmm_tsc_khz(),
                                .cmdline = "banger.name=vm0"};
    struct err e = {0};
    prepare(vm, slot, SPAWN_BY_FD);
    addr_mac(config.mac, world.uid, slot);
    vm->fds[SPAWN_ARGS] = vmm_qemu.arguments(&config, &e);
    vm->fds[SPAWN_QMP] = listener(vm, "qmp.sock");
    vm->fds[SPAWN_AGENT] = listener(vm, "agent.sock");
    struct wire_request up = {.op = WIRE_NET_UP, .slot = slot};
    vm->fds[SPAWN_TAP] = ask(WIRE_NET, &up, NULL, &reply);
    all_there(vm, &reply);
}

/* root's command with the account's words; dies when it fails. */
static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *fmt, ...) {
    char command[256];
    va_list list;
    va_start(list, fmt);
    vsnprintf(command, sizeof(command), fmt, list);
    va_end(list);
    as_root();
    if (system(command) != 0)
        die(command);
    as_account();
}

void vm_prepare_named(struct vm *vm, uint32_t slot) {
    struct wire_reply reply;
    struct jail_args args;
    char tap[IFNAME_SIZE];
    addr_tap_name(tap, world.uid, slot);
    prepare(vm, slot, SPAWN_BY_NAME);
    vmm_args_start(&args);
    vmm_args_add(&args, tap);
    vmm_args_add(&args, "btforeign");
    vm->fds[SPAWN_ARGS] = vmm_args_seal(&args, NULL);
    /* A helper killed in between may have left the slot's tap; that is for the caller to know. */
    struct wire_request down = {.op = WIRE_NET_DOWN, .slot = slot};
    (void) ask(WIRE_NET, &down, NULL, &reply);
    struct wire_request up = {.op = WIRE_NET_UP, .slot = slot, .kind = WIRE_TAP_NAMED};
    int fd = ask(WIRE_NET, &up, NULL, &reply);
    if (fd >= 0)
        close(fd);
    if (reply.verdict != WIRE_DONE) {
        fprintf(stderr, "verdict %u reason %u error %d step %u\n", reply.verdict, reply.reason, reply.error,
                reply.step);
        die("a named tap");
    }
    run("ip tuntap add dev btforeign mode tap user 1");
    all_there(vm, &reply);
}

void vm_spawn(struct vm *vm, uint32_t kind, struct wire_reply *reply) {
    struct wire_request r = {.op = WIRE_VMM_SPAWN,
                             .slot = vm->slot,
                             .kind = kind,
                             .style = vm->style,
                             .in_cgroup = vm->cgroup >= 0,
                             .memory_mib = 256,
                             .vcpus = 2};
    int fds[SPAWN_ROLES];
    memcpy(fds, vm->fds, sizeof(vm->fds));
    if (r.in_cgroup)
        fds[wire_request_fds(&r) - 1] = vm->cgroup;
    vm->pidfd = ask(WIRE_VMM, &r, fds, reply);
    vm->pid = reply->pid;
    close(vm->fds[SPAWN_STATUS]);
    vm->fds[SPAWN_STATUS] = -1;
}

void vm_kill(struct vm *vm) {
    if (vm->pidfd < 0)
        return;
    (void) syscall(SYS_pidfd_send_signal, vm->pidfd, SIGKILL, NULL, 0);
    (void) io_wait(vm->pidfd, POLLIN, 5000);
    close(vm->pidfd);
    vm->pidfd = -1;
}

void vm_lock(struct vm *vm) {
    if (vm->fds[SPAWN_STATUS] >= 0)
        return;
    vm->fds[SPAWN_STATUS] = file(vm, "status", 0);
    if (flock(vm->fds[SPAWN_STATUS], LOCK_EX | LOCK_NB))
        die("flock");
}

void vm_end(struct vm *vm) {
    vm_kill(vm);
    fdpass_close(vm->fds, SPAWN_FDS);
    struct wire_reply reply;
    struct wire_request down = {.op = WIRE_NET_DOWN, .slot = vm->slot};
    (void) ask(WIRE_NET, &down, NULL, &reply);
    if (vm->style == SPAWN_BY_NAME) {
        /* The reply comes before the tap is gone, and this helper may be killed next. */
        char tap[IFNAME_SIZE];
        addr_tap_name(tap, world.uid, vm->slot);
        run("for i in $(seq 100); do ip link show %s >/dev/null 2>&1 || break; sleep 0.02; done", tap);
        run("ip link delete btforeign");
    }
}

int vm_wait(const struct vm *vm, int timeout_ms) {
    char path[108];
    struct jail_status status = {0};
    if (io_wait(vm->pidfd, POLLIN, timeout_ms))
        return -1;
    path_of(path, vm->slot, "status");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, &status, sizeof(status));
    close(fd);
    return n == (ssize_t) sizeof(status) && status.magic == JAIL_ARGS_MAGIC ? (int) status.wait_status : -1;
}

const char *vm_read(const struct vm *vm, const char *name) {
    static char text[1 << 16];
    char path[108];
    path_of(path, vm->slot, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

void vm_results(const struct vm *vm) {
    char *text = strdup(vm_read(vm, "console")), *state = NULL;
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        if (strncmp(line, "ok ", 3) == 0)
            ok(line + 3);
        else
            not_ok("probe", "%s", line);
    }
    free(text);
}

int vm_shows(const struct vm *vm, const char *name, const char *wanted, int timeout_ms) {
    for (long long end = io_now_ms() + timeout_ms; io_now_ms() < end; usleep(20000)) {
        if (strstr(vm_read(vm, name), wanted))
            return 1;
        if (io_wait(vm->pidfd, POLLIN, 0) == 0)
            break;
    }
    return strstr(vm_read(vm, name), wanted) != NULL;
}

int vm_locked(const struct vm *vm) {
    char path[108];
    path_of(path, vm->slot, "status");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int locked = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return locked;
}

pid_t child_after(pid_t pid, int skipped) {
    char path[64];
    int child = -1;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    FILE *f = fopen(path, "re");
    for (int i = 0; f && i <= skipped; i++) {
        if (fscanf(f, "%d", &child) != 1)
            child = -1;
    }
    if (f)
        fclose(f);
    return child;
}

pid_t child_of(pid_t pid) {
    return child_after(pid, 0);
}
