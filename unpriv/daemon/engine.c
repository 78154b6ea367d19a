#include "engine.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../../common/sandbox.h"
#include "../../common/version.h"
#include "../image/images.h"
#include "../kernel/kernels.h"
#include "../store/events.h"
#include "../vm/vm.h"
#include "metrics_port.h"
#include "monitor.h"
#include "rpc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREAD_STACK ((size_t) 256 * 1024)

struct engine engine = {.state = -1};

/* What the engine, SQLite, glibc and its threads need; everything else fails with
 * EPERM. No execve, no fork (clone is for threads), no socket: connections are
 * handed over by the monitor, which makes them by number. No io_uring: it does file
 * work that seccomp does not see. */
static const int engine_calls[] = {
    /* memory and threads */
    SYS_brk,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_clone,
    SYS_clone3,
    SYS_exit,
    SYS_exit_group,
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_gettid,
    SYS_getpid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_tgkill,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_getrandom,
    SYS_prlimit64,
    SYS_sysinfo,
    SYS_uname,
    SYS_restart_syscall,
    SYS_membarrier,
    /* signals and time */
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_clock_getres,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_time,

    SYS_pidfd_send_signal,
    SYS_pidfd_open,
    SYS_waitid,
    /* files, below the state folder (Landlock) */
    SYS_openat,
    SYS_open,
    SYS_close,
    SYS_close_range,
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_lseek,
    SYS_fstat,
    SYS_stat,
    SYS_lstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_access,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlink,
    SYS_readlinkat,
    SYS_getcwd,
    SYS_getdents64,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_rmdir,
    SYS_unlink,
    SYS_unlinkat,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fchmod,
    SYS_chmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sync_file_range,
    SYS_fadvise64,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_flock,
    SYS_fcntl,
    SYS_ioctl,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    SYS_umask,
    SYS_utimensat,
    SYS_memfd_create,
    SYS_pipe2,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_splice,
    /* sockets it was handed */
    SYS_accept4,
    SYS_socketpair,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_sendto,
    SYS_recvfrom,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    SYS_shutdown,
    SYS_poll,
    SYS_ppoll,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_wait,
    SYS_epoll_pwait,
};

static void on_term(int number) {
    (void) number;
    rpc_stop();
}

static int set_signals(void) {
    struct sigaction stop = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    return sigaction(SIGTERM, &stop, NULL) || sigaction(SIGINT, &stop, NULL) || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
                   signal(SIGHUP, SIG_IGN) == SIG_ERR
               ? -errno
               : 0;
}

/* Idle memory is a promise: one arena, freed pages go back, small stacks. */
static void keep_small(void) {
    pthread_attr_t attributes;
    (void) mallopt(M_ARENA_MAX, 1);
    (void) mallopt(M_TRIM_THRESHOLD, 64 * 1024);
    (void) mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    if (pthread_attr_init(&attributes) == 0) {
        if (pthread_attr_setstacksize(&attributes, THREAD_STACK) == 0)
            (void) pthread_setattr_default_np(&attributes);
        (void) pthread_attr_destroy(&attributes);
    }
}

static int confine(struct err *e) {
    cleanup_fd int resolver = open("/etc/resolv.conf", O_PATH | O_CLOEXEC);
    char folder[] = BANGER_POLICY; /* the folder: the file in it may be replaced */
    *strrchr(folder, '/') = '\0';
    cleanup_fd int policy = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sandbox_path paths[3] = {{engine.state, SANDBOX_WRITE}};
    size_t count = 1;
    if (resolver >= 0)
        paths[count++] = (struct sandbox_path){resolver, SANDBOX_READ};
    if (policy >= 0)
        paths[count++] = (struct sandbox_path){policy, SANDBOX_READ};
    int r = sandbox_landlock(paths, count);
    if (r < 0)
        return err_sys(e, -r, "cannot confine bangerd with Landlock");
    engine.landlock = r;
    const struct sandbox_calls calls = {
        .allowed = engine_calls, .count = sizeof(engine_calls) / sizeof(engine_calls[0]), .deny_unix = 1};
    r = sandbox_seccomp(&calls);
    return r ? err_sys(e, -r, "cannot confine bangerd with seccomp") : 0;
}

/* The first half of random(4)'s boot_id: read while /proc can be seen. */
static int64_t read_boot(void) {
    static const char digits[] = "0123456789abcdef";
    char text[sizeof("01234567-89ab-cdef")] = "";
    uint64_t boot = 0;
    cleanup_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || io_read_some(fd, text, sizeof(text) - 1) < 0)
        return 0;
    for (const char *at = text; *at; at++) {
        const char *digit = strchr(digits, *at);
        boot = digit ? boot << 4 | (uint64_t) (digit - digits) : boot;
    }
    return (int64_t) boot;
}

static int prepare(const char *state_path, struct err *e) {
    (void) snprintf(engine.state_path, sizeof(engine.state_path), "%s", state_path);
    (void) snprintf(engine.version, sizeof(engine.version), "%s", BANGER_STAMP);
    keep_small();
    engine.boot = read_boot();
    engine.state = open(state_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (engine.state < 0)
        return err_sys(e, errno, "cannot open the state folder %s", state_path);
    int r = set_signals();
    if (r)
        return err_sys(e, -r, "cannot set bangerd's signals");
    r = confine(e);
    if (r == 0)
        r = store_open(state_path, e);
    if (r == 0)
        r = images_recover(e);
    if (r == 0)
        r = kernels_recover(e);
    return r;
}

/* An end on purpose has left a word. */
static void note_start(const char *before) {
    struct event began;
    struct event ended;
    struct err e;
    if (events_newest(EVENT_DAEMON_STARTED, EVENT_DAEMON_RESTARTED, &began, &e) ||
        events_newest(EVENT_DAEMON_STOPPED, NULL, &ended, &e))
        log_error(0, "%s", e.text);
    else if (began.id == 0 || ended.id > began.id)
        events_add(EVENT_DAEMON_STARTED, NULL, "bangerd %s", engine.version);
    else
        events_add(EVENT_DAEMON_RESTARTED, NULL, "the last one %s",
                   before[0] ? before : "ended without a word: it was killed, or the machine stopped");
}

static void tell(int ready, const char *text) {
    (void) io_write(ready, text, strlen(text));
    (void) close(ready);
}

int engine_main(int monitor, int listener, int ready, const char *state_path, const char *before) {
    struct err e = {0};
    for (int fd = monitor; fd <= ENGINE_FD_LOCK; fd++)
        (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
    monitor_client_open(monitor);
    if (prepare(state_path, &e)) {
        log_error(0, "%s", e.text);
        tell(ready, e.text);
        return ENGINE_EXIT_REFUSED;
    }
    note_start(before);
    /* VMs that cannot be mended now (no helper, say) are no reason to refuse the requests that would tell why. */
    if (vm_recover(&e))
        log_error(0, "start-up: %s", e.text);
    vm_dns_begin();
    metrics_port_begin();
    (void) malloc_trim(0);
    log_info(0, "engine serves, Landlock ABI %d", engine.landlock);
    tell(ready, "ok");
    int r = rpc_serve(listener, &e);
    vm_taps_end();
    if (r)
        log_error(0, "%s", e.text);
    else
        events_add(EVENT_DAEMON_STOPPED, NULL, "VMs go on running");
    store_close();
    /* Requests that did not end in time may still hold locks: no destructors. */
    _exit(r ? 1 : 0);
}
