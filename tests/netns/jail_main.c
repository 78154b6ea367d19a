/* VMM_SPAWN through the real helper: jails, a real guest, and what goes wrong.
 *
 *   jail-test UID GID FOLDER KERNEL INITRD [PART]
 *
 * Root, in a world of its own (tests/world.sh), with banger installed and the
 * policy's VMM 0 = QEMU, VMM 1 = jail_probe, VMM 2 = jail_named, VMM 3 = jail_hog. FOLDER
 * is the account's. PART is a row of the table at the end. */
#include "../../common/io.h"
#include "../../common/jailargs.h"
#include "../../policy/policy.h"
#include "../../unpriv/daemon/monitor.h"
#include "../../unpriv/vmm/args.h"
#include "../../unpriv/vmm/vmm.h"
#include "jail_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int signal_to(const struct vm *vm, int number) {
    return (int) syscall(SYS_pidfd_send_signal, vm->pidfd, number, NULL, 0);
}

/* The same through the engine's own code; the second answer is remembered. */
static void trial_of_the_engine(int expected) {
    char why[256] = "", again[256] = "";
    int works = vmm_kvm_works(1, why);
    check(works == expected && (works || strstr(why, "KVM") || strstr(why, "kvm")), "the engine finds the same",
          "%d: %s", works, why);
    long long start = io_now_ms();
    check(vmm_kvm_works(1, again) == works && strcmp(why, again) == 0 && io_now_ms() - start <= 2, "and remembers it",
          "%lld ms, %s", io_now_ms() - start, again);
}

static void trial(void) {
    struct jail_args none;
    struct wire_reply reply;
    struct jail_status status = {0};
    char why[256] = "";
    vmm_args_start(&none);
    int fds[] = {vmm_args_seal(&none, NULL), memfd_create("log", MFD_CLOEXEC), memfd_create("status", MFD_CLOEXEC)};
    struct wire_request r = {.op = WIRE_VMM_SPAWN, .style = SPAWN_TRIAL};
    int pidfd = ask(WIRE_VMM, &r, fds, &reply);
    check(pidfd >= 0, "trial starts", "verdict %u reason %u error %d step %u", reply.verdict, reply.reason, reply.error,
          reply.step);
    int ended = pidfd >= 0 && io_wait(pidfd, POLLIN, 5000) == 0;
    check(ended, "trial ends in time", "it runs on");
    check(pread(fds[SPAWN_STATUS], &status, sizeof(status), 0) == (ssize_t) sizeof(status) &&
              status.magic == JAIL_ARGS_MAGIC,
          "trial leaves a status", "it does not");
    (void) !pread(fds[SPAWN_LOG], why, sizeof(why) - 1, 0);
    int works = world.kvm = ended && status.wait_status == 0;
    check(works || (status.wait_status == W_EXITCODE(1, 0) && strlen(why) > 10),
          "trial gives a verdict with its reason", "status %x, %s", status.wait_status, why);
    printf("    KVM works: %s %s", works ? "yes" : "no:", works ? "\n" : why);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(pidfd);
    trial_of_the_engine(works);
}

/* Each descriptor in turn is something else that an engine could hold. */
static void wrong_descriptors(void) {
    struct vm vm;
    struct wire_reply reply;
    int pair[2];
    vm_prepare(&vm, 3);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
    for (int role = 0; role < SPAWN_FDS; role++) {
        int wrong[] = {null, pair[0], role == SPAWN_JAIL ? vm.fds[SPAWN_ROOT] : vm.fds[SPAWN_JAIL]};
        int denied = 0, kept = vm.fds[role];
        for (size_t i = 0; i < 3; i++) {
            struct wire_request r = {.op = WIRE_VMM_SPAWN, .slot = 3, .memory_mib = 256, .vcpus = 1};
            vm.fds[role] = wrong[i];
            int fd = ask(WIRE_VMM, &r, vm.fds, &reply);
            denied += fd < 0 && reply.verdict == WIRE_DENIED && reply.reason == POLICY_DESCRIPTOR;
        }
        vm.fds[role] = kept;
        char name[64];
        snprintf(name, sizeof(name), "descriptor %d of a wrong type is denied", role);
        check(denied == 3, name, "%d of 3, last: verdict %u reason %u", denied, reply.verdict, reply.reason);
    }
    close(null);
    close(pair[0]);
    close(pair[1]);
    vm_end(&vm);
}

/* A file that is not there when the child mounts it must come back as a failure, not a VM. */
static void unmountable(void) {
    struct vm vm;
    struct wire_reply reply;
    vm_prepare(&vm, 3);
    close(vm.fds[SPAWN_KERNEL]);
    int fd = memfd_create("kernel", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    vm.fds[SPAWN_KERNEL] = open(path, O_RDONLY | O_CLOEXEC);
    close(fd);
    vm_spawn(&vm, 0, &reply);
    check(vm.pidfd < 0 && reply.verdict == WIRE_FAILED && reply.error == EINVAL && (reply.step & 255) == 3,
          "what cannot be mounted is said, with the step", "verdict %u error %d step %u", reply.verdict, reply.error,
          reply.step);
    check(!vm_locked(&vm), "a failed spawn leaves no lock", "it is locked");
    vm_end(&vm);
}

static void bad_arguments(void) {
    struct vm vm;
    struct wire_reply reply;
    struct jail_args args;
    vm_prepare(&vm, 3);
    close(vm.fds[SPAWN_ARGS]);
    vmm_args_start(&args);
    vmm_args_add(&args, "-version");
    args.argc = 2;
    vm.fds[SPAWN_ARGS] = vmm_args_seal(&args, NULL);
    vm_spawn(&vm, 0, &reply);
    int status = vm_wait(&vm, 5000);
    check(status == W_EXITCODE(125, 0) && strstr(vm_read(&vm, "log"), "argument block"),
          "a malformed argument block ends the jail with a reason", "status %x, log %s", status, vm_read(&vm, "log"));
    vm_end(&vm);
}

/* VMM 1 tries what a VMM taken over by its guest would try; each line it prints is a result. */
static void probe(void) {
    struct vm vm;
    struct wire_reply reply;
    vm_prepare(&vm, 3);
    vm_spawn(&vm, 1, &reply);
    int status = vm_wait(&vm, 10000);
    check(status == W_EXITCODE(42, 0), "the VMM's exit status comes back", "status %x verdict %u error %d step %u",
          status, reply.verdict, reply.error, reply.step);
    vm_results(&vm);
    check(strstr(vm_read(&vm, "log"), "to stderr") != NULL, "the VMM's stderr is in the log", "%s",
          vm_read(&vm, "log"));
    vm_end(&vm);
}

static int echo(const struct vm *vm) {
    char in[256] = "";
    int fd = monitor_connect(vm->slot, MONITOR_AGENT, NULL);
    for (int i = 0; i < 50 && !strstr(in, "ping"); i++) {
        if (write(fd, "ping", 4) != 4)
            break;
        if (io_wait(fd, POLLIN, 200) == 0)
            (void) !read(fd, in, sizeof(in) - 1);
    }
    close(fd);
    return strstr(in, "ping") != NULL;
}

/* A client that goes without reading its answers. A guest that writes them blocking is
 * held by the next one, and misses its power button for good. */
static void leave_early(const struct vm *vm) {
    int fd = monitor_connect(vm->slot, MONITOR_AGENT, NULL);
    for (int i = 0; i < 8; i++) {
        (void) !write(fd, "ping", 4);
        usleep(30000);
    }
    close(fd);
}

static void driver(const struct vm *vm) {
    struct err e = {0};
    char text[32] = "";
    check(vmm_qemu.status(vm->slot, text, &e) == 0 && strcmp(text, "running") == 0, "QMP: running", "%s %s", text,
          e.text);
    check(vmm_qemu.pause(vm->slot, &e) == 0 && vmm_qemu.status(vm->slot, text, &e) == 0 && strcmp(text, "paused") == 0,
          "QMP: paused", "%s %s", text, e.text);
    check(vmm_qemu.resume(vm->slot, &e) == 0 && vmm_qemu.status(vm->slot, text, &e) == 0 &&
              strcmp(text, "running") == 0,
          "QMP: resumed", "%s %s", text, e.text);
}

/* Lines that QEMU wrote, but for what it says where the machine has one processor. */
static int complaints(const struct vm *vm) {
    char text[4096], *state = NULL;
    int count = 0;
    (void) snprintf(text, sizeof(text), "%s", vm_read(vm, "log"));
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
        count += !strstr(line, "exceeds the recommended cpus supported by KVM");
    return count;
}

static void guest(void) {
    static const char *const lines[] = {"guest: Linux ",       "cpus 2",     "disk load ok",  "guest: root disk ok",
                                        "guest: work disk ok", "network ok", "guest: rng ok", "port ok, button ok",
                                        "guest: ready"};
    struct vm vm;
    struct wire_reply reply;
    struct err e = {0};
    vm_prepare(&vm, 1);
    long long start = io_now_ms();
    vm_spawn(&vm, 0, &reply);
    check(vm.pidfd >= 0 && reply.pid > 0, "QEMU starts in the jail", "verdict %u reason %u error %d step %u",
          reply.verdict, reply.reason, reply.error, reply.step);
    printf("    spawn took %lld ms\n", io_now_ms() - start);
    int ready = vm_shows(&vm, "console", "guest: ready", 60000);
    printf("    guest ready after %lld ms\n", io_now_ms() - start);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "console has \"%s\"", lines[i]);
        check(strstr(vm_read(&vm, "console"), lines[i]) != NULL, name, "console: %s log: see below",
              vm_read(&vm, "console"));
    }
    check(complaints(&vm) == 0, "QEMU has nothing to complain about", "%s", vm_read(&vm, "log"));
    if (!ready) {
        vm_end(&vm);
        return;
    }
    check_jail(&vm);
    check(vm_locked(&vm), "the status file is locked while the VM lives", "it is not");
    check(echo(&vm), "the agent's port answers", "it does not");
    driver(&vm);
    helper_kill();
    usleep(100000);
    check(io_wait(vm.pidfd, POLLIN, 0) == -ETIMEDOUT && echo(&vm), "killing the helper leaves the VM alive", "it died");
    check(vm_locked(&vm), "and its status file locked", "it is not");
    helper_start();
    leave_early(&vm);
    check(vmm_qemu.powerdown(vm.slot, &e) == 0, "QMP: power button", "%s", e.text);
    int status = vm_wait(&vm, 20000);
    check(status == 0, "the guest powers off, and the status says 0", "status %x console %s", status,
          vm_read(&vm, "console"));
    check(!vm_locked(&vm), "the lock is free afterwards", "it is not");
    vm_end(&vm);
}

/* Starts QEMU and ends it in some way once it answers. */
/* On a busy machine a VMM takes longer than QMP is waited for. */
static int answers(uint32_t slot, struct err *e) {
    char text[32];
    int r = -1;
    for (int tries = 0; tries < 6 && (tries == 0 || r == -ETIMEDOUT); tries++)
        r = vmm_qemu.status(slot, text, e);
    return r == 0;
}

static void ends(const char *name, uint32_t slot, int number, int wanted) {
    struct vm vm;
    struct wire_reply reply;
    struct err e = {0};
    vm_prepare(&vm, slot);
    vm_spawn(&vm, 0, &reply);
    int up = vm.pidfd >= 0 && answers(slot, &e);
    if (up && number)
        (void) signal_to(&vm, number);
    else if (up)
        up = vmm_qemu.quit(slot, &e) == 0;
    int status = up ? vm_wait(&vm, 10000) : -2;
    check(status == wanted, name, "status %x, %s", status, e.text);
    check(!vm_locked(&vm), "and the lock is free", "it is not");
    vm_end(&vm);
}

static void no_zombies(void) {
    int zombies = 0;
    char path[64], state = 0;
    as_root();
    for (pid_t pid = 2; pid < 1 << 22 && pid <= world.helper + 4096; pid++) {
        int parent = 0;
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%*d (banger-%*[^)]) %c %d", &state, &parent) == 2)
            zombies += state == 'Z' && parent > 1 && parent != getpid(); /* an orphan's is not the worker's */
        if (f)
            fclose(f);
    }
    as_account();
    check(zombies == 0, "the worker leaves no zombies", "%d", zombies);
}

static void refusals(void) {
    trial();
    wrong_descriptors();
    unmountable();
    bad_arguments();
    probe();
}

static void endings(void) {
    ends("QMP quit ends it with status 0", 4, 0, 0);
    ends("SIGTERM to the jail ends it with status 0", 5, SIGTERM, 0);
    ends("SIGKILL to the jail leaves no status", 6, SIGKILL, -1);
}

static void cgroup(void) {
    cgroups();
    ceilings();
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {{"refusals", refusals}, {"named", named},     {"faults", faults},
             {"cgroup", cgroup},     {"endings", endings}, {"guest", guest}};

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (argc < 6 || argc > 7 || geteuid() != 0)
        return 2;
    world = (struct world){.uid = (uid_t) atoi(argv[1]), .gid = (gid_t) atoi(argv[2]), .folder = argv[3]};
    world.kernel = argv[4];
    world.initrd = argv[5];
    helper_start();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (argc == 6 || strcmp(argv[6], parts[i].name) == 0)
            parts[i].run();
    }
    no_zombies();
    helper_kill();
    return summary();
}
