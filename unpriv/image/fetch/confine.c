#include "fetch.h"

#include "../../../common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADDRESS_SPACE ((rlim_t) 2 << 30) /* threads of the resolver reserve much and use little */
#define FILES_MAX     16

/* What libcurl, OpenSSL and the resolver need: memory, threads, network sockets, the cache's files, the
 * clock. No execve, no fork that could use one, no AF_UNIX; what is not listed fails with EPERM, since
 * what a name service module asks for is not known here. */
static const int calls[] = {
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_stat,
    SYS_lstat,
    SYS_statx,
    SYS_openat,
    SYS_open,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlink,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_ftruncate,
    SYS_fadvise64,
    SYS_fcntl,
    SYS_flock,
    SYS_close,
    SYS_dup,
    SYS_renameat,
    SYS_renameat2,
    SYS_unlinkat,
    SYS_mkdirat,
    SYS_splice,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_clone,
    SYS_clone3,
    SYS_exit,
    SYS_exit_group,
    SYS_rseq,
    SYS_getrandom,
    SYS_set_robust_list,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_time,
    SYS_nanosleep,
    SYS_poll,
    SYS_clock_nanosleep,
    SYS_ppoll,
    SYS_select,
    SYS_pselect6,
    SYS_epoll_wait,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_pipe2,
    SYS_socketpair,
    SYS_socket,
    SYS_connect,
    SYS_bind,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_sendto,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_recvmmsg,
    SYS_shutdown,
    SYS_ioctl,
    SYS_getpid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_sysinfo,
    SYS_uname,
    SYS_sched_yield,
    SYS_prctl,
    SYS_sched_getaffinity,
    SYS_tgkill,
};

/* The trust store, and what the resolver reads. What is missing is left out. */
static const char *const readable[] = {
    "/etc/ssl",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",

    "/usr/lib/ssl",
};

static int landlock(int cache) {
    struct sandbox_path paths[FILES_MAX] = {{cache, SANDBOX_WRITE}};
    size_t count = 1;
    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++) {
        int fd = open(readable[i], O_PATH | O_CLOEXEC);
        if (fd >= 0)
            paths[count++] = (struct sandbox_path){fd, SANDBOX_READ};
    }
    int r = sandbox_landlock(paths, count);
    for (size_t i = 1; i < count; i++)
        (void) close(paths[i].fd);
    return r;
}

int fetch_confine(int cache, struct err *e) {
    const struct rlimit space = {ADDRESS_SPACE, ADDRESS_SPACE}, none = {0, 0};
    if (setrlimit(RLIMIT_AS, &space) || setrlimit(RLIMIT_CORE, &none))
        return err_sys(e, errno, "banger-fetch cannot bound its memory");
    int r = landlock(cache);
    if (r < 0)
        return err_sys(e, -r, "banger-fetch cannot confine itself with Landlock");
    const struct sandbox_calls list = {.allowed = calls, .count = sizeof(calls) / sizeof(calls[0]), .deny_unix = 1};
    r = sandbox_seccomp(&list);
    return r ? err_sys(e, -r, "banger-fetch cannot confine itself with seccomp") : 0;
}
