/* bangerd: the account's daemon. Without arguments it becomes one (the monitor,
 * which starts the engine); the role `engine` is for the monitor to start. */
#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../../common/version.h"
#include "../store/folder.h"
#include "../store/paths.h"
#include "engine.h"
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define STARTER_FD    3 /* a pipe from whoever starts bangerd: gets "ok" or a sentence */
#define LOG_BYTES_MAX (4 << 20)
#define FILES_MAX     16384
#define LOCK_TRIES    100
#define LOCK_PAUSE_MS 100

static struct paths paths;

static void announce(int ready, const char *text) {
    if (ready >= 0)
        (void) io_write(ready, text, strlen(text));
}

static const char *log_level(void) {
    const char *level = getenv("BANGER_LOG_LEVEL");
    return level && log_level_from(level) >= 0 ? level : "info";
}

/* The log becomes standard error; one that has grown is put aside at start. */
static int open_log(int state, struct err *e) {
    struct stat st;
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    if (fstatat(state, "bangerd.log", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > LOG_BYTES_MAX)
        (void) renameat(state, "bangerd.log", state, "bangerd.log.1");
    cleanup_fd int fd = openat(state, "bangerd.log", flags, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        return err_sys(e, errno, "cannot write the log %s/bangerd.log", paths.state);
    return 0;
}

/* 0 with the lock held, 1 when another daemon serves already. */
static int take_lock(int run, int *lock, struct err *e) {
    *lock = openat(run, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*lock < 0)
        return err_sys(e, errno, "cannot open %s/run/lock", paths.state);
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_sys(e, errno, "cannot lock %s/run/lock", paths.state);
        /* The holder is serving, or has not begun yet, or is about to end. */
        cleanup_fd int sock = paths_connect(run, "bangerd.sock");
        if (sock >= 0)
            return 1;
        (void) poll(NULL, 0, LOCK_PAUSE_MS);
    }
    return err_set(e, EBUSY, "another bangerd of this account holds %s/run/lock but does not answer: end it",
                   paths.state);
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    (void) setrlimit(RLIMIT_NOFILE, &limit);
}

/* Everything the monitor holds; 1 when another daemon serves already. */
static int set_up(struct monitor_start *start, struct err *e) {
    start->state = open(paths.state, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (start->state < 0)
        return err_sys(e, errno, "cannot open %s", paths.state);
    cleanup_fd int run = folder_open(start->state, "run");
    if (run < 0)
        return err_sys(e, -run, "cannot open %s/run", paths.state);
    int r = take_lock(run, &start->lock, e);
    if (r)
        return r;
    start->listener = paths_listen(run, "bangerd.sock");
    if (start->listener < 0)
        return err_sys(e, -start->listener, "cannot listen on %s/run/bangerd.sock", paths.state);
    return 0;
}

static int serve(int ready, int foreground) {
    struct err e = {0};
    struct monitor_start start = {
        .state_path = paths.state, .level = log_level(), .state = -1, .lock = -1, .listener = -1, .ready = ready};
    log_open(STDERR_FILENO, (enum log_level) log_level_from(start.level));
    raise_file_limit();
    int r = set_up(&start, &e);
    if (r == 0 && !foreground)
        r = open_log(start.state, &e);
    if (r < 0) {
        log_error(0, "%s", e.text);
        announce(ready, e.text);
        return 1;
    }
    if (r > 0) {
        announce(ready, "ok");
        return 0;
    }
    log_info(0, "bangerd %s begins, state in %s", BANGER_STAMP, paths.state);
    r = monitor_main(&start);
    log_info(0, "bangerd ended");
    return r;
}

/* --- becoming a daemon --------------------------------------------------------------- */

static int is_pipe(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
}

/* The child: nothing of whoever started it stays open but the pipe. */
static int become_daemon(int ready) {
    (void) setsid();
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(ready, 3) < 0 ||
        fcntl(3, F_SETFD, FD_CLOEXEC) || close_range(4, ~0u, 0) || chdir("/"))
        return 1;
    return serve(3, 0);
}

/* The parent: passes on what the child says, then it is done. */
static int relay(int from) {
    char text[ERR_TEXT_MAX + 1];
    ssize_t n;
    do {
        n = read(from, text, sizeof(text) - 1);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        n = snprintf(text, sizeof(text), "bangerd ended while it started: see %.400s/bangerd.log", paths.state);
    text[n] = '\0';
    if (is_pipe(STARTER_FD))
        announce(STARTER_FD, text);
    if (strcmp(text, "ok") == 0)
        return 0;
    (void) fprintf(stderr, "bangerd: %s\n", text);
    return 1;
}

static int daemonise(void) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC)) {
        perror("bangerd: cannot make a pipe");
        return 1;
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("bangerd: cannot fork");
        return 1;
    }
    if (pid == 0)
        return become_daemon(ready[1]);
    (void) close(ready[1]);
    return relay(ready[0]);
}

static int start_role(int foreground) {
    struct err e = {0};
    if (paths_find(&paths, &e)) {
        if (is_pipe(STARTER_FD))
            announce(STARTER_FD, e.text);
        (void) fprintf(stderr, "bangerd: %s\n", e.text);
        return 1;
    }
    return foreground ? serve(is_pipe(STARTER_FD) ? STARTER_FD : -1, 1) : daemonise();
}

static int engine_role(const char *state_path, const char *level, const char *before) {
    (void) prctl(PR_SET_NAME, "bangerd-engine"); /* else "exe", after /proc/self/exe */
    log_open(STDERR_FILENO, (enum log_level) log_level_from(level));
    return engine_main(ENGINE_FD_MONITOR, ENGINE_FD_LISTENER, ENGINE_FD_READY, state_path, before);
}

int main(int argc, char **argv) {
    (void) umask(077);
    (void) signal(SIGPIPE, SIG_IGN);
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return 1;
    }
    if (argc == 5 && strcmp(argv[1], "engine") == 0 && log_level_from(argv[3]) >= 0)
        return engine_role(argv[2], argv[3], argv[4]);
    if (argc == 1)
        return start_role(0);
    if (argc == 2 && strcmp(argv[1], "--foreground") == 0)
        return start_role(1);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void) puts("bangerd " BANGER_STAMP);
        return 0;
    }
    (void) fputs("usage: bangerd [--foreground | --version]\n"
                 "Serves this account's VMs; `banger` starts it when it is needed.\n",
                 stderr);
    return 2;
}
