/* The vmm worker: VMM_SPAWN. It stays in the host's mount namespace, because a
 * descriptor's mount can only be cloned (open_tree) from the namespace it is in; a
 * child clones all it needs first, then leaves every namespace, builds a root of
 * its own, drops everything and executes banger-jail as PID 1. */
#include "helper.h"

#include "../common/vmmcalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define JAIL_BINARY   "/banger-jail"
#define JAIL_FILE     BANGER_LIBEXECDIR JAIL_BINARY
#define PLACES_MAX    (POLICY_FOLDERS_MAX + 11)
#define HIGH_FD       32 /* beyond every number a jail uses */
#define REPORT_FD     SPAWN_FD_NUMBER(SPAWN_FDS)
#define SPAWN_WAIT_MS 10000

/* Measured for QEMU with emulation: 450 MiB beside the guest's memory, and the disk
 * threads' stacks (64 of 8 MiB). A process that asks for more is not a VMM at work. */
#define HEADROOM_MIB 1536u
#define VCPU_MIB     16u
#define MIB          (1ull << 20)
#define FILES_MAX    1024 /* Firecracker has a descriptor a vsock connection */

struct report {
    uint32_t step; /* 0: about to execute */
    int32_t error;
};

/* What is in the jail's root. */
struct place {
    const char *path; /* absolute, in the jail */
    int tree;         /* detached clone of what is mounted there; -1: a node */
    mode_t mode;      /* of what is made there */
    dev_t device;
};
struct spawn {
    const struct wire_request *request;
    const int *fds;
    const struct policy_vmm *vmm; /* NULL: the trial */
    int report;
    struct place places[PLACES_MAX];
    size_t place_count;
};

/* --- in the child --------------------------------------------------------- */

/* 1 when it was told. */
static int tell(const struct spawn *s, uint32_t step, int error) {
    struct report report = {.step = step, .error = error};
    return write(s->report, &report, sizeof(report)) == (ssize_t) sizeof(report);
}

/* `result`, unless it is an error's -1: that ends the child. */
static int must(const struct spawn *s, uint32_t step, long result) {
    if (result < 0) {
        (void) tell(s, step, errno);
        _exit(1);
    }
    return (int) result;
}

static void add_place(struct spawn *s, const char *path, int tree, mode_t mode, dev_t device) {
    s->places[s->place_count++] = (struct place){path, tree, mode, device};
}

/* Clones a folder or file of the host, with `attributes` of mount_setattr(2). A
 * relative `from` is the empty one: `fd` itself. */
static void add_tree(struct spawn *s, int fd, const char *from, const char *path, uint64_t attributes) {
    uint32_t step = SPAWN_STEP_TREE | (uint32_t) s->place_count << 8;
    struct mount_attr attr = {.attr_set = attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    struct stat st;
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*from ? 0u : (unsigned) AT_EMPTY_PATH);
    int tree = must(s, step, open_tree(fd, from, flags));
    must(s, step, mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
    must(s, step, fstat(tree, &st));
    add_place(s, path, tree, S_ISDIR(st.st_mode) ? S_IFDIR | 0700 : S_IFREG | 0600, 0);
}

static int is_within(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* A descriptor that may be written is the authority for a file's mount as for a block
 * device's node; the mount keeps what the VMM may do to the file, its owner and mode. */
static void add_disk(struct spawn *s, enum wire_spawn_fd role, const char *path) {
    struct stat st;
    must(s, SPAWN_STEP_TREE, fstat(s->fds[role], &st));
    if (S_ISBLK(st.st_mode))
        add_place(s, path, -1, S_IFBLK | 0600, st.st_rdev);
    else
        add_tree(s, s->fds[role], "", path, MOUNT_ATTR_NOEXEC);
}

/* By its path each time: an upgrade puts another there. Root's alone, as it was installed. */
static void add_jail(struct spawn *s) {
    struct stat st;
    add_tree(s, AT_FDCWD, JAIL_FILE, JAIL_BINARY, MOUNT_ATTR_RDONLY);
    must(s, SPAWN_STEP_EXEC, fstat(s->places[0].tree, &st));
    errno = EPERM;
    must(s, SPAWN_STEP_EXEC, st.st_uid || (st.st_mode & (S_IFMT | S_IWGRP | S_IWOTH)) != S_IFREG ? -1 : 0);
}

/* Before any namespace is left. The nodes are the account's own: nobody needs to be in
 * group kvm. */
static void choose_places(struct spawn *s) {
    add_jail(s);
    add_place(s, "/dev/null", -1, S_IFCHR | 0600, makedev(1, 3));
    add_place(s, "/dev/urandom", -1, S_IFCHR | 0600, makedev(1, 9));
    add_place(s, "/dev/kvm", -1, S_IFCHR | 0600, makedev(10, 232));
    if (!s->vmm)
        return;
    int found = 0;
    for (uint32_t i = 0; i < s->vmm->folder_count; i++) {
        add_tree(s, AT_FDCWD, s->vmm->folders[i], s->vmm->folders[i], MOUNT_ATTR_RDONLY);
        found |= is_within(s->vmm->binary, s->vmm->folders[i]);
    }
    if (!found)
        add_tree(s, AT_FDCWD, s->vmm->binary, s->vmm->binary, MOUNT_ATTR_RDONLY);
    add_tree(s, s->fds[SPAWN_JAIL], "", "/vm", MOUNT_ATTR_NOEXEC);
    add_tree(s, s->fds[SPAWN_KERNEL], "", "/kernel", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
    add_tree(s, s->fds[SPAWN_INITRD], "", "/initrd", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
    if (s->request->style != SPAWN_BY_NAME)
        return;
    add_place(s, "/dev/net/tun", -1, S_IFCHR | 0600, makedev(10, 200));
    add_disk(s, SPAWN_ROOT, "/root.ext4");
    add_disk(s, SPAWN_WORK, "/work.ext4");
}

/* A tmpfs as the current folder, mounted in the child's own namespace. Not nodev:
 * the jail's device nodes are in it. */
static int make_root(const struct spawn *s) {
    struct mount_attr private = {.propagation = MS_PRIVATE};
    int net = s->request->style == SPAWN_BY_NAME ? 0 : CLONE_NEWNET; /* a tap is opened where it is */
    must(s, SPAWN_STEP_NAMESPACE, unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | net));
    must(s, SPAWN_STEP_NAMESPACE, mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)));
    must(s, SPAWN_STEP_NAMESPACE, sethostname("vm", 2)); /* the host's name is none of its business */
    int fs = must(s, SPAWN_STEP_ROOT, fsopen("tmpfs", FSOPEN_CLOEXEC));
    must(s, SPAWN_STEP_ROOT, fsconfig(fs, FSCONFIG_SET_STRING, "size", "262144", 0));
    must(s, SPAWN_STEP_ROOT, fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "128", 0));
    must(s, SPAWN_STEP_ROOT, fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0));
    must(s, SPAWN_STEP_ROOT, fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    int root = must(s, SPAWN_STEP_ROOT, fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
    must(s, SPAWN_STEP_ROOT, move_mount(root, "", AT_FDCWD, BANGER_LIBEXECDIR, MOVE_MOUNT_F_EMPTY_PATH));
    must(s, SPAWN_STEP_ROOT, fchdir(root));
    return root;
}

/* Makes the folders on the way to a place, and its target, below the current folder. No
 * path of the policy is longer than POLICY_PATH_SIZE. */
static void make_target(const struct spawn *s, uint32_t step, const struct place *place) {
    char at[POLICY_PATH_SIZE];
    size_t length = strlen(place->path);
    for (size_t i = 1; i <= length; i++) {
        at[i - 1] = place->path[i];
        if (place->path[i] != '/' && place->path[i] != '\0')
            continue;
        at[i - 1] = '\0';
        int is_folder = place->path[i] == '/' || S_ISDIR(place->mode);
        int made = is_folder ? mkdir(at, 0700) : mknod(at, place->mode, place->device);
        must(s, step, made < 0 && errno != EEXIST ? -1 : 0);
        at[i - 1] = '/';
    }
}

static void make_places(const struct spawn *s) {
    for (size_t i = 0; i < s->place_count; i++) {
        const struct place *place = &s->places[i];
        uint32_t step = (place->tree < 0 ? SPAWN_STEP_NODE : SPAWN_STEP_MOUNT) | (uint32_t) i << 8;
        cap_raise(place->tree < 0 ? CAP_MKNOD : CAP_SYS_ADMIN);
        make_target(s, step, place);
        if (place->tree >= 0)
            must(s, step, move_mount(place->tree, "", AT_FDCWD, place->path + 1, MOVE_MOUNT_F_EMPTY_PATH));
    }
    /* Where /usr is merged these are links; a policy that lists one of them has made it a folder. */
    static const char *const merged[][2] = {
        {"usr/lib", "lib"}, {"usr/lib64", "lib64"}, {"usr/bin", "bin"}, {"usr/sbin", "sbin"}};
    for (size_t i = 0; s->vmm && i < 4; i++)
        must(s, SPAWN_STEP_MOUNT, symlink(merged[i][0], merged[i][1]) < 0 && errno != EEXIST ? -1 : 0);
}

static void enter_root(const struct spawn *s, int root) {
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    cap_raise(CAP_SYS_ADMIN);
    must(s, SPAWN_STEP_PIVOT, mount_setattr(root, "", AT_EMPTY_PATH, &attr, sizeof(attr)));
    must(s, SPAWN_STEP_PIVOT, syscall(SYS_pivot_root, ".", "."));
    must(s, SPAWN_STEP_PIVOT, umount2(".", MNT_DETACH));
    must(s, SPAWN_STEP_PIVOT, chdir("/"));
    cap_lower();
}

/* Which descriptors banger-jail gets; the others of a request were mounted. */
static int is_passed(const struct spawn *s, int role) {
    return role < (s->vmm ? SPAWN_JAIL : SPAWN_TRIAL_FDS) || (s->request->style == SPAWN_BY_FD && role >= SPAWN_ROOT);
}

/* 0, 1, 2: /dev/null; the passed ones at their numbers; REPORT_FD; nothing else. */
static void place_fds(struct spawn *s) {
    int high[SPAWN_FDS];
    for (int role = 0; role < SPAWN_FDS; role++)
        high[role] = is_passed(s, role) ? must(s, SPAWN_STEP_FD, fcntl(s->fds[role], F_DUPFD_CLOEXEC, HIGH_FD)) : 0;
    int report = s->report = must(s, SPAWN_STEP_FD, fcntl(s->report, F_DUPFD_CLOEXEC, HIGH_FD));
    int null = must(s, SPAWN_STEP_FD, open("/dev/null", O_RDWR | O_CLOEXEC));
    null = must(s, SPAWN_STEP_FD, fcntl(null, F_DUPFD_CLOEXEC, HIGH_FD));
    must(s, SPAWN_STEP_FD, syscall(SYS_close_range, 0, HIGH_FD - 1, 0));
    for (int fd = 0; fd < 3; fd++)
        must(s, SPAWN_STEP_FD, dup2(null, fd));
    for (int role = 0; role < SPAWN_FDS; role++)
        must(s, SPAWN_STEP_FD, is_passed(s, role) ? dup2(high[role], SPAWN_FD_NUMBER(role)) : 0);
    must(s, SPAWN_STEP_FD, dup3(report, REPORT_FD, O_CLOEXEC));
    s->report = REPORT_FD;
    must(s, SPAWN_STEP_FD, syscall(SYS_close_range, REPORT_FD + 1, ~0u, 0));
}

/* Never above what the account may have anyway. */
static void limit(const struct spawn *s, int resource, uint64_t value) {
    struct rlimit now;
    must(s, SPAWN_STEP_LIMIT, getrlimit((__rlimit_resource_t) resource, &now));
    now.rlim_cur = now.rlim_max = value < now.rlim_max ? value : now.rlim_max;
    must(s, SPAWN_STEP_LIMIT, setrlimit((__rlimit_resource_t) resource, &now));
}

static void set_limits(const struct spawn *s) {
    uint64_t vcpus = s->request->vcpus;
    limit(s, RLIMIT_NOFILE, FILES_MAX);
    limit(s, RLIMIT_CORE, 0);
    limit(s, RLIMIT_MEMLOCK, 0);
    limit(s, RLIMIT_STACK, 8 * MIB);
    limit(s, RLIMIT_AS, ((uint64_t) s->request->memory_mib + HEADROOM_MIB + VCPU_MIB * vcpus) * MIB);
    limit(s, RLIMIT_FSIZE, 4 * MIB * MIB); /* 4 TiB: more than any disk of a sandbox */
}

static _Noreturn void child(struct spawn *s) {
    (void) umask(077);
    (void) setsid();
    choose_places(s);
    int root = make_root(s);
    make_places(s);
    enter_root(s, root);
    set_limits(s); /* before: the worker's own soft limits are for the worker */
    place_fds(s);
    must(s, SPAWN_STEP_LIMIT, helper_reset_signals());
    must(s, SPAWN_STEP_LIMIT, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    cap_limit(0);
    static const char *const words[SPAWN_STYLES] = {"fd", "name", "trial"};
    char *argv[] = {(char *) "banger-jail", (char *) words[s->request->style], s->vmm ? (char *) s->vmm->binary : NULL,
                    NULL};
    char *environment[] = {NULL};
    if (!tell(s, 0, 0)) /* the worker is gone, and nobody would know of this VM; SIGPIPE ends no PID 1 */
        _exit(1);
    (void) execve(JAIL_BINARY, argv, environment);
    must(s, SPAWN_STEP_EXEC, -1);
    _exit(1);
}

/* --- in the worker -------------------------------------------------------- */

int jail_worker_init(void) {
    /* No zombies, and nothing to wait for: who asked for a VM has its pidfd. */
    return access(JAIL_FILE, F_OK) || signal(SIGCHLD, SIG_IGN) == SIG_ERR ? -errno : 0;
}

static int is_readable(int fd, int timeout_ms) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, timeout_ms) == 1;
}

/* What became of the child: "about to execute" and then the end of the pipe is good. */
static struct report wait_ready(int from) {
    struct report report = {.step = SPAWN_STEP_DIED, .error = EIO}, next;
    while (is_readable(from, SPAWN_WAIT_MS) && read(from, &next, sizeof(next)) == (ssize_t) sizeof(next)) {
        report = next;
        if (report.step != 0)
            break;
    }
    return report;
}

int jail_answer_spawn(struct helper_job *job) {
    static struct spawn s;
    int ends[2], pidfd = -1;
    s = (struct spawn){.request = job->request, .fds = job->fds};
    s.vmm = job->request->style == SPAWN_TRIAL ? NULL : &job->policy->vmms[job->request->kind];
    job->reply->step = SPAWN_STEP_PIPE;
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    s.report = ends[1];
    struct clone_args clone = {
        .flags = CLONE_PIDFD | CLONE_NEWPID, .pidfd = (uintptr_t) &pidfd, .exit_signal = SIGCHLD};
    /* Who may put a process there the kernel decides by who may write cgroup.procs of the
     * folder and of its nearest common ancestor with this process's own: no capability
     * but DAC_OVERRIDE, which the helper never has, makes a difference. */
    if (job->request->in_cgroup) {
        clone.flags |= CLONE_INTO_CGROUP;
        clone.cgroup = (unsigned) job->fds[wire_request_fds(job->request) - 1];
    }
    cap_raise(CAP_SYS_ADMIN); /* the child begins with it */
    long pid = syscall(SYS_clone3, &clone, sizeof(clone));
    if (pid == 0)
        child(&s);
    struct report report = {.step = SPAWN_STEP_CLONE, .error = errno};
    cap_lower();
    (void) close(ends[1]);
    if (pid > 0)
        report = wait_ready(ends[0]);
    (void) close(ends[0]);
    if (pid > 0 && report.step != 0) {
        (void) syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        (void) is_readable(pidfd, 1000); /* it holds the caller's descriptors, and a lock, until it is gone */
        (void) close(pidfd);
    }
    job->reply->step = report.step;
    if (report.step != 0)
        return -report.error;
    job->reply->pid = (int32_t) pid;
    job->reply_fd = pidfd;
    return 0;
}

/* A filter is inherited: here is what banger-jail's two kinds of VMM may call, what only
 * banger-jail calls, and what only this worker and its child do (by strace: worker.c's
 * loop, spawns of each style, banger-jail with VMMs and with the trial). */
/* clang-format off */
static const int list[] = {
    VMM_CALLS, VMM_NAMED_CALLS, SYS_connect,
    /* banger-jail */
    SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self, SYS_wait4, SYS_kill, SYS_alarm,
    /* the child */
    SYS_umask, SYS_setsid, SYS_open_tree, SYS_mount_setattr, SYS_unshare, SYS_sethostname, SYS_fsopen, SYS_fsconfig,
    SYS_fsmount, SYS_move_mount, SYS_fchdir, SYS_mkdir, SYS_mknodat, SYS_symlink, SYS_pivot_root,
    SYS_umount2, SYS_chdir, SYS_close_range,
    /* the worker */
    SYS_capget, SYS_capset, SYS_pidfd_send_signal
};
/* clang-format on */
const struct helper_calls jail_calls = {.allowed = list, .count = sizeof(list) / sizeof(list[0])};
