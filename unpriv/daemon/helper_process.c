#include "helper_process.h"

#include "../../common/err.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "children.h"
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EARLY_MS      2000 /* who ends sooner could not start */
#define START_WAIT_MS 500  /* how long a helper is watched when the last one could not start */
#define PREFIX        "banger-helper does not run: "

static struct {
    pid_t pid;
    int ends[WIRE_WORKERS]; /* the engine's, until given away */
    int errors;             /* read end of its standard error */
    long long began;
    int could_not_start;
    size_t used; /* of line */
    char line[MONITOR_TEXT - sizeof(PREFIX)];
    char last[MONITOR_TEXT - sizeof(PREFIX)];
    char why[MONITOR_TEXT];
} helper = {.ends = {-1, -1, -1}, .errors = -1};

static void close_one(int *fd) {
    if (*fd >= 0)
        (void) close(*fd);
    *fd = -1;
}

static void forget(void) {
    for (int w = 0; w < WIRE_WORKERS; w++)
        close_one(&helper.ends[w]);
    close_one(&helper.errors);
    helper.pid = 0;
}

void helper_process_end(void) {
    if (helper.pid > 0)
        (void) kill(helper.pid, SIGTERM);
    forget(); /* its workers see the end of their sockets; the monitor reaps all */
}

static int spawn(int sockets[WIRE_WORKERS], int errors) {
    char *const argv[] = {(char *) "banger-helper", NULL};
    int fds[WIRE_FD_FIRST + WIRE_WORKERS] = {-1, -1, errors};
    for (int w = 0; w < WIRE_WORKERS; w++)
        fds[WIRE_FD_FIRST + w] = sockets[w];
    const struct child child = {
        .path = BANGER_LIBEXECDIR "/banger-helper", .argv = argv, .fds = fds, .count = sizeof(fds) / sizeof(fds[0])};
    return child_start(&child);
}

int helper_process_start(void) {
    int theirs[WIRE_WORKERS] = {-1, -1, -1};
    int errors[2] = {-1, -1};
    int r = 0;
    helper_process_end();
    for (int w = 0; w < WIRE_WORKERS && r == 0; w++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
            r = -errno;
        } else {
            helper.ends[w] = pair[0];
            theirs[w] = pair[1];
        }
    }
    /* Non-blocking at both ends: a helper never waits for its messages to be read. */
    if (r == 0 && pipe2(errors, O_CLOEXEC | O_NONBLOCK))
        r = -errno;
    if (r == 0)
        r = spawn(theirs, errors[1]);
    for (int w = 0; w < WIRE_WORKERS; w++)
        close_one(&theirs[w]);
    close_one(&errors[1]);
    helper.errors = errors[0];
    helper.began = io_now_ms();
    helper.used = 0;
    helper.last[0] = '\0';
    if (r < 0) {
        forget();
        (void) snprintf(helper.why, sizeof(helper.why), PREFIX "%s", strerror(-r));
        return r;
    }
    helper.pid = r;
    return 0;
}

static void take_byte(char c) {
    if (c != '\n') {
        if (helper.used + 1 < sizeof(helper.line))
            helper.line[helper.used++] = c;
        return;
    }
    helper.line[helper.used] = '\0';
    helper.used = 0;
    if (helper.line[0] == '\0')
        return;
    text_sanitize(helper.line);
    memcpy(helper.last, helper.line, sizeof(helper.last));
    log_debug(0, "helper: %s", helper.last);
}

void helper_process_read(void) {
    char buffer[512];
    ssize_t n = read(helper.errors, buffer, sizeof(buffer));
    for (ssize_t i = 0; i < n; i++)
        take_byte(buffer[i]);
    if (n == 0)
        close_one(&helper.errors);
}

static void read_the_rest(void) {
    struct pollfd p = {.fd = helper.errors, .events = POLLIN};
    while (helper.errors >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
        helper_process_read();
        p.fd = helper.errors;
    }
    take_byte('\n');
}

void helper_process_died(int status) {
    const char *prefix = "banger-helper: ";
    read_the_rest();
    const int failed = !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    helper.could_not_start = failed && io_now_ms() - helper.began < EARLY_MS;
    const char *said = helper.last;
    if (strncmp(said, prefix, strlen(prefix)) == 0)
        said += strlen(prefix);
    if (said[0])
        (void) snprintf(helper.why, sizeof(helper.why), PREFIX "%.*s", (int) sizeof(helper.last), said);
    else
        (void) snprintf(helper.why, sizeof(helper.why), PREFIX "it ended with %s %d",
                        WIFSIGNALED(status) ? "signal" : "status",
                        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (failed)
        log_error(0, "%s", helper.why);
    forget();
}

/* Gives a helper that probably ends at once `timeout_ms` to do so, rather than hand out a dead socket. */
static void watch(int timeout_ms) {
    int status = 0;
    int fd = (int) syscall(SYS_pidfd_open, helper.pid, 0);
    if (fd < 0)
        return;
    helper.could_not_start = 0;
    if (io_wait(fd, POLLIN, timeout_ms) == 0 && waitpid(helper.pid, &status, WNOHANG) == helper.pid)
        helper_process_died(status);
    (void) close(fd);
}

int helper_process_socket(enum wire_worker worker) {
    /* The engine has lost its socket to a young helper: that one is most likely about to say why it ends. */
    if (helper.pid > 0 && helper.ends[worker] < 0)
        watch(io_now_ms() - helper.began < EARLY_MS ? START_WAIT_MS : 0);
    if (helper.pid == 0 || helper.ends[worker] < 0) {
        const int doubtful = helper.could_not_start;
        int r = helper_process_start();
        if (r)
            return r;
        if (doubtful)
            watch(START_WAIT_MS);
    }
    if (helper.pid == 0)
        return -EPERM;
    int end = helper.ends[worker];
    helper.ends[worker] = -1;
    return end;
}

pid_t helper_process_pid(void) {
    return helper.pid;
}

int helper_process_stderr(void) {
    return helper.errors;
}

const char *helper_process_why(void) {
    return helper.why;
}
