/* The system calls a VMM may make. The helper's vmm worker has them in its own
 * list (a filter is inherited), banger-jail installs exactly these for the VMM.
 * Everything else fails with EPERM rather than kills: VMMs probe (io_uring,
 * memfd_create, set_mempolicy) and go on without, and have lists of their own.
 *
 * VMM_CALLS, every VMM's and all of QEMU's: found by strace of QEMU 7.2 with two virtual
 * CPUs under emulation: start, disk and network load, both sockets, stop and cont, power
 * button; and of its start with KVM. Near relatives that other builds of libc and QEMU
 * use for the same things are in. QEMU's own -sandbox then kills for the sets it knows.
 * Left out on purpose: socket, bind and connect (every socket is handed over),
 * fork, kill, ptrace, io_uring, and all that changes names in a folder. execve is
 * in for the start itself; Landlock leaves it nothing else to execute, and QEMU's
 * spawn=deny removes it. clone cannot tell threads by its list entry: spawn=deny
 * does.
 *
 * VMM_NAMED_CALLS, in addition those of a VMM that opens by name: Firecracker makes its
 * API's and vsock's sockets itself and is in the host's network namespace, so socket is
 * for stream sockets of AF_UNIX only (sandbox.h, unix_streams). The others are what its
 * own lists have (resources/seccomp in its source) and QEMU's has not, but io_uring and
 * userfaultfd. connect is not among them: see banger-jail's confine.c. */
#ifndef BANGER_COMMON_VMMCALLS_H
#define BANGER_COMMON_VMMCALLS_H

#include <sys/syscall.h>

/* clang-format off */
#define VMM_CALLS \
    /* bytes: console, sockets, tap, disks */ \
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2, \
    SYS_pwritev2, SYS_lseek, SYS_close, SYS_fsync, SYS_fdatasync, SYS_fallocate, \
    SYS_recvmsg, SYS_sendmsg, SYS_recvfrom, SYS_sendto, SYS_accept, SYS_accept4, SYS_shutdown, SYS_listen, \
    SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, \
    /* files: libraries, firmware, kernel; descriptors of the fd sets */ \
    SYS_open, SYS_openat, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_stat, SYS_fstat, SYS_lstat, SYS_newfstatat, \
    SYS_statx, SYS_statfs, SYS_fstatfs, SYS_readlink, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_fcntl, \
    SYS_dup, SYS_dup2, SYS_dup3, SYS_ioctl, \
    /* memory */ \
    SYS_brk, SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_membarrier, \
    /* threads and their signals */ \
    SYS_clone, SYS_clone3, SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_set_tid_address, \
    SYS_arch_prctl, SYS_prctl, SYS_sched_yield, SYS_sched_getaffinity, SYS_rt_sigaction, SYS_rt_sigprocmask, \
    SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_rt_sigpending, SYS_sigaltstack, SYS_tgkill, SYS_tkill, \
    SYS_restart_syscall, SYS_exit, SYS_exit_group, SYS_execve, SYS_seccomp, \
    /* waiting and time */ \
    SYS_poll, SYS_ppoll, SYS_select, SYS_pselect6, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_wait, \
    SYS_epoll_pwait, SYS_eventfd2, SYS_signalfd4, SYS_pipe2, SYS_timerfd_create, SYS_timerfd_settime, \
    SYS_timerfd_gettime, \
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, \
    /* who and where */ \
    SYS_getpid, SYS_getppid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_uname, SYS_sysinfo, \
    SYS_getrlimit, SYS_prlimit64, SYS_getrandom
#define VMM_NAMED_CALLS \
    SYS_socket, SYS_bind, SYS_memfd_create, SYS_ftruncate, SYS_msync, SYS_mincore, SYS_unlink
/* clang-format on */

#endif
