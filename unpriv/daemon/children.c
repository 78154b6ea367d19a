#include "children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Moves the descriptors above everything first, so that none overwrites another. */
static int arrange(const struct child *child) {
    int high[CHILD_FDS_MAX];
    for (size_t i = 0; i < child->count; i++) {
        int from = child->fds[i];
        if (from < 0)
            from = open("/dev/null", O_RDWR | O_CLOEXEC);
        high[i] = fcntl(from, F_DUPFD_CLOEXEC, CHILD_FDS_MAX);
        if (high[i] < 0)
            return -errno;
    }
    for (size_t i = 0; i < child->count; i++) {
        if (dup2(high[i], (int) i) < 0)
            return -errno;
    }
    return close_range((unsigned) child->count, ~0u, 0) ? -errno : 0;
}

static void explain(const struct child *child, int code) {
    if (code == EACCES)
        (void) dprintf(2,
                       "this account may not run %s: an administrator adds it to the group banger (`usermod -aG banger "
                       "ACCOUNT`), then log in again and run `banger daemon stop`\n",
                       child->path);
    else if (code == ENOENT)
        (void) dprintf(2, "%s is not installed: run `make install` in banger's source as root\n", child->path);
    else
        (void) dprintf(2, "cannot run %s: %s\n", child->path, strerror(code));
}

__attribute__((noreturn)) static void become(const struct child *child, pid_t monitor) {
    static char *const no_environment[] = {NULL};
    sigset_t none;
    (void) sigemptyset(&none);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    (void) signal(SIGPIPE, SIG_DFL);
    int r = arrange(child);
    if (child->death_signal && prctl(PR_SET_PDEATHSIG, child->death_signal))
        r = -errno;
    if (child->death_signal && getppid() != monitor)
        _exit(126); /* it died before the line above */
    if (r == 0) {
        (void) execve(child->path, child->argv, no_environment);
        r = -errno;
    }
    explain(child, -r);
    _exit(126);
}

pid_t child_start(const struct child *child) {
    const pid_t monitor = getpid();
    if (child->count > CHILD_FDS_MAX)
        return -EINVAL;
    pid_t pid = fork();
    if (pid == 0)
        become(child, monitor);
    return pid < 0 ? -errno : pid;
}
