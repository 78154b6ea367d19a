#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* What the child needs, and what it tells back: it shares the parent's memory
 * until it execs (as with vfork, whose parent also waits that long). */
struct child {
    const struct agent_open *open;
    const struct agent_user *user;
    char *const *argv; /* the request's words, or tools around them */
    char **tools;      /* those words, where the workspace wants them; else NULL */
    char **envp;
    int stdio[3];
    const char *path; /* PATH of envp */
    enum { SETUP, USER, FOLDER, EXEC } step;
    int error;
    char file[4096], folder[256];
    char *script[AGENT_GROUPS_MAX];
};

/* A file of no known format is a script of /bin/sh, as in execvp(3). */
static int exec_file(struct child *child, const char *file) {
    char *const *argv = child->argv;
    (void) execve(file, argv, child->envp);
    if (errno != ENOEXEC)
        return errno;
    size_t count = 0;
    while (argv[count])
        count++;
    if (count + 2 > sizeof child->script / sizeof *child->script)
        return E2BIG;
    child->script[0] = (char *) "/bin/sh";
    child->script[1] = (char *) file;
    memcpy(child->script + 2, argv + 1, count * sizeof *argv);
    (void) execve("/bin/sh", child->script, child->envp);
    return errno;
}

/* The agent's own program: it is in no folder any more once the initramfs is gone. */
static int exec_service(struct child *child) {
    char *const *argv = child->argv;
    size_t count = 0;
    while (argv[count])
        count++;
    if (count + 3 > sizeof child->script / sizeof *child->script)
        return E2BIG;
    child->script[0] = (char *) "banger-agent";
    child->script[1] = (char *) "--service";
    memcpy(child->script + 2, argv, (count + 1) * sizeof *argv);
    (void) execve("/proc/self/exe", child->script, child->envp);
    return errno;
}

/* Looks for the command in PATH. What exists and cannot be run is told rather than what is missing. */
static int exec_search(struct child *child) {
    const char *name = child->argv[0], *at = child->path;
    if (!name[0])
        return ENOENT;
    if (strchr(name, '/'))
        return exec_file(child, name);
    int worst = ENOENT;
    while (agent_path_next(&at, name, child->file, sizeof child->file)) {
        /* Looked for first: an execve(2) that fails has made and thrown away an address space. */
        if (access(child->file, F_OK) < 0)
            continue;
        int code = exec_file(child, child->file);
        if (code != ENOENT && code != ENOTDIR)
            worst = code;
    }
    return worst;
}

/* Raw calls: the library's would look for other threads of a process that is not the child's. */
static int become(const struct agent_user *user) {
    if (geteuid() != 0 && geteuid() == user->uid)
        return 0;
    return syscall(SYS_setgroups, user->group_count, user->groups) < 0 ||
           syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0 ||
           syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0;
}

static int stdio_set(const struct child *child) {
    for (int i = 0; i < 3; i++)
        if (dup2(child->stdio[i], i) < 0)
            return -1;
    if (child->open->flags & MUX_OPEN_TTY)
        return ioctl(STDIN_FILENO, TIOCSCTTY, 0);
    return 0;
}

/* The agent is spared by the OOM killer (boot.c); its commands are not. */
static void oom_ordinary(void) {
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void) !write(fd, "0", 1);
    (void) close(fd);
}

static int home_enter(const struct child *child) {
    return chdir(child->user->home) < 0 ? chdir("/") : 0;
}

/* A VM is of use without its workspace too: who runs a command where there is none is told. */
static int folder_enter(struct child *child) {
    const char *cwd = child->open->cwd;
    if (!cwd[0])
        return home_enter(child);
    if (chdir(cwd) == 0) {
        child->argv = child->tools ? child->tools : child->argv;
        return 0;
    }
    if (!(child->open->flags & MUX_OPEN_WORKSPACE))
        return -1;
    const char *why = strerror(errno);
    if (home_enter(child) < 0)
        return -1;
    int size =
        snprintf(child->file, sizeof child->file, "banger: cannot enter the workspace %.120s: %s: running in %s\n", cwd,
                 why, getcwd(child->folder, sizeof child->folder) ? child->folder : "/");
    (void) !write(STDERR_FILENO, child->file, size > 0 ? (size_t) size : 0);
    return 0;
}

/* The child, in the parent's memory: no allocation, no library state. */
static int child_main(void *arg) {
    struct child *child = arg;
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    (void) sigemptyset(&none);
    (void) sigaction(SIGPIPE, &plain, NULL);
    (void) sigprocmask(SIG_SETMASK, &none, NULL);
    if (setsid() < 0 || stdio_set(child) < 0)
        goto failed;
    if (geteuid() == 0)
        oom_ordinary();
    child->step = USER;
    if (become(child->user))
        goto failed;
    child->step = FOLDER;
    if (folder_enter(child) < 0)
        goto failed;
    child->step = EXEC;
    errno = child->open->flags & MUX_OPEN_AGENT ? exec_service(child) : exec_search(child);
failed:
    child->error = errno;
    return 127;
}

static void close_all(int *list, int count) {
    for (int i = 0; i < count; i++)
        if (list[i] >= 0)
            (void) close(list[i]);
}

static int nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Pipes; ours[] and theirs[] in the order of the standard streams. */
static int pipes_make(const struct agent_open *request, int ours[3], int theirs[3]) {
    for (int i = 0; i < 3; i++) {
        if (i == 0 && request->input) {
            theirs[0] = fcntl(*request->input, F_DUPFD_CLOEXEC, 3);
            if (theirs[0] < 0)
                return -errno;
            continue;
        }
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        ours[i] = ends[i == 0 ? 1 : 0];
        theirs[i] = ends[i == 0 ? 0 : 1];
        if (nonblocking(ours[i]) < 0)
            return -errno;
    }
    return 0;
}

/* A pseudo-terminal; theirs[] is its slave, as the user's own. */
static int tty_make(const struct agent_open *request, const struct agent_user *user, int ours[3], int theirs[3]) {
    struct winsize window = {.ws_row = request->rows, .ws_col = request->cols};
    int unlock = 0;
    ours[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (ours[0] < 0 || ioctl(ours[0], TIOCSPTLCK, &unlock) < 0 || ioctl(ours[0], TIOCSWINSZ, &window) < 0)
        return -errno;
    ours[1] = fcntl(ours[0], F_DUPFD_CLOEXEC, 3);
    theirs[0] = ioctl(ours[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ours[1] < 0 || theirs[0] < 0)
        return -errno;
    (void) !fchown(theirs[0], user->uid, (gid_t) -1);
    theirs[1] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
    theirs[2] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
    return theirs[1] < 0 || theirs[2] < 0 ? -errno : 0;
}

/* The line for what the child could not do, and the status a shell would give. */
static int explain(const struct child *child, char *reason, size_t size) {
    const char *name = child->argv[0];
    const char *why = strerror(child->error);
    int missing = child->step == EXEC && (child->error == ENOENT || child->error == ENOTDIR);
    if (child->step == FOLDER)
        (void) snprintf(reason, size, "banger: cannot enter %.120s: %s\n", child->open->cwd, why);
    else if (child->step != EXEC)
        (void) snprintf(reason, size, "banger: cannot start a command as %s: %s\n", child->user->name, why);
    else if (missing && !strchr(name, '/'))
        (void) snprintf(reason, size, "banger: %.120s: command not found\n", name);
    else
        (void) snprintf(reason, size, "banger: cannot run %.120s: %s\n", name, why);
    return missing ? 127 : 126;
}

/* Clones, and waits until the child has exec'ed or failed: 0, or the command's status. */
static int launch(struct child *child, pid_t *pid, char *reason, size_t size) {
    static char stack[65536] __attribute__((aligned(64)));
    *pid = clone(child_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, child);
    if (*pid < 0) {
        (void) snprintf(reason, size, "banger: cannot start a process: %s\n", strerror(errno));
        return 126;
    }
    if (!child->error)
        return 0;
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return explain(child, reason, size);
}

void agent_path_make(const char *path, mode_t mode) {
    char part[4096];
    size_t size = strlen(path);
    if (size >= sizeof part)
        return;
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i])
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        (void) mkdir(part, mode);
    }
}

const char *agent_path_of(char *const envp[]) {
    for (size_t i = 0; envp[i]; i++)
        if (strncmp(envp[i], "PATH=", 5) == 0)
            return envp[i] + 5;
    return "/usr/bin:/bin";
}

int agent_spawn(const struct agent_open *open, struct agent_process *process, char *reason, size_t size) {
    static struct child child;
    static struct agent_user user;
    int ours[3] = {-1, -1, -1}, theirs[3] = {-1, -1, -1};
    int tty = (open->flags & MUX_OPEN_TTY) != 0;
    if (agent_user_find(open->user, &user) < 0) {
        (void) snprintf(reason, size, "banger: no user %s%.60s here\n", strchr(open->user, ':') ? "or group " : "",
                        open->user);
        return 126;
    }
    if (open->flags & MUX_OPEN_MAKE_CWD)
        agent_path_make(open->cwd, 0755);
    child = (struct child){
        .open = open, .user = &user, .argv = open->argv, .envp = agent_environment(&user, tty, open->envp)};
    int code = child.envp ? tty ? tty_make(open, &user, ours, theirs) : pipes_make(open, ours, theirs) : -ENOMEM;
    int status = 126;
    if (code < 0) {
        (void) snprintf(reason, size, "banger: cannot start a command: %s\n", strerror(-code));
    } else {
        memcpy(child.stdio, theirs, sizeof theirs);
        child.path = agent_path_of(child.envp);
        child.tools = agent_tools_words(open, child.path, user.home);
        status = launch(&child, &process->pid, reason, size);
    }
    free(child.envp);
    free(child.tools);
    close_all(theirs, 3);
    if (status)
        close_all(ours, 3);
    else
        *process = (struct agent_process){process->pid, ours[0], ours[1], ours[2]};
    return status;
}
