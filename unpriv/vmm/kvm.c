#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/wire.h"
#include "../priv/priv.h"
#include "args.h"
#include "vmm.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIAL_WAIT_MS 10000 /* banger-jail gives up after 2 s */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int known = -1; /* 0 or 1 once tried */
static char known_why[256];

static int scratch(const char *name, struct err *e) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? err_sys(e, errno, "cannot make a file for the KVM trial") : fd;
}

/* The trial's one line, without its newline. */
static void read_why(int log, char why[256]) {
    ssize_t n = pread(log, why, 255, 0);
    why[n > 0 ? n : 0] = '\0';
    why[strcspn(why, "\n")] = '\0';
    text_sanitize(why);
    if (*why == '\0')
        (void) snprintf(why, 256, "the KVM trial ended without a reason");
}

/* 1 or 0 with the reason; a negative errno where the trial could not be made. */
static int try_kvm(uint64_t op, char why[256], struct err *e) {
    struct jail_args none;
    vmm_args_start(&none);
    cleanup_fd int args = vmm_args_seal(&none, e);
    cleanup_fd int log = args < 0 ? -1 : scratch("banger-trial-log", e);
    cleanup_fd int status = log < 0 ? -1 : scratch("banger-trial-status", e);
    if (status < 0)
        return e->code ? -e->code : -EIO;
    if (flock(status, LOCK_EX | LOCK_NB))
        return err_sys(e, errno, "cannot lock a file for the KVM trial");
    int pid;
    const int fds[] = {[SPAWN_ARGS] = args, [SPAWN_LOG] = log, [SPAWN_STATUS] = status};
    const struct priv_spawn trial = {.style = SPAWN_TRIAL, .fds = fds, .cgroup = -1};
    cleanup_fd int pidfd = priv_vmm_spawn(op, &trial, &pid, e);
    if (pidfd < 0)
        return pidfd;
    int r = io_wait(pidfd, POLLIN, TRIAL_WAIT_MS);
    if (r) {
        (void) syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
        return err_sys(e, -r, "the KVM trial does not end");
    }
    struct jail_status end = {0};
    if (pread(status, &end, sizeof(end), 0) == (ssize_t) sizeof(end) && end.magic == JAIL_ARGS_MAGIC &&
        WIFEXITED((int) end.wait_status) && WEXITSTATUS((int) end.wait_status) == 0)
        return 1;
    read_why(log, why);
    return 0;
}

int vmm_kvm_works(uint64_t op, char why[256]) {
    struct err e = {0};
    (void) pthread_mutex_lock(&lock);
    int works = known;
    if (works < 0) {
        works = try_kvm(op, known_why, &e);
        if (works >= 0)
            known = works;
    }
    /* A trial that could not be made is made again the next time. */
    (void) snprintf(why, 256, "%.255s", works < 0 ? e.text : known_why);
    (void) pthread_mutex_unlock(&lock);
    return works > 0;
}
