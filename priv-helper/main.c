/* banger-helper: the only program with capabilities. Started by bangerd's monitor
 * without arguments, with one SOCK_SEQPACKET socket a worker from descriptor
 * WIRE_FD_FIRST on. It checks what it was started with, forks its workers, keeps no
 * capability itself, and writes the audit records. */
#include "helper.h"

#include "../common/version.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER_CAPS  (CAP_BIT(CAP_NET_ADMIN) | CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_MKNOD))
#define INIT_USER_NS 4026531837u /* PROC_USER_INIT_INO, linux/proc_ns.h */
#define NSFS_MAGIC   0x6e736673
#define GROUPS_MAX   4096
#define MEMORY_MAX   (256ul << 20)
#define FILES_MAX    64ul
#define FILES_LEAST  32ul
#define SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

static const struct helper_worker workers[WIRE_WORKERS] = {
    [WIRE_NET] = {.caps = CAP_BIT(CAP_NET_ADMIN),
                  .init = net_init,
                  .trouble = "its net worker cannot be set up: it needs netlink (nf_tables) and mount namespaces",
                  .answer = net_answer,
                  .idle = net_idle,
                  .watch = net_watch,
                  .notice = net_notice,
                  .calls = &net_calls,
                  .policy_path = ROOT_POLICY_PATH},
    [WIRE_DISK] = {.caps = CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_MKNOD),
                   .init = disk_init,
                   .trouble = "its disk worker cannot be set up: it needs mount namespaces",
                   .answer = disk_answer,
                   .calls = &disk_calls,
                   .policy_path = ROOT_POLICY_PATH},
    [WIRE_VMM] = {.caps = CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_MKNOD),
                  .init = jail_worker_init,
                  .trouble = "its vmm worker cannot be set up: is " BANGER_LIBEXECDIR "/banger-jail there? Run "
                             "`make install` again",
                  .answer = jail_answer_spawn,
                  .calls = &jail_calls,
                  .policy_path = BANGER_POLICY},
};

/* 0, 1 and 2 exist, the workers' sockets are what they must be, nothing else is open. */
static void check_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(1);
    }
    for (int fd = WIRE_FD_FIRST; fd < WIRE_FD_FIRST + WIRE_WORKERS; fd++) {
        die_if(helper_socket_option(fd, SO_DOMAIN) != AF_UNIX || helper_socket_option(fd, SO_TYPE) != SOCK_SEQPACKET ||
                   fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, 0),
               "it is started by bangerd, with its sockets; there is nothing to do for it by hand");
    }
    die_if(syscall(SYS_close_range, WIRE_FD_FIRST + WIRE_WORKERS, ~0u, 0) != 0,
           "cannot close the descriptors it was started with");
}

/* Capabilities in a user namespace of the caller's own would mean nothing. */
static void check_identity(void) {
    static gid_t gids[GROUPS_MAX + 1];
    struct stat ns;
    struct statfs fs;
    die_if(statfs("/proc/self/ns/user", &fs) || fs.f_type != NSFS_MAGIC || stat("/proc/self/ns/user", &ns),
           "/proc is not mounted, so it cannot see where it runs");
    die_if(ns.st_ino != INIT_USER_NS,
           "it does not run in a user namespace of its own (`unshare -U`, rootless containers)");
    uid_t r, e, s;
    gid_t rg, eg, sg;
    die_if(getresuid(&r, &e, &s) || getresgid(&rg, &eg, &sg) || r != e || e != s || rg != eg || eg != sg,
           "it must not be set-id: run `make install` again");
    die_if(r == 0, "it does not run as root: start banger from an ordinary account");
    int n = getgroups(GROUPS_MAX, gids);
    die_if(n < 0, "cannot read the account's groups");
    gids[n] = rg;
    helper_who = (struct policy_who){.uid = r, .gids = gids, .gid_count = (size_t) n + 1};
}

static void check_capabilities(void) {
    struct statvfs vfs;
    if (!cap_permitted_is(HELPER_CAPS)) {
        die_if(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
               "it was started with no_new_privs, so its file capabilities do not count: start bangerd outside "
               "of containers and units that set it (NoNewPrivileges=)");
        die_if(statvfs("/proc/self/exe", &vfs) == 0 && (vfs.f_flag & ST_NOSUID),
               "it lies on a file system mounted nosuid, so its file capabilities do not count: install banger "
               "elsewhere");
        helper_die("its file capabilities are missing (a copy, or an archive without them?): run `make install` as "
                   "root, or setcap cap_net_admin,cap_sys_admin,cap_mknod=p on it");
    }
    cap_limit(HELPER_CAPS);
}

static void soft_limit(int what, rlim_t want, rlim_t least) {
    struct rlimit limit;
    die_if(getrlimit((__rlimit_resource_t) what, &limit), "cannot read a resource limit");
    limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
    die_if(limit.rlim_cur < least || setrlimit((__rlimit_resource_t) what, &limit),
           "a resource limit (ulimit -n, ulimit -v) is too low for it");
}

static void check_policy(void) {
    die_if(!policy_folders_safe(BANGER_POLICY),
           "a folder on the way to " BANGER_POLICY " can be changed by others than root: `chown root` and `chmod "
           "go-w` / and each folder below it");
}

/* Everything else an exec inherits. Only soft limits: the VMM needs more than these. */
static void reset_process(void) {
    static const struct rlimit none = {0, 0};
    static const struct itimerval off;
    die_if(setrlimit(RLIMIT_CORE, &none), "cannot forbid core files");
    soft_limit(RLIMIT_AS, MEMORY_MAX, MEMORY_MAX / 4);
    soft_limit(RLIMIT_NOFILE, FILES_MAX, FILES_LEAST);
    for (int timer = ITIMER_REAL; timer <= ITIMER_PROF; timer++)
        (void) setitimer((__itimer_which_t) timer, &off, NULL);
    die_if(helper_reset_signals() || chdir("/"), "cannot reset its signals or folder");
    (void) umask(077);
    /* Who leads a process group stays on its terminal, and so would the workers. */
    die_if(setsid() < 0, "it leads a process group, so it could not leave its terminal: bangerd starts it, no shell");
}

/* Of socket(2), where it is listed, only what a VMM that opens by name needs. */
static int allow(scmp_filter_ctx filter, int call) {
    return call != SYS_socket
               ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0)
               : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 2, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t) SOCKET_FLAGS, SOCK_STREAM));
}

/* Sets no_new_privs too. */
static void confine(const struct helper_calls *calls) {
    scmp_filter_ctx filter = seccomp_init(calls->kill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
    int r = !filter || seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; !r && i < calls->count; i++)
        r = allow(filter, calls->allowed[i]);
    die_if(r || seccomp_load(filter), "cannot set its seccomp filter");
}

static _Noreturn void run_worker(enum wire_worker number, int record) {
    const struct helper_worker *worker = &workers[number];
    die_if(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || worker->init(), worker->trouble);
    cap_limit(worker->caps);
    confine(worker->calls);
    worker_run(worker, WIRE_FD_FIRST + (int) number, record, number);
}

/* Forks worker `number`; the parent's end of its record socket. */
static int start_worker(enum wire_worker number, const int *earlier) {
    int pair[2];
    die_if(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "cannot make a socket pair");
    pid_t pid = fork();
    die_if(pid < 0, "cannot fork a worker");
    if (pid == 0) {
        for (unsigned i = 0; i < (unsigned) number; i++)
            (void) close(earlier[i]);
        for (unsigned i = 0; i < WIRE_WORKERS; i++) {
            if (i != (unsigned) number)
                (void) close(WIRE_FD_FIRST + (int) i);
        }
        (void) close(pair[0]);
        run_worker(number, pair[1]);
    }
    (void) close(pair[1]);
    return pair[0];
}

static const int parent_list[] = {SYS_poll,    SYS_recvfrom,  SYS_sendto,        SYS_close,      SYS_wait4,
                                  SYS_write,   SYS_getpid,    SYS_getppid,       SYS_flock,      SYS_lseek,
                                  SYS_pread64, SYS_ftruncate, SYS_clock_gettime, SYS_exit_group, SYS_restart_syscall};
static const struct helper_calls parent_calls = {
    .allowed = parent_list, .count = sizeof(parent_list) / sizeof(parent_list[0]), .kill = 1};

/* Before the libraries' own start: libnl would read a file that the environment names. */
static void forget_environment(int argc, char **argv, char **environment) {
    (void) argc, (void) argv;
    environment[0] = NULL;
}
__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(int, char **,
                                                                                       char **) = forget_environment;

int main(int argc, char **argv) {
    die_if(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "it cannot keep its memory to itself");
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("banger-helper " BANGER_STAMP) < 0;
    die_if(argc != 1, "it takes no arguments");
    check_descriptors();
    check_identity();
    check_capabilities();
    check_policy();
    reset_process();

    int records[WIRE_WORKERS];
    for (unsigned i = 0; i < WIRE_WORKERS; i++)
        records[i] = start_worker((enum wire_worker) i, records);
    for (int i = 0; i < WIRE_WORKERS; i++)
        (void) close(WIRE_FD_FIRST + i);
    const struct audit_log log = audit_open();
    cap_limit(0);
    confine(&parent_calls);
    audit_serve(&log, records);
    /* One worker ended: closing the records ends the others after what they are doing. */
    for (int i = 0; i < WIRE_WORKERS; i++)
        (void) close(records[i]);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    return 0;
}
