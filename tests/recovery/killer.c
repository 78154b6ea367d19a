/* Runs a command and kills one of banger's processes at one of its steps.
 *
 *   killer UID REPORT ROLE STEP COMMAND...
 *
 * All processes of the account, their threads and whatever they or COMMAND start are traced
 * (ptrace, as root), but for programs that are not banger's and run already: a guest in QEMU.
 * A step is a system call that changes something; steps are counted for each role (below). The
 * process that is about to make step STEP (from 0) of ROLE is ended with SIGKILL; with "ROLE/VICTIM"
 * that of the role VICTIM is, in its place; with ROLE "none" nobody is. REPORT gets a line "ROLE
 * STEPS" for each role that made any, and "killed PID CALL"; then all are let go. Ends once COMMAND
 * has and nothing has been changed for a moment. Exit status: COMMAND's, 128 + signal, or 200 after
 * LIMIT_MS. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACEES_MAX 2048
#define LIMIT_MS    60000
#define QUIET_MS    150
#define TICK_US     20000
#define OPTIONS                                                                                                        \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC)

enum role {
    OTHER,
    CLI,
    STARTER,
    MONITOR,
    MONITOR_CHILD,
    ENGINE,
    HELPER,
    NET,
    DISK,
    VMM_WORKER,
    WORKER_CHILD,
    IMPORT,
    FETCH,
    DNS,
    FORWARD,
    JAIL,
    JAIL_CHILD,
    VMM,
    ROLES
};
static const char *const role_names[ROLES] = {[OTHER] = "other",
                                              [CLI] = "cli",
                                              [STARTER] = "starter",
                                              [MONITOR] = "monitor",
                                              [MONITOR_CHILD] = "monitor-child",
                                              [ENGINE] = "engine",
                                              [HELPER] = "helper",
                                              [NET] = "net",
                                              [DISK] = "disk",
                                              [VMM_WORKER] = "vmm-worker",
                                              [WORKER_CHILD] = "worker-child",
                                              [IMPORT] = "import",
                                              [FETCH] = "fetch",
                                              [DNS] = "dns",
                                              [FORWARD] = "forward",
                                              [JAIL] = "jail",
                                              [JAIL_CHILD] = "jail-child",
                                              [VMM] = "vmm"};

static struct tracee {
    pid_t tid;
    enum role role;
} tracees[TRACEES_MAX];
static long steps[ROLES];
static struct {
    enum role role, victim;
    long step;
    pid_t killed;
    int call;
} aim;

static long long now_ms(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* --- who is who -------------------------------------------------------------------- */

static void read_proc(pid_t pid, const char *name, char *text, size_t size) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        (void) close(fd);
}

static pid_t status_number(pid_t pid, const char *key) {
    char text[4096];
    read_proc(pid, "status", text, sizeof(text));
    const char *at = strstr(text, key);
    return at ? (pid_t) atol(at + strlen(key)) : 0;
}

/* The program's file, without its folder; a deleted one's too. */
static const char *program(pid_t pid, char text[512]) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    ssize_t n = readlink(path, text, 511);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, " ")] = '\0';
    const char *slash = strrchr(text, '/');
    return slash ? slash + 1 : text;
}

static int runs(pid_t pid, const char *name) {
    char text[512];
    return strcmp(program(pid, text), name) == 0;
}

static enum role role_of_bangerd(pid_t pid, pid_t parent) {
    char arguments[64];
    read_proc(pid, "cmdline", arguments, sizeof(arguments));
    if (strcmp(arguments + strlen(arguments) + 1, "engine") == 0)
        return ENGINE;
    if (getsid(pid) == pid)
        return MONITOR;
    return getsid(pid) == parent ? MONITOR_CHILD : STARTER;
}

static enum role role_of_helper(pid_t pid, pid_t parent) {
    char path[64];
    int child;
    if (!runs(parent, "banger-helper"))
        return HELPER;
    if (runs(status_number(parent, "PPid:"), "banger-helper"))
        return WORKER_CHILD;
    (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    FILE *f = fopen(path, "re");
    enum role role = NET;
    while (f && fscanf(f, "%d", &child) == 1 && child != pid && role < VMM_WORKER)
        role++;
    if (f)
        (void) fclose(f);
    return role;
}

static enum role role_of(pid_t tid) {
    char text[512];
    const pid_t pid = status_number(tid, "Tgid:"), parent = status_number(pid, "PPid:");
    const char *name = program(pid, text);
    if (strcmp(name, "banger") == 0)
        return CLI;
    if (strcmp(name, "bangerd") == 0)
        return role_of_bangerd(pid, parent);
    if (strcmp(name, "banger-helper") == 0)
        return role_of_helper(pid, parent);
    if (strcmp(name, "banger-import") == 0)
        return IMPORT;
    if (strcmp(name, "banger-fetch") == 0)
        return FETCH;
    if (strcmp(name, "banger-dns") == 0)
        return DNS;
    if (strcmp(name, "banger-forward") == 0)
        return FORWARD;
    if (strcmp(name, "banger-jail") == 0)
        return runs(parent, "banger-jail") ? JAIL_CHILD : JAIL;
    return strcmp(name, "idle-vmm") == 0 ? VMM : OTHER;
}

/* --- tracees ------------------------------------------------------------------------- */

static struct tracee *find(pid_t tid) {
    for (int i = 0; i < TRACEES_MAX; i++) {
        if (tracees[i].tid == tid)
            return &tracees[i];
    }
    return NULL;
}

static struct tracee *add(pid_t tid) {
    struct tracee *t = find(tid);
    if (t)
        return t;
    t = find(0);
    if (!t)
        exit(201);
    *t = (struct tracee){tid, role_of(tid)};
    return t;
}

static int is_banger(pid_t pid) {
    return role_of(pid) != OTHER;
}

static void seize(pid_t tid) {
    if (ptrace(PTRACE_SEIZE, tid, NULL, OPTIONS) == 0) {
        (void) add(tid);
        (void) ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
    }
}

/* Every thread of every process of the account; again, until there is no new one. */
static void seize_account(uid_t uid) {
    for (int news = 1; news;) {
        DIR *processes = opendir("/proc");
        news = 0;
        for (struct dirent *p = readdir(processes); p; p = readdir(processes)) {
            char path[300];
            struct stat st;
            (void) snprintf(path, sizeof(path), "/proc/%s/status", p->d_name);
            if (atoi(p->d_name) <= 0 || stat(path, &st) || (uid_t) status_number(atoi(p->d_name), "Uid:") != uid ||
                !is_banger(atoi(p->d_name)))
                continue;
            (void) snprintf(path, sizeof(path), "/proc/%s/task", p->d_name);
            DIR *threads = opendir(path);
            for (struct dirent *t = threads ? readdir(threads) : NULL; t; t = readdir(threads)) {
                if (atoi(t->d_name) > 0 && !find(atoi(t->d_name))) {
                    seize(atoi(t->d_name));
                    news |= find(atoi(t->d_name)) != NULL;
                }
            }
            if (threads)
                (void) closedir(threads);
        }
        (void) closedir(processes);
    }
}

/* --- steps ---------------------------------------------------------------------------- */

static int changes(const struct __ptrace_syscall_info *info) {
    static const int calls[] = {SYS_write,
                                SYS_pwrite64,
                                SYS_writev,
                                SYS_sendmsg,
                                SYS_sendto,
                                SYS_mkdir,
                                SYS_mkdirat,
                                SYS_rename,
                                SYS_renameat,
                                SYS_renameat2,
                                SYS_unlink,
                                SYS_unlinkat,
                                SYS_rmdir,
                                SYS_ftruncate,
                                SYS_fallocate,
                                SYS_fsync,
                                SYS_fdatasync,
                                SYS_creat,
                                SYS_copy_file_range,
                                SYS_ioctl,
                                SYS_flock,
                                SYS_clone,
                                SYS_clone3,
                                SYS_fork,
                                SYS_vfork,
                                SYS_execve,
                                SYS_bind,
                                SYS_listen,
                                SYS_connect,
                                SYS_mount,
                                SYS_move_mount,
                                SYS_open_tree,
                                SYS_pivot_root,
                                SYS_umount2,
                                SYS_unshare,
                                SYS_setns,
                                SYS_mknodat,
                                SYS_mknod,
                                SYS_fchmod,
                                SYS_chmod,
                                SYS_fchmodat,
                                SYS_pidfd_send_signal,
                                SYS_kill,
                                SYS_exit_group,
                                SYS_setsid,
                                SYS_symlinkat,
                                SYS_linkat,
                                SYS_sync_file_range,
                                SYS_accept4,
                                SYS_accept,
                                SYS_close_range,
                                SYS_capset,
                                SYS_setsockopt};
    const int nr = (int) info->entry.nr;
    if (nr == SYS_openat)
        return (info->entry.args[2] & (O_CREAT | O_TRUNC)) != 0;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i] == nr)
            return 1;
    }
    return 0;
}

/* The process of that role, the lowest of several; 0 for none. */
static pid_t process_of(enum role role) {
    pid_t found = 0;
    for (int i = 0; i < TRACEES_MAX; i++) {
        if (tracees[i].tid && tracees[i].role == role && (!found || tracees[i].tid < found))
            found = tracees[i].tid;
    }
    return found ? status_number(found, "Tgid:") : 0;
}

/* 1 where the process is ended here. */
static int step(struct tracee *t, int nr) {
    if (t->role == STARTER || t->role == OTHER || t->role == MONITOR_CHILD)
        t->role = role_of(t->tid);
    if (t->role == OTHER || steps[t->role]++ != aim.step || t->role != aim.role || aim.killed)
        return 0;
    const pid_t own = status_number(t->tid, "Tgid:"), victim = aim.victim ? process_of(aim.victim) : own;
    if (!victim)
        return 0;
    aim.killed = victim;
    aim.call = nr;
    return kill(victim, SIGKILL) == 0 && victim == own;
}

static int at_call(struct tracee *t) {
    struct __ptrace_syscall_info info;
    const long n = ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof(info), &info);
    const int counts = n > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY && changes(&info);
    if (!counts || !step(t, (int) info.entry.nr))
        (void) ptrace(PTRACE_SYSCALL, t->tid, NULL, NULL);
    return counts;
}

/* 1 where something was changed. */
static int at_stop(pid_t tid, int status) {
    struct tracee *t = add(tid);
    const int number = WSTOPSIG(status), event = status >> 16;
    if (number == (SIGTRAP | 0x80))
        return at_call(t);
    if (event == PTRACE_EVENT_STOP && number != SIGTRAP) {
        (void) ptrace(PTRACE_LISTEN, tid, NULL, NULL);
        return 0;
    }
    if (event == PTRACE_EVENT_EXEC)
        t->role = role_of(tid);
    (void) ptrace(PTRACE_SYSCALL, tid, NULL, event || number == SIGTRAP ? 0 : number);
    return 0;
}

static void on_alarm(int number) {
    (void) number;
}

/* Until the command has ended and all is quiet: its wait status, or -1. */
static int serve(pid_t command) {
    const long long begin = now_ms();
    long long changed = begin;
    int result = -1, status;
    while (now_ms() - begin < LIMIT_MS) {
        if (result >= 0 && now_ms() - changed > QUIET_MS)
            return result;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == ECHILD && result >= 0)
            return result;
        if (tid <= 0)
            continue;
        if (WIFSTOPPED(status)) {
            if (at_stop(tid, status))
                changed = now_ms();
            continue;
        }
        struct tracee *t = find(tid);
        if (t)
            t->tid = 0;
        changed = now_ms();
        if (tid == command)
            result = status;
    }
    return -1;
}

/* ROLES for none. */
static enum role role_named(const char *name) {
    enum role role = OTHER;
    while (role < ROLES && strcmp(role_names[role], name) != 0)
        role++;
    return role;
}

static void report(const char *path) {
    FILE *f = fopen(path, "we");
    if (!f)
        exit(202);
    for (int role = CLI; role < ROLES; role++) {
        if (steps[role])
            (void) fprintf(f, "%s %ld\n", role_names[role], steps[role]);
    }
    if (aim.killed)
        (void) fprintf(f, "killed %d %d\n", aim.killed, aim.call);
    (void) fclose(f);
}

int main(int argc, char **argv) {
    if (argc < 6)
        return 2;
    aim.step = atol(argv[4]);
    char *victim = strchr(argv[3], '/');
    if (victim) {
        *victim = '\0';
        aim.victim = role_named(victim + 1);
    }
    aim.role = role_named(argv[3]);
    struct sigaction alarm_action = {.sa_handler = on_alarm};
    const struct itimerval tick = {{0, TICK_US}, {0, TICK_US}};
    (void) sigaction(SIGALRM, &alarm_action, NULL);
    pid_t command = fork();
    if (command == 0) {
        (void) raise(SIGSTOP);
        (void) execvp(argv[5], argv + 5);
        _exit(127);
    }
    (void) waitpid(command, NULL, WUNTRACED);
    seize_account((uid_t) atoi(argv[1]));
    seize(command);
    (void) kill(command, SIGCONT);
    (void) setitimer(ITIMER_REAL, &tick, NULL);
    const int status = serve(command);
    report(argv[2]);
    if (status < 0)
        return 200;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
