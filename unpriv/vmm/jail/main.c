#include "../../../common/io.h"
#include "../../../common/wire.h"
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* glibc's arenas reserve 64 MiB of address space a thread, which RLIMIT_AS counts. */
static char *const vmm_environment[] = {(char[]){"MALLOC_ARENA_MAX=2"}, NULL};

/* The VMM's end, for whoever can take the status file's lock from now on. */
static void leave_status(int wait_status) {
    struct jail_status status = {.magic = JAIL_ARGS_MAGIC, .wait_status = (uint32_t) wait_status};
    (void) !pwrite(SPAWN_FD_NUMBER(SPAWN_STATUS), &status, sizeof(status), 0);
}

/* One line in the log, then the end. */
static _Noreturn void broken(const char *what, int error) {
    struct pump log;
    char line[256];
    int n = snprintf(line, sizeof(line), "banger-jail: %s: %s\n", what, strerror(error));
    if (n > 0 && pump_open(&log, -1, SPAWN_FD_NUMBER(SPAWN_LOG), JAIL_CONSOLE_KEEP) == 0)
        pump_write(&log, line, (size_t) n < sizeof(line) ? (size_t) n : sizeof(line) - 1);
    leave_status(W_EXITCODE(JAIL_EXIT_BROKEN, 0));
    _exit(JAIL_EXIT_BROKEN);
}

/* None of these may reach the VMM: what holds the status file holds its lock. */
static void keep_from_vmm(void) {
    static const int own[] = {SPAWN_ARGS, SPAWN_LOG, SPAWN_STATUS, SPAWN_CONSOLE};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        (void) fcntl(SPAWN_FD_NUMBER(own[i]), F_SETFD, FD_CLOEXEC);
}

static int trial(void) {
    char why[200];
    int failed = trial_run(why, sizeof(why));
    if (failed) {
        (void) io_write(SPAWN_FD_NUMBER(SPAWN_LOG), why, strlen(why));
        (void) io_write(SPAWN_FD_NUMBER(SPAWN_LOG), "\n", 1);
    }
    leave_status(W_EXITCODE(failed ? 1 : 0, 0));
    return failed ? 1 : 0;
}

/* A pipe that the VMM can open by its name as well. */
static int make_fifo(int ends[2]) {
    static const char path[] = "/vm/" JAIL_FILE_LOG;
    (void) unlink(path);
    if (mkfifo(path, 0600))
        return -1;
    ends[0] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ends[1] = ends[0] < 0 ? -1 : open(path, O_WRONLY | O_CLOEXEC);
    return ends[1] < 0 ? -1 : 0;
}

/* A bounded pipe into `file`; returns the VMM's end. */
static int pump_start(struct pump *pump, int file, int named) {
    int ends[2];
    if ((named ? make_fifo(ends) : pipe2(ends, O_CLOEXEC)) || fcntl(ends[0], F_SETFL, O_NONBLOCK))
        broken("cannot make a pipe", errno);
    int r = pump_open(pump, ends[0], file, JAIL_CONSOLE_KEEP);
    if (r)
        broken("cannot use the console or log file", -r);
    return ends[1];
}

static _Noreturn void exec_vmm(char *const *argv, int by_name, int console, int log, const sigset_t *mask) {
    int r = dup2(console, 1) < 0 || dup2(log, 2) < 0 || sigprocmask(SIG_SETMASK, mask, NULL) ? -errno : 0;
    if (r == 0)
        r = confine_vmm(argv[0], by_name);
    if (r == 0) {
        (void) execve(argv[0], argv, vmm_environment);
        r = -errno;
    }
    char line[512];
    int n = snprintf(line, sizeof(line), "banger-jail: cannot start %s: %s%s\n", argv[0], strerror(-r),
                     r == -ENOENT ? " (install it, or correct the vmm line of the policy)" : "");
    if (n > 0)
        (void) io_write(2, line, (size_t) n < sizeof(line) ? (size_t) n : sizeof(line) - 1);
    _exit(JAIL_EXIT_EXEC);
}

/* Passes signals on and reaps. 1 once the VMM ended, with its wait status. */
static int signals(int from, pid_t vmm, int *status) {
    struct signalfd_siginfo info;
    while (read(from, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
        if (info.ssi_signo != SIGCHLD)
            (void) kill(vmm, (int) info.ssi_signo);
    }
    int ended = 0, s;
    for (pid_t pid = waitpid(-1, &s, WNOHANG); pid > 0; pid = waitpid(-1, &s, WNOHANG)) {
        if (pid == vmm) {
            *status = s;
            ended = 1;
        }
    }
    return ended;
}

static int supervise(pid_t vmm, int from, struct pump *console, struct pump *log) {
    int status = 0;
    for (int ended = 0; !ended;) {
        /* A negative descriptor is skipped by poll(2). */
        struct pollfd p[] = {{.fd = from, .events = POLLIN},
                             {.fd = console->from, .events = POLLIN},
                             {.fd = log->from, .events = POLLIN}};
        if (poll(p, 3, -1) < 0 && errno != EINTR)
            break;
        (void) pump_move(console);
        (void) pump_move(log);
        ended = signals(from, vmm, &status);
    }
    /* The VMM is gone: a pipe holds 64 KiB at most, less than one turn moves. */
    (void) pump_move(console);
    (void) pump_move(log);
    return status;
}

/* argv[1]: "trial", or how the VMM gets its disks and tap: "fd" or "name". argv[2]: its
 * binary as the policy names it. */
int main(int argc, char **argv) {
    static struct jail_args args;
    static char *vector[JAIL_ARGS_MAX + 2];
    struct pump console, log;
    if (argc != 2 && argc != 3)
        return JAIL_EXIT_BROKEN;
    if (strcmp(argv[1], "wait") == 0) /* the helper wants a user namespace with a process in it */
        return raise(SIGSTOP);
    /* The VMM runs under the same uid: it must not be able to attach to this process. */
    (void) prctl(PR_SET_DUMPABLE, 0);
    keep_from_vmm();
    if (argc == 2)
        return trial();
    int by_name = strcmp(argv[1], "name") == 0;

    int r = jailargs_read(SPAWN_FD_NUMBER(SPAWN_ARGS), &args);
    if (r)
        broken("the argument block is not valid", -r);
    (void) close(SPAWN_FD_NUMBER(SPAWN_ARGS));
    jailargs_vector(&args, argv[2], vector);

    sigset_t wanted, before;
    (void) sigemptyset(&wanted);
    (void) sigaddset(&wanted, SIGTERM);
    (void) sigaddset(&wanted, SIGINT);
    (void) sigaddset(&wanted, SIGCHLD);
    int from = sigprocmask(SIG_BLOCK, &wanted, &before) ? -1 : signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (from < 0)
        broken("cannot watch signals", errno);
    int to_console = pump_start(&console, SPAWN_FD_NUMBER(SPAWN_CONSOLE), 0);
    int to_log = pump_start(&log, SPAWN_FD_NUMBER(SPAWN_LOG), by_name);
    pid_t vmm = fork();
    if (vmm < 0)
        broken("cannot fork", errno);
    if (vmm == 0)
        exec_vmm(vector, by_name, to_console, to_log, &before);
    (void) close(to_console);
    (void) close(to_log);
    for (int role = SPAWN_ROOT; role < SPAWN_FDS; role++) /* the VMM's alone */
        (void) close(SPAWN_FD_NUMBER(role));
    r = confine_init();
    if (r)
        broken("cannot confine itself", -r);

    int status = supervise(vmm, from, &console, &log);
    leave_status(status);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
