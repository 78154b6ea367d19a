/* The errnos of the manual pages, as far as the kernel can give them to a correct
 * caller: not EFAULT, and not EBADF for a descriptor that is surely open. */
#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>

#define ERRORS_MAX 12

static const struct call {
    int number;
    const char *name;
    int errors[ERRORS_MAX];
} calls[] = {
    {SYS_read, "read", {EAGAIN, EINTR, EIO, EISDIR, EINVAL}},
    {SYS_write, "write", {EAGAIN, EINTR, EIO, ENOSPC, EDQUOT, EFBIG, EPIPE, EPERM}},
    {SYS_writev, "writev", {EAGAIN, EINTR, EIO, ENOSPC, EDQUOT, EFBIG, EPIPE}},
    {SYS_pwrite64, "pwrite64", {EINTR, EIO, ENOSPC, EDQUOT, EFBIG}},
    {SYS_pread64, "pread64", {EINTR, EIO, EAGAIN}},
    {SYS_open, "open", {EACCES, EINTR, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, ENXIO, ENODEV, EPERM}},
    {SYS_openat, "openat", {EACCES, EINTR, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, ENXIO, ENODEV, EPERM}},
    {SYS_close, "close", {EINTR, EIO}},
    {SYS_stat, "stat", {EACCES, ELOOP, ENOENT, ENOMEM}},
    {SYS_fstat, "fstat", {ENOMEM, EOVERFLOW}},
    {SYS_lstat, "lstat", {EACCES, ELOOP, ENOENT, ENOMEM}},
    {SYS_newfstatat, "newfstatat", {EACCES, ELOOP, ENOENT, ENOMEM, EOVERFLOW}},
    {SYS_statfs, "statfs", {EACCES, EIO, ENOENT, ENOMEM, ENOSYS}},
    {SYS_fstatfs, "fstatfs", {EIO, ENOMEM, ENOSYS}},
    {SYS_lseek, "lseek", {EINVAL, ESPIPE, EOVERFLOW}},
    {SYS_ftruncate, "ftruncate", {EINTR, EIO, EPERM, EFBIG}},
    {SYS_flock, "flock", {EINTR, ENOLCK, EWOULDBLOCK}},
    {SYS_fsync, "fsync", {EIO, ENOSPC}},
    {SYS_poll, "poll", {EINTR, ENOMEM, EINVAL}},
    {SYS_ppoll, "ppoll", {EINTR, ENOMEM, EINVAL}},
    {SYS_ioctl, "ioctl", {EPERM, EBUSY, ENODEV, ENXIO, EINVAL, ENOMEM, ENOTTY, EIO, EINTR}},
    {SYS_fcntl, "fcntl", {EAGAIN, EINVAL, EMFILE, EPERM}},
    {SYS_dup2, "dup2", {EBUSY, EINTR, EMFILE}},
    {SYS_dup3, "dup3", {EBUSY, EINTR, EMFILE}},
    {SYS_close_range, "close_range", {EMFILE, ENOMEM, ENOSYS}},
    {SYS_pipe2, "pipe2", {EMFILE, ENFILE}},
    {SYS_socket, "socket", {EACCES, EAFNOSUPPORT, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT}},
    {SYS_socketpair, "socketpair", {EAFNOSUPPORT, EMFILE, ENFILE, EOPNOTSUPP}},
    {SYS_bind, "bind", {EACCES, EADDRINUSE, EPERM, ENOMEM}},
    {SYS_connect, "connect", {EACCES, EPERM, ECONNREFUSED, EAGAIN}},
    {SYS_getsockname, "getsockname", {ENOBUFS}},
    {SYS_getsockopt, "getsockopt", {ENOPROTOOPT, ENOTSOCK, EINVAL}},
    {SYS_setsockopt, "setsockopt", {ENOPROTOOPT, ENOMEM, EPERM, EINVAL}},
    {SYS_sendto, "sendto", {EACCES, EAGAIN, ECONNREFUSED, ECONNRESET, EINTR, EMSGSIZE, ENOBUFS, ENOMEM, EPIPE, EPERM}},
    {SYS_sendmsg,
     "sendmsg",
     {EACCES, EAGAIN, ECONNREFUSED, ECONNRESET, EINTR, EMSGSIZE, ENOBUFS, ENOMEM, EPIPE, EPERM}},
    {SYS_recvfrom, "recvfrom", {EAGAIN, ECONNREFUSED, EINTR, ENOMEM, ENOBUFS}},
    {SYS_recvmsg, "recvmsg", {EAGAIN, ECONNREFUSED, EINTR, ENOMEM, ENOBUFS}},
    {SYS_mmap, "mmap", {ENOMEM, EAGAIN, EPERM}},
    {SYS_munmap, "munmap", {EINVAL, ENOMEM}},
    {SYS_mprotect, "mprotect", {ENOMEM, EACCES}},
    {SYS_clone, "clone", {EAGAIN, ENOMEM, EPERM}},
    {SYS_clone3, "clone3", {EAGAIN, ENOMEM, ENOSPC, EPERM, EINVAL, EBUSY, EACCES}},
    {SYS_wait4, "wait4", {ECHILD, EINTR}},
    {SYS_capget, "capget", {EPERM, EINVAL}},
    {SYS_capset, "capset", {EPERM, EINVAL}},
    {SYS_prctl, "prctl", {EINVAL, EPERM, EACCES}},
    {SYS_seccomp, "seccomp", {EACCES, EINVAL, ENOMEM, ESRCH}},
    {SYS_getrlimit, "getrlimit", {EINVAL}},
    {SYS_setrlimit, "setrlimit", {EINVAL, EPERM}},
    {SYS_prlimit64, "prlimit64", {EINVAL, EPERM, ESRCH}},
    {SYS_setitimer, "setitimer", {EINVAL}},
    {SYS_rt_sigaction, "rt_sigaction", {EINVAL}},
    {SYS_rt_sigprocmask, "rt_sigprocmask", {EINVAL}},
    {SYS_setsid, "setsid", {EPERM}},
    {SYS_chdir, "chdir", {EACCES, EIO, ELOOP, ENOENT, ENOMEM}},
    {SYS_fchdir, "fchdir", {EACCES}},
    {SYS_unshare, "unshare", {EINVAL, ENOMEM, ENOSPC, EPERM, EUSERS}},
    {SYS_mount, "mount", {EACCES, EBUSY, EINVAL, ELOOP, EMFILE, ENODEV, ENOENT, ENOMEM, EPERM}},
    {SYS_umount2, "umount2", {EAGAIN, EBUSY, EINVAL, ENOENT, ENOMEM, EPERM}},
    {SYS_pivot_root, "pivot_root", {EBUSY, EINVAL, ENOTDIR, EPERM}},
    {SYS_open_tree, "open_tree", {EACCES, EINVAL, ELOOP, EMFILE, ENFILE, ENOENT, ENOMEM, EPERM}},
    {SYS_move_mount, "move_mount", {EACCES, EINVAL, ELOOP, ENOENT, EPERM, ENOMEM}},
    {SYS_mount_setattr, "mount_setattr", {EBUSY, EINVAL, ENOENT, ENOMEM, EPERM}},
    {SYS_fsopen, "fsopen", {EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, EPERM}},
    {SYS_fsconfig, "fsconfig", {EACCES, EBUSY, EINVAL, EOPNOTSUPP, ENOMEM, EPERM}},
    {SYS_fsmount, "fsmount", {EBUSY, EINVAL, EMFILE, ENFILE, ENOMEM, EPERM}},
    {SYS_mkdir, "mkdir", {EACCES, EDQUOT, EMLINK, ENOMEM, ENOSPC, EROFS}},
    {SYS_mkdirat, "mkdirat", {EACCES, EDQUOT, EMLINK, ENOMEM, ENOSPC, EROFS}},
    {SYS_mknod, "mknod", {EACCES, EDQUOT, EEXIST, ENOMEM, ENOSPC, EPERM, EROFS}},
    {SYS_mknodat, "mknodat", {EACCES, EDQUOT, EEXIST, ENOMEM, ENOSPC, EPERM, EROFS}},
    {SYS_symlink, "symlink", {EACCES, EDQUOT, ENOMEM, ENOSPC, EROFS}},
    {SYS_symlinkat, "symlinkat", {EACCES, EDQUOT, ENOMEM, ENOSPC, EROFS}},
    {SYS_unlink, "unlink", {EACCES, EBUSY, EIO, ENOENT, ENOMEM, EROFS}},
    {SYS_unlinkat, "unlinkat", {EACCES, EBUSY, EIO, ENOENT, ENOMEM, EROFS}},
    {SYS_sethostname, "sethostname", {EPERM}},
    {SYS_execve, "execve", {EACCES, EAGAIN, EIO, ELOOP, EMFILE, ENFILE, ENOENT, ENOEXEC, ENOMEM, EPERM, ETXTBSY}},
    {SYS_pidfd_send_signal, "pidfd_send_signal", {EPERM, ESRCH}},
    {SYS_getresuid, "getresuid", {0}},
    {SYS_getresgid, "getresgid", {0}},
    {SYS_getgroups, "getgroups", {EINVAL}},
    {SYS_access, "access", {EACCES, ENOENT, ENOMEM}},
    {SYS_getrandom, "getrandom", {EAGAIN, EINTR, ENOSYS}},
    {SYS_uname, "uname", {0}},
    {SYS_semctl, "semctl", {EINVAL}},
};

/* These end the process, or are not the caller's to see fail. */
static const int never[] = {
    SYS_exit_group, SYS_exit,        SYS_rt_sigreturn,    SYS_restart_syscall, SYS_brk,
    SYS_getpid,     SYS_getppid,     SYS_getuid,          SYS_geteuid,         SYS_getgid,
    SYS_getegid,    SYS_umask,       SYS_set_tid_address, SYS_set_robust_list, SYS_rseq,
    SYS_arch_prctl, SYS_getpriority, SYS_gettid,          SYS_alarm,           SYS_clock_gettime};

const int *errnos_of(int number) {
    static const int other[] = {EPERM, ENOMEM, EINVAL, 0};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (never[i] == number)
            return NULL;
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].number == number)
            return calls[i].errors;
    }
    return other;
}

int is_told_apart(int error) {
    static const int some[] = {EINTR,  EAGAIN, ENOENT, EEXIST, EBUSY,        EINVAL,
                               ENOSYS, ENODEV, ENXIO,  EPERM,  EAFNOSUPPORT, EWOULDBLOCK};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        if (some[i] == error)
            return 1;
    }
    return 0;
}

const char *call_name(int number) {
    static char text[24];
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].number == number)
            return calls[i].name;
    }
    (void) snprintf(text, sizeof(text), "call %d", number);
    return text;
}
