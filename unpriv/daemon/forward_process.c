#include "forward_process.h"

#include "../../common/log.h"
#include "../forward/forward.h"
#include "children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    pid_t pid; /* 0: none runs */
    int engine_end;
} forward = {.engine_end = -1};

static void forget(void) {
    if (forward.engine_end >= 0)
        (void) close(forward.engine_end);
    forward.engine_end = -1;
    forward.pid = 0;
}

static int start_process(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -errno;
    char *const argv[] = {(char *) "banger-forward", NULL};
    const int fds[] = {-1, -1, STDERR_FILENO, pair[1]};
    const struct child child = {.path = BANGER_LIBEXECDIR "/banger-forward",
                                .argv = argv,
                                .fds = fds,
                                .count = sizeof(fds) / sizeof(fds[0]),
                                .death_signal = SIGKILL};
    pid_t pid = child_start(&child);
    (void) close(pair[1]);
    forward.engine_end = pair[0];
    if (pid < 0)
        forget();
    else
        forward.pid = pid;
    return pid < 0 ? pid : 0;
}

/* Its end of the socket is closed: it is dead, though not reaped yet. */
static int is_dead(void) {
    struct pollfd p = {.fd = forward.engine_end};
    return forward.pid == 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)));
}

int forward_process_socket(int start) {
    if (is_dead()) {
        forget();
        int r = start ? start_process() : -ENOENT;
        if (r)
            return r;
    }
    int fd = fcntl(forward.engine_end, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

void forward_process_reaped(pid_t pid) {
    if (pid == forward.pid)
        forget();
}

void forward_process_end(void) {
    pid_t pid = forward.pid;
    forget();
    if (pid > 0 && kill(pid, SIGKILL) == 0)
        (void) waitpid(pid, NULL, 0);
}
