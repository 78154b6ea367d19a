#include "confine.h"

#include "../../../common/sandbox.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define ADDRESS_SPACE ((rlim_t) 256 << 20) /* stacks of as many threads as there are requests */
#define FILES_MAX     256

/* Both also get what glibc may ask for at any time. The file of resolv.conf is only ever asked about (stat). */
static const int dialler_calls[] = {
    SYS_poll,       SYS_recvmsg, SYS_sendmsg,       SYS_socket,     SYS_connect,      SYS_getsockname,     SYS_close,
    SYS_newfstatat, SYS_stat,    SYS_clock_gettime, SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall,
};
static const int parser_calls[] = {
    SYS_poll,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_recvfrom,
    SYS_sendto,
    SYS_getsockopt,
    SYS_close,
    SYS_clock_gettime,
    SYS_getrandom,
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_futex,
    SYS_clone,
    SYS_clone3,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_gettid,
    SYS_getpid,
    SYS_tgkill,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
};

static int confine(const int *calls, size_t count, int deny_unix) {
    const struct rlimit space = {ADDRESS_SPACE, ADDRESS_SPACE}, files = {FILES_MAX, FILES_MAX}, none = {0, 0};
    if (setrlimit(RLIMIT_AS, &space) || setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_CORE, &none) ||
        setrlimit(RLIMIT_FSIZE, &none))
        return -errno;
    int r = sandbox_landlock(NULL, 0);
    if (r < 0)
        return r;
    const struct sandbox_calls list = {.allowed = calls, .count = count, .kill = 1, .deny_unix = deny_unix};
    return sandbox_seccomp(&list);
}

int confine_dialler(void) {
    return confine(dialler_calls, sizeof(dialler_calls) / sizeof(dialler_calls[0]), 1);
}

int confine_parser(void) {
    return confine(parser_calls, sizeof(parser_calls) / sizeof(parser_calls[0]), 0);
}
