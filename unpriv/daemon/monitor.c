#include "monitor.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/jailargs.h"
#include "../../common/log.h"
#include "../store/paths.h"
#include "cgroup.h"
#include "children.h"
#include "forward_process.h"
#include "helper_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTARTS_MAX    5 /* of the engine, in RESTART_SPAN_MS */
#define RESTART_SPAN_MS 60000
#define STOP_WAIT_MS    10000 /* the engine gets this long to end by itself */
#define WORKERS_MAX     64    /* banger-import, banger-fetch, banger-dns, banger-metrics and banger-resolve */
#define WORKER_FDS_MAX  8

static struct {
    const struct monitor_start *start;
    int listener;
    int signals;
    int engine_sock;
    pid_t engine;
    int ended; /* no engine runs, and none will */
    int exit_status;
    int stopping;
    long long kill_at; /* io_now_ms; 0: not yet */
    long long restarts[RESTARTS_MAX];
    char before[40]; /* how the last engine died, "" for the first */
    pid_t workers[WORKERS_MAX];
} monitor = {.engine_sock = -1, .signals = -1};

/* --- the engine ------------------------------------------------------------------- */

static void start_engine(void) {
    const struct monitor_start *s = monitor.start;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        log_error(0, "cannot make a socket for the engine: %s", strerror(errno));
        monitor.ended = monitor.exit_status = 1;
        return;
    }
    char *const argv[] = {(char *) "bangerd", (char *) "engine", (char *) s->state_path,
                          (char *) s->level,  monitor.before,    NULL};
    const int fds[] = {-1, -1, STDERR_FILENO, pair[1], monitor.listener, s->ready, s->lock};
    const struct child child = {.path = "/proc/self/exe",
                                .argv = argv,
                                .fds = fds,
                                .count = sizeof(fds) / sizeof(fds[0]),
                                .death_signal = SIGTERM};
    monitor.engine = child_start(&child);
    (void) close(pair[1]);
    monitor.engine_sock = pair[0];
    if (monitor.engine < 0) {
        log_error(0, "cannot start the engine: %s", strerror(-monitor.engine));
        monitor.ended = monitor.exit_status = 1;
    }
}

/* What a dead engine had asked for is of no use to the next one. */
static void forget_engine(void) {
    if (monitor.engine_sock >= 0)
        (void) close(monitor.engine_sock);
    monitor.engine_sock = -1;
    monitor.engine = 0;
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        if (monitor.workers[i] > 0)
            (void) kill(monitor.workers[i], SIGKILL);
    }
    helper_process_end();
}

static int too_many_restarts(void) {
    const long long now = io_now_ms();
    if (monitor.restarts[0] && now - monitor.restarts[0] < RESTART_SPAN_MS)
        return 1;
    memmove(&monitor.restarts[0], &monitor.restarts[1], sizeof(monitor.restarts) - sizeof(monitor.restarts[0]));
    monitor.restarts[RESTARTS_MAX - 1] = now;
    return 0;
}

static void engine_died(int status) {
    forget_engine();
    const int refused = WIFEXITED(status) && WEXITSTATUS(status) == ENGINE_EXIT_REFUSED;
    if (monitor.stopping || refused || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        monitor.ended = 1;
        monitor.exit_status = refused;
        return;
    }
    (void) snprintf(monitor.before, sizeof(monitor.before), "died (%s %d)",
                    WIFSIGNALED(status) ? "signal" : "exit status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    log_error(0, "the engine %s", monitor.before);
    if (too_many_restarts()) {
        log_error(0, "the engine died %d times within a minute: bangerd ends; VMs go on running", RESTARTS_MAX + 1);
        monitor.ended = monitor.exit_status = 1;
        return;
    }
    (void) helper_process_start();
    start_engine();
}

/* --- requests ---------------------------------------------------------------------- */

struct answer {
    struct monitor_reply reply;
    int fd; /* goes with the reply; -1 without */
};

/* A folder below `at`, which is closed. No step follows a symbolic link: the engine, which
 * can write here, may be fooled. */
static int open_below(int at, const char *name) {
    if (at < 0)
        return at;
    int folder = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = folder < 0 ? -errno : folder;
    (void) close(at);
    return r;
}

static int open_vm_folder(uint32_t slot) {
    char name[8];
    (void) snprintf(name, sizeof(name), "%03x", slot & 0xfffu);
    int state = fcntl(monitor.start->state, F_DUPFD_CLOEXEC, 3);
    return open_below(open_below(state < 0 ? -errno : state, "vms"), name);
}

static int vm_socket(const struct monitor_request *request, struct answer *answer, int (*make)(int, const char *)) {
    static const char *const names[] = {[MONITOR_QMP] = "qmp.sock",
                                        [MONITOR_AGENT] = "agent.sock",
                                        [MONITOR_FIRECRACKER] = JAIL_FILE_API,
                                        [MONITOR_FIRECRACKER_VSOCK] = JAIL_FILE_VSOCK};
    const int in_jail = request->which >= MONITOR_FIRECRACKER;
    if (request->slot >= SLOT_MAX || request->which >= sizeof(names) / sizeof(names[0]) ||
        (in_jail && request->op == MONITOR_LISTEN))
        return -EINVAL;
    int folder = open_vm_folder(request->slot);
    if (in_jail)
        folder = open_below(folder, "jail");
    if (folder < 0)
        return folder;
    int r = make(folder, names[request->which]);
    (void) close(folder);
    answer->fd = r;
    return r < 0 ? r : 0;
}

static int give_helper(const struct monitor_request *request, struct answer *answer) {
    if (request->which >= WIRE_WORKERS)
        return -EINVAL;
    int r = helper_process_socket((enum wire_worker) request->which);
    answer->fd = r;
    if (r >= 0)
        return 0;
    (void) snprintf(answer->reply.text, MONITOR_TEXT, "%s", helper_process_why());
    return r;
}

static int start_worker(uint32_t op, const int *fds, size_t count, struct answer *answer) {
    static const char *const programs[] = {[MONITOR_IMPORT] = BANGER_LIBEXECDIR "/banger-import",
                                           [MONITOR_FETCH] = BANGER_LIBEXECDIR "/banger-fetch",
                                           [MONITOR_DNS] = BANGER_LIBEXECDIR "/banger-dns",
                                           [MONITOR_METRICS] = BANGER_LIBEXECDIR "/banger-metrics",
                                           [MONITOR_RESOLVE] = BANGER_LIBEXECDIR "/banger-resolve"};
    const char *path = programs[op];
    size_t place = 0;
    while (place < WORKERS_MAX && monitor.workers[place] > 0)
        place++;
    if (count < 2 || place == WORKERS_MAX)
        return count < 2 ? -EINVAL : -EAGAIN;
    int all[WORKER_FDS_MAX + 2] = {-1, -1};
    memcpy(&all[2], fds, sizeof(int) * count);
    char *const argv[] = {(char *) strrchr(path, '/') + 1, NULL};
    const struct child child = {.path = path, .argv = argv, .fds = all, .count = count + 2, .death_signal = SIGKILL};
    pid_t pid = child_start(&child);
    if (pid < 0)
        return pid;
    monitor.workers[place] = pid;
    answer->fd = (int) syscall(SYS_pidfd_open, pid, 0);
    if (answer->fd >= 0)
        return 0;
    int r = -errno;
    (void) kill(pid, SIGKILL);
    return r;
}

static int vm_cgroup(const struct monitor_request *request, struct answer *answer) {
    if (request->slot >= SLOT_MAX)
        return -EINVAL;
    if (request->op == MONITOR_CGROUP_END) {
        cgroup_vm_end(request->slot);
        return 0;
    }
    int r = answer->fd = cgroup_vm(request->slot, request->which, request->vcpus);
    if (r == -EOPNOTSUPP)
        (void) snprintf(answer->reply.text, MONITOR_TEXT, "%s", cgroup_why());
    return r < 0 ? r : 0;
}

static int stop(void) {
    monitor.stopping = 1;
    if (monitor.listener >= 0)
        (void) close(monitor.listener);
    monitor.listener = -1;
    return 0;
}

static int perform(const struct monitor_request *request, const int *fds, size_t count, struct answer *answer) {
    switch (request->op) {
    case MONITOR_LISTEN:
        return vm_socket(request, answer, paths_listen);
    case MONITOR_CONNECT:
        return vm_socket(request, answer, paths_connect_now);
    case MONITOR_HELPER:
        return give_helper(request, answer);
    case MONITOR_IMPORT:
    case MONITOR_FETCH:
    case MONITOR_DNS:
    case MONITOR_METRICS:
    case MONITOR_RESOLVE:
        return start_worker(request->op, fds, count, answer);
    case MONITOR_FORWARD:
        answer->fd = forward_process_socket(request->which != 0);
        return answer->fd < 0 ? answer->fd : 0;
    case MONITOR_STOP:
        return stop();
    case MONITOR_STATUS:
        (void) snprintf(answer->reply.text, MONITOR_TEXT, "%s", helper_process_pid() ? "" : helper_process_why());
        return 0;
    case MONITOR_CGROUP:
    case MONITOR_CGROUP_END:
        return vm_cgroup(request, answer);
    case MONITOR_USAGE:
        if (request->slot > SLOT_MAX || count != 1)
            return -EINVAL;
        usage_read(request->slot, fds[0], &answer->reply.usage);
        return 0;
    case MONITOR_CGROUP_WHY:
        (void) snprintf(answer->reply.text, MONITOR_TEXT, "%s", cgroup_why());
        return 0;
    default:
        return -EINVAL;
    }
}

static void serve_engine(void) {
    struct monitor_request request;
    int fds[WORKER_FDS_MAX];
    size_t count = 0;
    ssize_t n = fdpass_recv(monitor.engine_sock, &request, sizeof(request), fds, WORKER_FDS_MAX, &count);
    if (n != (ssize_t) sizeof(request)) {
        /* Its end, or nonsense: either way that engine is done; SIGCHLD follows. */
        fdpass_close(fds, count);
        if (n != 0)
            (void) kill(monitor.engine, SIGKILL);
        (void) close(monitor.engine_sock);
        monitor.engine_sock = -1;
        return;
    }
    struct answer answer = {.fd = -1};
    answer.reply.error = -perform(&request, fds, count, &answer);
    answer.reply.helper = helper_process_pid();
    const int with = answer.reply.error == 0 && answer.fd >= 0;
    (void) fdpass_send(monitor.engine_sock, &answer.reply, sizeof(answer.reply), &answer.fd, with ? 1 : 0);
    if (answer.fd >= 0)
        (void) close(answer.fd);
    fdpass_close(fds, count);
}

/* --- the loop ------------------------------------------------------------------------ */

/* The monitor is the subreaper: a VM whose vmm worker died comes here too. */
static void reap(void) {
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        if (pid == monitor.engine)
            engine_died(status);
        else if (pid == helper_process_pid())
            helper_process_died(status);
        forward_process_reaped(pid);
        for (size_t i = 0; i < WORKERS_MAX; i++) {
            if (monitor.workers[i] == pid)
                monitor.workers[i] = 0;
        }
    }
}

static void take_signal(void) {
    struct signalfd_siginfo info;
    if (read(monitor.signals, &info, sizeof(info)) != (ssize_t) sizeof(info))
        return;
    if (info.ssi_signo == SIGCHLD) {
        reap();
        return;
    }
    log_info(0, "signal %u: bangerd ends; VMs go on running", info.ssi_signo);
    (void) stop();
    if (monitor.engine > 0)
        (void) kill(monitor.engine, SIGTERM);
    if (!monitor.kill_at)
        monitor.kill_at = io_now_ms() + STOP_WAIT_MS;
}

static int open_signals(void) {
    sigset_t set;
    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGCHLD);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return -errno;
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGHUP, SIG_IGN);
    monitor.signals = signalfd(-1, &set, SFD_CLOEXEC);
    return monitor.signals < 0 ? -errno : 0;
}

static void turn(void) {
    struct pollfd p[] = {{.fd = monitor.signals, .events = POLLIN},
                         {.fd = monitor.engine_sock, .events = POLLIN},
                         {.fd = helper_process_stderr(), .events = POLLIN}};
    if (poll(p, 3, monitor.kill_at ? 500 : -1) < 0)
        return;
    if (p[2].revents)
        helper_process_read();
    if (p[1].revents && monitor.engine_sock == p[1].fd)
        serve_engine();
    if (p[0].revents)
        take_signal();
    if (monitor.kill_at && monitor.engine > 0 && io_now_ms() > monitor.kill_at)
        (void) kill(monitor.engine, SIGKILL);
}

int monitor_main(const struct monitor_start *start) {
    monitor.start = start;
    monitor.listener = start->listener;
    int r = open_signals();
    if (r || prctl(PR_SET_CHILD_SUBREAPER, 1)) {
        log_error(0, "the monitor cannot start: %s", strerror(r ? -r : errno));
        return 1;
    }
    cgroup_open(); /* before the first child: they begin where this process is */
    if (*cgroup_why())
        log_info(0, "no cgroups for VMs: %s", cgroup_why());
    (void) helper_process_start();
    start_engine();
    while (!monitor.ended)
        turn();
    helper_process_end();
    forward_process_end();
    (void) unlinkat(start->state, "run/bangerd.sock", 0);
    return monitor.exit_status;
}
