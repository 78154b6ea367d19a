#include "serve.h"

#include "../../common/sandbox.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADDRESS_SPACE ((rlim_t) 64 << 20)
#define FILES_MAX     32

/* What the loop, malloc and libldns need. No socket, connect or open: it has all it will ever have. */
static const int calls[] = {
    SYS_poll, SYS_recvfrom, SYS_sendto, SYS_accept4, SYS_close,      SYS_clock_gettime, SYS_brk,
    SYS_mmap, SYS_munmap,   SYS_mremap, SYS_madvise, SYS_exit_group, SYS_rt_sigreturn,  SYS_restart_syscall,
};

int dns_confine(struct err *e) {
    const struct rlimit space = {ADDRESS_SPACE, ADDRESS_SPACE}, files = {FILES_MAX, FILES_MAX}, none = {0, 0};
    if (setrlimit(RLIMIT_AS, &space) || setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_CORE, &none) ||
        setrlimit(RLIMIT_FSIZE, &none))
        return err_sys(e, errno, "banger-dns cannot bound what it uses");
    int r = sandbox_landlock(NULL, 0);
    if (r < 0)
        return err_sys(e, -r, "banger-dns cannot confine itself with Landlock");
    const struct sandbox_calls list = {.allowed = calls, .count = sizeof(calls) / sizeof(calls[0]), .kill = 1};
    r = sandbox_seccomp(&list);
    return r ? err_sys(e, -r, "banger-dns cannot confine itself with seccomp") : 0;
}
