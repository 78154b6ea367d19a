#include "serve.h"

#include "../../common/sandbox.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADDRESS_SPACE ((rlim_t) 128 << 20) /* a few texts, where all are as large as can be */
#define FILES_MAX     32

/* What the loop and malloc (getrandom, at its first use) need. No socket, connect or open: it has all it will ever
 * have. */
static const int calls[] = {
    SYS_getrandom, SYS_poll,       SYS_recvfrom,     SYS_sendto,
    SYS_accept4,   SYS_shutdown,   SYS_close,        SYS_clock_gettime,
    SYS_brk,       SYS_mmap,       SYS_munmap,       SYS_mremap,
    SYS_madvise,   SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall,
};

int metrics_confine(struct err *e) {
    const struct rlimit space = {ADDRESS_SPACE, ADDRESS_SPACE}, files = {FILES_MAX, FILES_MAX}, none = {0, 0};
    if (setrlimit(RLIMIT_AS, &space) || setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_CORE, &none) ||
        setrlimit(RLIMIT_FSIZE, &none))
        return err_sys(e, errno, "banger-metrics cannot bound what it uses");
    int r = sandbox_landlock(NULL, 0);
    if (r < 0)
        return err_sys(e, -r, "banger-metrics cannot confine itself with Landlock");
    const struct sandbox_calls list = {.allowed = calls, .count = sizeof(calls) / sizeof(calls[0]), .kill = 1};
    r = sandbox_seccomp(&list);
    return r ? err_sys(e, -r, "banger-metrics cannot confine itself with seccomp") : 0;
}
