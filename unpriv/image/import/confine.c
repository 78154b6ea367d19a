#include "import.h"

#include "../../../common/sandbox.h"
#include "second.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define ADDRESS_SPACE ((rlim_t) 1 << 30) /* a million entries take less than half of it */

/* Memory, the descriptors that are open, and the clock (strace of both modes; what glibc's malloc and qsort ask for).
 */
static const int calls[] = {
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_preadv,
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_pwritev,
    SYS_lseek,
    SYS_fstat,
    SYS_newfstatat,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_fcntl,
    SYS_close,
    SYS_dup,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_getrandom,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_time,
    SYS_getpid,
    SYS_gettid,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_rt_sigaction,
    SYS_restart_syscall,
    SYS_exit,
    SYS_exit_group,
    SYS_copy_file_range,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_sysinfo,
    SYS_prctl,
    SYS_ioctl,
    SYS_poll,
    SYS_sched_yield,
    SYS_openat2, /* last: only with a folder */
};

/* A layout's folder: its files are opened one by one. Only Landlock keeps openat2 within it. */
static int confine_folder(struct err *e) {
    const struct sandbox_path input = {.fd = IMPORT_FD_INPUT, .access = SANDBOX_READ};
    int r = sandbox_landlock(&input, 1);
    if (r == 0)
        return err_set(e, EOPNOTSUPP,
                       "This kernel has no Landlock, without which a folder is not read; make a tar archive of it");
    return r;
}

int import_confine(struct err *e) {
    const struct rlimit space = {ADDRESS_SPACE, ADDRESS_SPACE}, none = {0, 0};
    if (setrlimit(RLIMIT_AS, &space) || setrlimit(RLIMIT_CORE, &none))
        return err_sys(e, errno, "The importer cannot bound its memory");
    struct stat st;
    int is_folder = fstat(IMPORT_FD_INPUT, &st) == 0 && S_ISDIR(st.st_mode);
    int r = is_folder ? confine_folder(e) : sandbox_landlock(NULL, 0);
    if (r < 0)
        return e->code ? r : err_sys(e, -r, "The importer cannot confine itself with Landlock");
    r = second_start(e);
    if (r)
        return r;
    const struct sandbox_calls list = {
        .allowed = calls, .count = sizeof(calls) / sizeof(calls[0]) - !is_folder, .kill = 1, .sync = 1};
    r = sandbox_seccomp(&list);
    return r ? err_sys(e, -r, "The importer cannot confine itself with seccomp") : 0;
}
