/* VMM_SPAWN in a cgroup (v2) of the account's own. Membership only: ceilings need the
 * controllers (cgroup.sh). */
#include "../../policy/policy.h"
#include "jail_world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

const char *cgroup_mount(void) {
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    struct statfs fs;
    for (size_t i = 0; i < 2; i++) {
        if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
            return places[i];
    }
    return NULL;
}

static char base[320]; /* the delegated folder */

int cgroup_make(const char *path, uid_t owner, uid_t procs) {
    if ((mkdir(path, 0755) && errno != EEXIST) || chown(path, owner, owner))
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fchownat(fd, "cgroup.procs", procs, procs, 0) == 0 &&
        fchownat(fd, "cgroup.subtree_control", procs, procs, 0) == 0)
        return fd;
    close(fd);
    return -1;
}

int cgroup_enter(const char *path) {
    char procs[600];
    snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    int good = fd >= 0 && write(fd, "0", 1) == 1;
    close(fd);
    return good ? 0 : -1;
}

static int make(const char *name, uid_t owner, uid_t procs) {
    char path[600];
    snprintf(path, sizeof(path), "%s%s", base, name);
    return cgroup_make(path, owner, procs);
}

/* The v2 line of a process, as a process of `reader`'s cgroup namespace sees it. */
static void path_of_process(pid_t pid, pid_t reader, char out[256]) {
    int pipes[2];
    out[0] = '\0';
    if (pipe(pipes))
        abort();
    pid_t child = fork();
    if (child == 0) {
        char path[64], line[256] = "";
        snprintf(path, sizeof(path), "/proc/%d/ns/cgroup", reader);
        int ns = reader ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (reader && setns(ns, CLONE_NEWCGROUP))
            _exit(1);
        snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f) && strncmp(line, "0::", 3) != 0)
            ;
        line[strcspn(line, "\n")] = '\0';
        _exit(write(pipes[1], line + 3, strlen(line + 3)) < 0);
    }
    close(pipes[1]);
    ssize_t n = read(pipes[0], out, 255);
    out[n > 0 ? n : 0] = '\0';
    close(pipes[0]);
    (void) waitpid(child, NULL, 0);
}

static void in_its_own(int folder) {
    struct vm vm;
    struct wire_reply reply;
    char outside[256], inside[256];
    vm_prepare_named(&vm, 7);
    vm.cgroup = folder;
    vm_spawn(&vm, 2, &reply);
    check(vm.pidfd >= 0, "cgroup: a VMM starts in it", "verdict %u reason %u error %d step %x", reply.verdict,
          reply.reason, reply.error, reply.step);
    if (vm.pidfd >= 0 && vm_shows(&vm, "console", "waits for the host\n", 20000)) {
        as_root();
        pid_t vmm = child_of(vm.pid);
        path_of_process(vmm, 0, outside);
        path_of_process(vmm, vm.pid, inside);
        as_account();
        check(strstr(outside, "/vm-007") != NULL, "cgroup: the VMM is there too", "it is in %s", outside);
        check(strcmp(inside, "/") == 0, "cgroup: the jail sees its own as the root", "it sees %s", inside);
        check(strstr(vm_read(&vm, "console"), "has no descriptor but") != NULL, "cgroup: its folder stays outside",
              "%s", vm_read(&vm, "console"));
        check_jail(&vm);
        vm_results(&vm);
    }
    vm_end(&vm);
}

/* What must not become a VMM's cgroup: denied by the policy, or refused by the kernel. */
static void must_fail(const char *name, int folder, uint32_t verdict, int error) {
    struct vm vm;
    struct wire_reply reply;
    vm_prepare_named(&vm, 7);
    vm.cgroup = folder;
    vm_spawn(&vm, 2, &reply);
    check(folder >= 0 && vm.pidfd < 0 && reply.verdict == verdict && reply.error == error &&
              (verdict == WIRE_DENIED ? reply.reason == POLICY_DESCRIPTOR : reply.step == SPAWN_STEP_CLONE),
          name, "descriptor %d verdict %u reason %u error %d step %x", folder, reply.verdict, reply.reason, reply.error,
          reply.step);
    check(!vm_locked(&vm), "cgroup: and nothing is left", "the lock is held");
    vm_end(&vm);
}

/* The child cannot run there: it is given up, and ended. */
static void frozen(int folder) {
    struct vm vm;
    struct wire_reply reply;
    as_root();
    int freeze = openat(folder, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
    int set = write(freeze, "1", 1) == 1;
    as_account();
    vm_prepare_named(&vm, 7);
    vm.cgroup = folder;
    vm_spawn(&vm, 2, &reply);
    check(set && vm.pidfd < 0 && reply.verdict == WIRE_FAILED && reply.step == SPAWN_STEP_DIED,
          "cgroup: a frozen one is given up", "set %d verdict %u error %d step %x", set, reply.verdict, reply.error,
          reply.step);
    check(!vm_locked(&vm), "cgroup: and what was in it is gone", "the lock is held");
    as_root();
    (void) !write(freeze, "0", 1);
    as_account();
    close(freeze);
    vm_end(&vm);
}

/* A folder of cgroup version 1: of the machine's, or of a hierarchy without controllers that is
 * made for it. */
static int version1(void) {
    char at[] = "/tmp/banger-cgroup1.XXXXXX";
    int fd = open("/sys/fs/cgroup/pids", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || !mkdtemp(at))
        return fd;
    if (mount("none", at, "cgroup", 0, "none,name=banger-test") == 0) {
        fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void) !fchown(fd, world.uid, world.gid); /* its kind alone is what is wrong with it */
        (void) umount2(at, MNT_DETACH);
    }
    (void) rmdir(at);
    return fd;
}

static void refusals(void) {
    as_root();
    int foreign = make("/foreign", 1, 1), procs = make("/procs", world.uid, 0);
    int v1 = version1();
    int ordinary = open(world.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = openat(procs, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    as_account();
    must_fail("cgroup: another account's is denied", foreign, WIRE_DENIED, EACCES);
    must_fail("cgroup: an ordinary folder is denied", ordinary, WIRE_DENIED, EACCES);
    must_fail("cgroup: a file of one is denied", file, WIRE_DENIED, EACCES);
    if (v1 >= 0)
        must_fail("cgroup: one of version 1 is denied", v1, WIRE_DENIED, EACCES);
    else
        skip("cgroup: one of version 1 is denied", "no hierarchy of version 1 can be had here");
    /* CAP_SYS_ADMIN is raised for the clone, and the kernel does not look at it. */
    must_fail("cgroup: the kernel refuses one whose cgroup.procs is another's", procs, WIRE_FAILED, EACCES);
    close(foreign);
    close(procs);
    close(v1);
    close(ordinary);
    close(file);
}

/* The account's helper lives in it as bangerd's does: the kernel asks who may write the
 * nearest common ancestor's cgroup.procs. */
static void live_in(const char *name) {
    helper_kill();
    as_root();
    char path[600];
    snprintf(path, sizeof(path), "%s%s", base, name);
    if (cgroup_enter(path))
        not_ok("setup", "cannot move to cgroup %s%s: %s", base, name, strerror(errno));
    helper_start();
}

void cgroups(void) {
    const char *at = cgroup_mount();
    char mine[256];
    as_root();
    path_of_process(getpid(), 0, mine);
    snprintf(base, sizeof(base), "%s/banger-jail-test.%d", at ? at : "", getpid());
    int root = at ? make("", world.uid, world.uid) : -1;
    if (root < 0) {
        as_account();
        skip("cgroup: membership", "no cgroup (version 2) can be made here");
        return;
    }
    int vm = make("/vm-007", world.uid, world.uid);
    close(make("/daemon", world.uid, world.uid));
    must_fail("cgroup: the kernel refuses one that is not below a place of the account's", vm, WIRE_FAILED, EACCES);
    live_in("/daemon");
    in_its_own(vm);
    frozen(vm);
    refusals();
    char path[sizeof(base)];
    snprintf(path, sizeof(path), "%s", base);
    snprintf(base, sizeof(base), "%s%s", at, mine);
    live_in("");
    close(vm);
    close(root);
    as_root();
    static const char *const names[] = {"/vm-007", "/daemon", "/foreign", "/procs", ""};
    int left = 0;
    for (size_t i = 0; i < 5; i++) {
        char name[400];
        snprintf(name, sizeof(name), "%s%s", path, names[i]);
        left += rmdir(name) != 0;
    }
    as_account();
    check(left == 0, "cgroup: nothing is left in any", "%d folders cannot be removed", left);
}
