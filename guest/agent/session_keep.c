/* The keeper of a session: its command's parent for as long as that lives. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK        65536
#define LOOK_MS      60000      /* the longest wait while a KILL is due */
#define LEFTOVER_MAX (1u << 20) /* what a pipe can hold when its writer has ended, and more */

/* One output: what came from the command, to a file that is changed for a new one when it is full. */
struct output {
    const char *name, *older;
    int from, to;
    size_t size;
};

static struct keeper {
    int folder;
    struct agent_session *session;
    struct output out[2];
    int control, input; /* the FIFOs; input: the write end that keeps it open, -1 without */
    int ended, told;    /* pidfd and signalfd */
    long long kill_at;  /* agent_now_ms(); 0: not to be killed */
} keeper;

/* What the disk has no room for is dropped: the command goes on. */
static void output_add(struct output *out, const char *data, size_t size) {
    if (out->to >= 0 && out->size + size > SESSION_LOG_MAX) {
        (void) close(out->to);
        (void) renameat(keeper.folder, out->name, keeper.folder, out->older);
        out->to = -1;
    }
    if (out->to < 0) {
        out->to = openat(keeper.folder, out->name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        out->size = 0;
    }
    for (ssize_t put; out->to >= 0 && size; data += put, size -= (size_t) put) {
        put = write(out->to, data, size);
        if (put <= 0)
            break;
        out->size += (size_t) put;
    }
}

/* Reads once. 1 when there may be more. */
static int output_read(struct output *out) {
    static char chunk[CHUNK];
    ssize_t got = read(out->from, chunk, sizeof chunk);
    if (got > 0) {
        output_add(out, chunk, (size_t) got);
        return 1;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void) close(out->from);
        out->from = -1;
    }
    return 0;
}

static void group_signal(int number) {
    (void) kill((pid_t) -keeper.session->pid, number);
}

static void input_close(void) {
    if (keeper.input >= 0)
        (void) close(keeper.input);
    keeper.input = -1;
    (void) unlinkat(keeper.folder, "stdin", 0);
}

static void order_take(const struct agent_session_order *order) {
    const long long at = agent_now_ms() + order->kill_within;
    if (order->signal == 0)
        input_close();
    else if (order->signal <= 64)
        group_signal((int) order->signal);
    if (order->kill_within && (keeper.kill_at == 0 || at < keeper.kill_at))
        keeper.kill_at = at;
}

static void control_read(void) {
    struct agent_session_order orders[16];
    ssize_t got = read(keeper.control, orders, sizeof orders);
    for (size_t i = 0; got > 0 && i < (size_t) got / sizeof *orders; i++)
        order_take(&orders[i]);
}

/* Milliseconds to wait for what is to be killed, 0: now; -1: it is not to be. */
static int patience(void) {
    if (keeper.kill_at == 0)
        return -1;
    const long long left = keeper.kill_at - agent_now_ms();
    return left <= 0 ? 0 : left < LOOK_MS ? (int) left : LOOK_MS;
}

/* The machine goes down: nothing of ours may hold that up. */
static void told_read(void) {
    struct signalfd_siginfo info;
    if (read(keeper.told, &info, sizeof info) == sizeof info)
        group_signal(SIGKILL);
}

/* The command has ended and is not reaped yet, so that its group's number is still its own: what it left behind in
 * its group ends with it. */
static void finish(void) {
    int status = 0;
    struct agent_session *session = keeper.session;
    group_signal(SIGKILL);
    while (waitpid((pid_t) session->pid, &status, 0) < 0 && errno == EINTR)
        ;
    for (int i = 0; i < 2; i++)
        for (size_t most = LEFTOVER_MAX / CHUNK; most && keeper.out[i].from >= 0 && output_read(&keeper.out[i]); most--)
            ;
    session->state = WIFSIGNALED(status) ? SESSION_KILLED : SESSION_EXITED;
    session->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    session->ended = time(NULL);
    (void) unlinkat(keeper.folder, "stdin", 0);
    (void) unlinkat(keeper.folder, "control", 0);
    (void) agent_session_save(keeper.folder, session);
}

static _Noreturn void keep(void) {
    for (;;) {
        struct pollfd list[5] = {{.fd = keeper.out[0].from, .events = POLLIN},
                                 {.fd = keeper.out[1].from, .events = POLLIN},
                                 {.fd = keeper.control, .events = POLLIN},
                                 {.fd = keeper.told, .events = POLLIN},
                                 {.fd = keeper.ended, .events = POLLIN}};
        int ready = poll(list, 5, patience());
        if (patience() == 0) {
            group_signal(SIGKILL);
            keeper.kill_at = 0;
        }
        if (ready <= 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (list[i].revents)
                (void) output_read(&keeper.out[i]);
        if (list[2].revents)
            control_read();
        if (list[3].revents)
            told_read();
        if (list[4].revents)
            break;
    }
    finish();
    _exit(0);
}

/* The command's standard input, and with a pipe the end that keeps it open. */
static int input_open(int folder, int piped, int *hold) {
    *hold = -1;
    if (!piped)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = openat(folder, "stdin", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    *hold = fd < 0 ? -1 : openat(folder, "stdin", O_WRONLY | O_CLOEXEC);
    if (*hold < 0 || fcntl(fd, F_SETFL, O_RDONLY) < 0)
        return -1;
    return fd;
}

/* Away from whoever started it: it must outlive the service's channel, the agent's next host and the client. */
static int detach(void) {
    sigset_t set;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    if (null < 0 || setsid() < 0 || chdir("/") < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    for (int i = 0; i < 3; i++)
        (void) dup2(null, i);
    (void) agent_write_file("/proc/self/oom_score_adj", "-1000", 0);
    (void) signal(SIGPIPE, SIG_IGN);
    keeper.told = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return keeper.told < 0 ? -errno : 0;
}

/* In the keeper: all that has to be there before the command is. A negative errno. */
static int prepare(int folder, int piped, int *input) {
    int code = detach();
    int lock = code < 0 ? code : agent_session_lock(folder, "lock"); /* until the process ends */
    if (lock < 0)
        return lock;
    keeper.folder = folder;
    keeper.control = openat(folder, "control", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    *input = input_open(folder, piped, &keeper.input);
    return keeper.control < 0 || *input < 0 ? -errno : 0;
}

/* What the keeper tells who started it. */
struct report {
    int status; /* 0: it runs */
    pid_t pid;
    char reason[256];
};

static int begin(int folder, struct agent_session *session, struct agent_open *open, struct report *report) {
    struct agent_process process;
    int input = -1, code = prepare(folder, session->piped, &input);
    if (code < 0) {
        (void) snprintf(report->reason, sizeof report->reason, "banger: cannot keep a session: %s\n", strerror(-code));
        return 126;
    }
    open->input = &input;
    int status = agent_spawn(open, &process, report->reason, sizeof report->reason);
    open->input = NULL;
    (void) close(input);
    if (status)
        return status;
    keeper.session = session;
    keeper.out[0] = (struct output){"stdout", "stdout.1", process.out, -1, 0};
    keeper.out[1] = (struct output){"stderr", "stderr.1", process.err, -1, 0};
    output_add(&keeper.out[0], "", 0);
    output_add(&keeper.out[1], "", 0);
    report->pid = process.pid;
    session->pid = process.pid;
    session->started = time(NULL);
    keeper.ended = pidfd_open(process.pid, 0);
    code = keeper.ended < 0 ? -errno : agent_session_save(folder, session);
    if (code == 0)
        return 0;
    group_signal(SIGKILL);
    (void) snprintf(report->reason, sizeof report->reason, "banger: cannot keep a session: %s\n", strerror(-code));
    return 126;
}

int agent_session_start(int folder, int guard, struct agent_session *session, struct agent_open *open, char *reason,
                        size_t size) {
    struct report report = {.status = 126};
    int ends[2];
    (void) snprintf(report.reason, sizeof report.reason, "banger: the session's keeper ended at once\n");
    if (pipe2(ends, O_CLOEXEC) < 0)
        return 126;
    pid_t pid = fork();
    if (pid == 0) {
        (void) close(ends[0]);
        (void) close(guard);
        report.status = begin(folder, session, open, &report);
        (void) !write(ends[1], &report, sizeof report);
        (void) close(ends[1]);
        if (report.status)
            _exit(1);
        keep();
    }
    (void) close(ends[1]);
    if (pid < 0 || read(ends[0], &report, sizeof report) < (ssize_t) sizeof report)
        report.status = 126;
    (void) close(ends[0]);
    (void) snprintf(reason, size, "%s", report.reason);
    session->pid = report.pid;
    session->started = time(NULL);
    return report.status;
}
