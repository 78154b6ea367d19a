/* A spawn in which one system call fails: each call of the worker and its child in turn,
 * each time it is made. Afterwards nothing may be left, and the next spawn works. */
#include "../../common/io.h"
#include "jail_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMES_MAX 40

/* JAIL_FAULT_TIMES=N: of a call that is made more often, the first N. */
static int times_most(void) {
    const char *most = getenv("JAIL_FAULT_TIMES");
    int n = most ? atoi(most) : TIMES_MAX;
    return n > 0 && n < TIMES_MAX ? n : TIMES_MAX;
}

static pid_t worker;

static int tracer_of(pid_t pid) {
    char path[64], line[128];
    int tracer = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        (void) sscanf(line, "TracerPid: %d", &tracer);
    if (f)
        fclose(f);
    return tracer;
}

/* strace, which interferes with the worker and its children. Its pid, or -1. */
static pid_t inject(const char *rule) {
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", worker);
    pid_t tracer = fork();
    if (tracer == 0) {
        int null = open("/dev/null", O_RDWR);
        (void) (dup2(null, 1) + dup2(null, 2));
        execlp("strace", "strace", "-f", "-qq", "-o", "/dev/null", "-e", rule, "-p", pid, (char *) NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && tracer_of(worker) != tracer; i++) {
        if (waitpid(tracer, NULL, WNOHANG) == tracer)
            return -1;
        usleep(10000);
    }
    return tracer;
}

static int lines_of(const char *path) {
    char line[4096];
    int count = 0;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        count++;
    if (f)
        fclose(f);
    return count;
}

static int descriptors(void) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", worker);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* What a spawn could leave. */
struct state {
    int descriptors, mounts, children, locked;
};
static struct state look(const struct vm *vm) {
    char path[64];
    as_root();
    snprintf(path, sizeof(path), "/proc/%d/mountinfo", worker);
    struct state s = {descriptors(), lines_of(path), child_of(worker) > 0, vm_locked(vm)};
    as_account();
    return s;
}

/* 1: failed as it should; 0: the call is not made that often; -1: failed in another way. */
static int one(struct vm *vm, const char *call, int time, const struct state *before) {
    struct wire_reply reply;
    char rule[80];
    /* Another call in its place: seccomp would kill for strace's own, number -1. */
    snprintf(rule, sizeof(rule), "inject=%s:error=EIO:syscall=getpid:when=%d", call, time);
    vm_lock(vm);
    as_root();
    pid_t tracer = inject(rule);
    as_account();
    vm_spawn(vm, 2, &reply);
    int started = vm->pidfd >= 0;
    as_root();
    kill(tracer, SIGTERM);
    (void) waitpid(tracer, NULL, 0);
    as_account();
    struct state after = look(vm);
    vm_kill(vm);
    if (tracer < 0)
        return -1;
    if (started)
        return 0;
    if (reply.verdict == WIRE_FAILED && reply.step != 0 && after.descriptors == before->descriptors &&
        after.mounts == before->mounts && !after.children && !after.locked)
        return 1;
    printf(
        "    %s, time %d: verdict %u error %d step %x; descriptors %d of %d, mounts %d of %d, children %d, lock %d\n",
        call, time, reply.verdict, reply.error, reply.step, after.descriptors, before->descriptors, after.mounts,
        before->mounts, after.children, after.locked);
    return -1;
}

static void call_fails(struct vm *vm, const char *call, const struct state *before) {
    char name[64];
    int times = 0, result = 1, most = times_most();
    while (times < most && (result = one(vm, call, times + 1, before)) > 0)
        times++;
    if (times == most && most < TIMES_MAX)
        result = 0;
    snprintf(name, sizeof(name), "faults: %s fails, and nothing is left", call);
    check(result == 0 && times > 0, name, "%d times, result %d", times, result);
}

/* The worker is killed while its child is at work: a VM that nobody was told of must not
 * begin. The child is slowed down where it has all but its exec to do. */
static void worker_dies(struct vm *vm) {
    struct wire_reply reply;
    vm_lock(vm);
    (void) !ftruncate(vm->fds[SPAWN_CONSOLE], 0);
    as_root();
    pid_t tracer = inject("inject=dup3:delay_enter=1500000");
    pid_t killer = fork();
    if (killer == 0) {
        for (int i = 0; i < 100 && child_of(worker) < 0; i++)
            usleep(20000);
        usleep(300000);
        _exit(kill(worker, SIGKILL) != 0);
    }
    as_account();
    vm_spawn(vm, 2, &reply);
    int killed = -1;
    (void) waitpid(killer, &killed, 0);
    check(tracer > 0 && killed == 0 && reply.verdict == ~0u && vm_locked(vm), "faults: a worker dies within a spawn",
          "tracer %d killed %d verdict %u", tracer, killed, reply.verdict);
    for (int i = 0; i < 100 && vm_locked(vm); i++)
        usleep(50000);
    check(!vm_locked(vm) && !*vm_read(vm, "console"), "faults: and no VM comes of it", "lock %d, console: %s",
          vm_locked(vm), vm_read(vm, "console"));
    as_root();
    kill(tracer, SIGTERM);
    (void) waitpid(tracer, NULL, 0);
    helper_kill();
    helper_start();
}

void faults(void) {
    /* Those of which each failure must end the spawn. */
    static const char *const calls[] = {"pipe2",   "clone3",   "open_tree",   "mount_setattr", "unshare", "sethostname",
                                        "fsopen",  "fsconfig", "fsmount",     "move_mount",    "fchdir",  "mkdir",
                                        "mknodat", "symlink",  "pivot_root",  "umount2",       "chdir",   "prlimit64",
                                        "dup2",    "dup3",     "close_range", "execve"};
    struct vm vm;
    if (access("/usr/bin/strace", X_OK)) {
        skip("faults", "strace is not installed");
        return;
    }
    struct wire_reply reply;
    vm_prepare_named(&vm, 10);
    vm_spawn(&vm, 2, &reply); /* then all workers are there */
    vm_kill(&vm);
    as_root();
    worker = child_after(world.helper, WIRE_VMM);
    as_account();
    struct state before = look(&vm);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        call_fails(&vm, calls[i], &before);
    worker_dies(&vm);
    vm_end(&vm);
}
