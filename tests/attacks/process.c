/* Lines 3, 17, 23, 24 and 25: what else an exec hands over, and what each process is then. */
#include "attack.h"
#include "trace.h"

#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES (WIRE_WORKERS + 1) /* the parent, then the workers */
static const char *const who[] = {"the parent", "the net worker", "the disk worker", "the vmm worker"};

static void all_of(const struct lab_helper *h, pid_t all[PROCESSES]) {
    all[0] = h->pid;
    workers_of(h, all + 1);
}
/* A helper started by `prepare`, every worker of which answered. */
static struct lab_helper prepared(void (*prepare)(void), pid_t all[PROCESSES]) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, prepare);
    ready(&h);
    all_of(&h, all);
    return h;
}

/* --- line 3: not to be looked into ------------------------------------------------------ */

static int is_shut(void *path) {
    char target[256];
    int link = readlink(path, target, sizeof(target)) >= 0; /* cwd, root, exe, fd/N */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 || link;
}

static void looks(void) {
    static const char *const files[] = {"mem",       "environ",  "fd/3",    "root",        "cwd",   "exe",
                                        "maps",      "auxv",     "syscall", "stack",       "io",    "ns/user",
                                        "map_files", "fdinfo/3", "pagemap", "personality", "smaps", "fd"};
    pid_t all[PROCESSES];
    struct lab_helper h = prepared(NULL, all);
    for (int i = 0; i < PROCESSES; i++) {
        for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
            char path[64];
            (void) snprintf(path, sizeof(path), "/proc/%d/%s", all[i], files[f]);
            expect(as_account(ALICE, is_shut, path) == 0, "%s of %s can be read", files[f], who[i]);
        }
    }
    lab_end(&h);
}

static int cannot_attach(void *pid) {
    return ptrace(PTRACE_ATTACH, *(pid_t *) pid, NULL, NULL) == 0 ||
           ptrace(PTRACE_SEIZE, *(pid_t *) pid, NULL, NULL) == 0;
}
static int cannot_take(void *pid) {
    char byte;
    struct {
        void *base;
        size_t size;
    } here = {&byte, 1}, there = {(void *) 0x400000, 1};
    int fd = (int) syscall(SYS_pidfd_open, *(pid_t *) pid, 0);
    return fd < 0 || syscall(SYS_pidfd_getfd, fd, 3, 0) >= 0 || errno != EPERM ||
           syscall(SYS_process_vm_readv, *(pid_t *) pid, &here, 1, &there, 1, 0) >= 0 || errno != EPERM;
}

static void attach(void) {
    pid_t all[PROCESSES];
    struct lab_helper h = prepared(NULL, all);
    for (int i = 0; i < PROCESSES; i++) {
        expect(as_account(ALICE, cannot_attach, &all[i]) == 0, "%s can be traced", who[i]);
        expect(as_account(ALICE, cannot_take, &all[i]) == 0, "descriptors or memory of %s can be taken", who[i]);
    }
    lab_end(&h);
}

static void much_core(void) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    (void) setrlimit(RLIMIT_CORE, &all);
}
static void raised_core_then_account(void) {
    much_core();
    if (setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void core(void) {
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, raised_core_then_account);
    pid_t all[PROCESSES];
    ready(&h);
    all_of(&h, all);
    for (int i = 0; i < PROCESSES; i++) {
        const char *line = strstr(content("/proc/%d/limits", all[i]), "Max core file size");
        unsigned long long soft = 1, hard = 1;
        expect(line && sscanf(line + 18, "%llu %llu", &soft, &hard) == 2 && soft == 0 && hard == 0,
               "%s may leave a core file", who[i]);
    }
    int status = 0;
    (void) kill(all[0], SIGSEGV);
    expect(waitpid(all[0], &status, 0) == all[0] && WIFSIGNALED(status) && !WCOREDUMP(status), "it dumped core");
    expect(is_closed(h.net, 2000) && is_closed(h.vmm, 2000), "the workers outlive it");
    lab_end(&h);
}

static int traced_status;
/* The caller traces across the exec: no capability is to be had. */
static int traced_exec(void *arg) {
    (void) arg;
    gid_t gid = LAB_GROUP;
    int pipe_ends[2];
    char said[1024] = "";
    if (pipe(pipe_ends))
        return 3;
    pid_t pid = fork();
    if (pid == 0) {
        (void) dup2(pipe_ends[1], 2);
        for (int w = 0; w < WIRE_WORKERS; w++) {
            int pair[2];
            if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
                _exit(4);
            (void) dup2(pair[1], 60 + w);
        }
        for (int w = 0; w < WIRE_WORKERS; w++)
            (void) dup2(60 + w, WIRE_FD_FIRST + w);
        (void) ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void) execl(LAB_HELPER, "banger-helper", (char *) NULL);
        _exit(5);
    }
    (void) gid;
    close(pipe_ends[1]);
    while (waitpid(pid, &traced_status, 0) == pid && WIFSTOPPED(traced_status))
        (void) ptrace(PTRACE_CONT, pid, NULL, NULL);
    return read(pipe_ends[0], said, sizeof(said) - 1) > 0 && strstr(said, "file capabilities are missing") ? 0 : 1;
}
static int traced_in_group(void *arg) {
    return traced_exec(arg);
}
static void traced(void) {
    lab_sh("usermod -aG banger nobody 2>/dev/null; true");
    pid_t pid = fork();
    if (pid == 0) {
        gid_t gid = LAB_GROUP;
        if (syscall(SYS_setgroups, 1, &gid) || setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
            _exit(6);
        _exit(traced_in_group(NULL));
    }
    int status = 0;
    expect(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "traced over its exec it does not end for want of capabilities (%x)", status);
}

/* --- line 17: descriptors --------------------------------------------------------------------- */

static rlim_t files;
static void few_files(void) {
    struct rlimit limit = {files, files};
    (void) setrlimit(RLIMIT_NOFILE, &limit);
}
static void few_descriptors(void) {
    for (files = 0; files < 32; files += files < 8 ? 1 : 3) {
        struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, few_files);
        int r = ask_net(&h, WIRE_NET_UP, 0, 0);
        expect(r == GONE, "with %lu descriptors it answers", (unsigned long) files);
        expect(ends_saying(&h, files < 8 ? "" : "resource limit"), "with %lu descriptors", (unsigned long) files);
        expect(!interface_exists(tap(ALICE, 0)), "and makes a tap");
    }
    files = 64;
    expect(serves(ALICE, few_files), "control: with 64 it does not serve");
}

static int closed;
static void close_some(void) {
    for (int fd = 0; fd < 3; fd++) {
        if (closed >> fd & 1)
            close(fd);
    }
}
/* The memory devices 1:3 and 1:7: libc itself puts /dev/full where 0 is closed. */
static void closed_standard(void) {
    struct stat st;
    for (closed = 0; closed < 8; closed++) {
        pid_t all[PROCESSES];
        struct lab_helper h = prepared(close_some, all);
        for (int i = 0; i < PROCESSES; i++) {
            for (int fd = 0; fd < 3; fd++) {
                char path[64];
                (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", all[i], fd);
                int is_null = stat(path, &st) == 0 && S_ISCHR(st.st_mode) &&
                              (st.st_rdev == makedev(1, 3) || st.st_rdev == makedev(1, 7));
                expect(!(closed >> fd & 1) || is_null, "closed %d: %d of %s is no /dev/null", closed, fd, who[i]);
            }
        }
        struct guest g = lab_up(&h, ALICE, 0);
        expect(g.fd >= 0, "closed %d: it does not serve", closed);
        (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
        close(g.fd);
        lab_end(&h);
    }
}

static int leak[2];
static unsigned leak_from, leak_to;
static void leak_many(void) {
    unsigned most = leak_from < leak_to ? leak_to + 64 : leak_to + 1; /* ld.so needs a few */
    struct rlimit limit = {most, most};
    if (setrlimit(RLIMIT_NOFILE, &limit))
        _exit(2);
    for (unsigned fd = leak_from; fd <= leak_to; fd++)
        (void) dup2(leak[1], (int) fd);
    if (setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void leaks(unsigned from, unsigned to) {
    if (pipe2(leak, O_CLOEXEC))
        give_up("pipe");
    int high = fcntl(leak[1], F_DUPFD_CLOEXEC, 200); /* beyond what lab_start() places */
    close(leak[1]);
    leak[1] = high;
    leak_from = from;
    leak_to = to;
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, leak_many);
    pid_t all[PROCESSES];
    ready(&h);
    all_of(&h, all);
    close(leak[1]);
    expect(is_closed(leak[0], 1000), "a process has kept one of them");
    for (int i = 0; i < PROCESSES; i++)
        expect(count_fds(all[i]) < 16, "%s has %zu descriptors", who[i], count_fds(all[i]));
    lab_end(&h);
    close(leak[0]);
}
static void many_descriptors(void) {
    leaks(6, 10006);
}
/* As high as this machine lets a process have one. */
static void high_descriptor(void) {
    struct rlimit limit;
    (void) getrlimit(RLIMIT_NOFILE, &limit);
    unsigned highest = limit.rlim_max > 1u << 20 ? (1u << 20) - 1 : (unsigned) limit.rlim_max - 1;
    expect(highest > 1024, "control: only %u descriptors are allowed here", highest);
    leaks(highest, highest);
}

/* One worker's socket in another worker would be a way around the table of operations. */
static void separate_sockets(void) {
    pid_t all[PROCESSES];
    struct lab_helper h = prepared(NULL, all);
    char link[64], path[64], target[128];
    ino_t inodes[WIRE_WORKERS];
    struct stat st;
    for (int w = 0; w < WIRE_WORKERS; w++) {
        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", all[1 + w], WIRE_FD_FIRST + w);
        if (stat(path, &st))
            give_up("%s has no socket", who[1 + w]);
        inodes[w] = st.st_ino;
    }
    for (int i = 0; i < PROCESSES; i++) {
        for (int fd = 0; fd < 64; fd++) {
            (void) snprintf(link, sizeof(link), "/proc/%d/fd/%d", all[i], fd);
            ssize_t n = readlink(link, target, sizeof(target) - 1);
            unsigned long inode = 0;
            target[n > 0 ? n : 0] = '\0';
            if (sscanf(target, "socket:[%lu]", &inode) != 1)
                continue;
            for (int w = 0; w < WIRE_WORKERS; w++)
                expect(inodes[w] != inode || i == 1 + w, "%s holds the socket of %s", who[i], who[1 + w]);
        }
    }
    lab_end(&h);
}

/* --- line 23: signals ------------------------------------------------------------------------- */

static void signals_blocked(void) {
    sigset_t all;
    (void) sigfillset(&all);
    (void) sigprocmask(SIG_SETMASK, &all, NULL);
}
static void signals_ignored(void) {
    for (int s = 1; s < 65; s++)
        (void) signal(s, SIG_IGN);
}
static void blocked_and_ignored(void) {
    signals_ignored();
    signals_blocked();
}
static void signals(void) {
    pid_t all[PROCESSES];
    struct lab_helper h = prepared(blocked_and_ignored, all);
    for (int i = 0; i < PROCESSES; i++) {
        /* Its own: no zombies; and a full audit file is an error, not a death. */
        unsigned long long own = i == 1 + WIRE_VMM ? 1ull << (SIGCHLD - 1) : i == 0 ? 1ull << (SIGXFSZ - 1) : 0;
        expect(status_hex(all[i], "SigBlk") == 0, "%s blocks signals", who[i]);
        expect((status_hex(all[i], "SigIgn") & ~own) == 0, "%s ignores signals", who[i]);
        expect(status_hex(all[i], "SigCgt") == 0, "%s has a handler", who[i]);
    }
    /* SIGCHLD ignored at the exec: the parent still waits for its workers. */
    (void) kill(all[1], SIGTERM);
    expect(is_closed(h.disk, 2000) && is_closed(h.vmm, 2000), "SIGTERM does not end it");
    lab_end(&h);
}

/* Microseconds: how long a helper takes until it serves, and what of it on a processor. */
static struct { long long wall, cpu; } began;
static long long cpu_of(pid_t pid) {
    clockid_t clock;
    struct timespec used = {0};
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
        return 1LL << 60; /* it is gone */
    return (long long) used.tv_sec * 1000000 + used.tv_nsec / 1000;
}
static void arm(enum __itimer_which timer, long long us) {
    struct timeval at = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    struct itimerval every = {at, at};
    (void) setitimer(timer, &every, NULL);
}
/* None comes before the helper can have switched it off. */
static void armed(void) {
    arm(ITIMER_REAL, 2 * began.wall + 20000);
    arm(ITIMER_VIRTUAL, 2 * began.cpu + 5000);
    arm(ITIMER_PROF, 2 * began.cpu + 5000);
}
static void timers(void) {
    long long from = io_now_ms();
    struct lab_helper h = start_ready(ALICE);
    began.wall = (io_now_ms() - from + 1) * 1000;
    began.cpu = cpu_of(h.pid);
    lab_end(&h);
    h = lab_start(LAB_HELPER, ALICE, 1, armed);
    int served = 1;
    for (from = io_now_ms();
         served && ((io_now_ms() - from) * 1000 < 3 * began.wall + 40000 || cpu_of(h.pid) < 6 * began.cpu + 20000);)
        served = ask_net(&h, WIRE_NET_LIST, 0, 0) == 0;
    expect(served, "the caller's timer ended it");
    lab_end(&h);
}
static void blocked_alarm(void) {
    sigset_t all;
    (void) sigfillset(&all);
    (void) sigprocmask(SIG_SETMASK, &all, NULL);
    (void) kill(getpid(), SIGALRM);
    (void) kill(getpid(), SIGHUP);
}
static void pending(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, blocked_alarm);
    int r = ask_net(&h, WIRE_NET_UP, 0, 0);
    expect(r == GONE || r == 0, "pending at the exec: %d", r);
    lab_end(&h);
    expect(interface_goes(tap(ALICE, 0)), "a tap is left");
    clean(ALICE);
}

/* The parent dies at any time: no worker goes on without somebody who records. */
static void orphans(void) {
    for (int number = 0; number < 3; number++) {
        static const int signals_[] = {SIGKILL, SIGTERM, SIGHUP};
        pid_t all[PROCESSES];
        struct lab_helper h = prepared(NULL, all);
        (void) kill(all[0], signals_[number]);
        for (int w = 0; w < WIRE_WORKERS; w++)
            expect(is_closed(socket_of(&h, (enum wire_worker) w), 2000), "%s goes on alone", who[1 + w]);
        expect(ask_net(&h, WIRE_NET_UP, 0, 0) == GONE && !interface_exists(tap(ALICE, 0)), "and serves");
        lab_end(&h);
    }
    for (int w = 0; w < WIRE_WORKERS; w++) { /* and one worker's end is the end of all */
        pid_t all[PROCESSES];
        struct lab_helper h = prepared(NULL, all);
        (void) kill(all[1 + w], SIGKILL);
        for (int o = 0; o < WIRE_WORKERS; o++)
            expect(is_closed(socket_of(&h, (enum wire_worker) o), 2000), "%s goes on without %s", who[1 + o],
                   who[1 + w]);
        lab_end(&h);
    }
}

/* --- line 24: terminals ------------------------------------------------------------------------- */

enum { MEMBER, LEADER, JOB };
static int role;
static char terminal_name[64];
static void with_terminal(void) {
    int fd = setsid() < 0 ? -1 : open(terminal_name, O_RDWR);
    if (fd < 0 || ioctl(fd, TIOCSCTTY, 1))
        _exit(2);
    if (role == LEADER) /* the session's leader itself, as `exec banger-helper` in a login shell */
        return;
    pid_t pid = fork();
    if (pid > 0) {
        int status;
        (void) waitpid(pid, &status, 0);
        _exit(0);
    }
    if (role == JOB) /* of an interactive shell: leads its process group */
        (void) setpgid(0, 0);
}
static void terminal(int how) {
    int control = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    role = how;
    if (control < 0 || grantpt(control) || unlockpt(control) ||
        ptsname_r(control, terminal_name, sizeof(terminal_name)) || chmod(terminal_name, 0666))
        skip("there are no pseudo-terminals here: %s", strerror(errno));
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, with_terminal);
    if (ask_net(&h, WIRE_NET_LIST, 0, 0) == GONE) {
        expect(ends_saying(&h, "terminal"), "it ends for another reason");
        return;
    }
    pid_t all[PROCESSES] = {h.pid};
    if (how != LEADER) /* the helper is a child of what was started */
        (void) sscanf(content("/proc/%d/task/%d/children", h.pid, h.pid), "%d", &all[0]);
    ready(&h);
    struct lab_helper real = h;
    real.pid = all[0];
    workers_of(&real, all + 1);
    for (int i = 0; i < PROCESSES; i++) {
        const char *stat = strrchr(content("/proc/%d/stat", all[i]), ')');
        int parent, group, session, tty = -1;
        expect(stat && sscanf(stat + 3, "%d %d %d %d", &parent, &group, &session, &tty) == 4 && tty == 0,
               "%s has the terminal %x", who[i], tty);
    }
    lab_end(&h);
}
static void terminal_of_session(void) {
    terminal(MEMBER);
}
static void terminal_of_leader(void) {
    terminal(LEADER);
}
static void terminal_of_job(void) {
    terminal(JOB);
}

/* --- line 25: what each process is ---------------------------------------------------------------- */

static void capabilities(void) {
    static const unsigned long long may[PROCESSES] = {
        0, 1ull << CAP_NET_ADMIN, 1ull << CAP_SYS_ADMIN | 1ull << CAP_MKNOD, 1ull << CAP_SYS_ADMIN | 1ull << CAP_MKNOD};
    pid_t all[PROCESSES];
    struct lab_helper h = prepared(NULL, all);
    for (int i = 0; i < PROCESSES; i++) {
        expect((status_hex(all[i], "CapPrm") & ~may[i]) == 0, "%s may have %llx", who[i], status_hex(all[i], "CapPrm"));
        expect(status_hex(all[i], "CapEff") == 0, "%s has %llx while idle", who[i], status_hex(all[i], "CapEff"));
        expect(status_hex(all[i], "CapInh") == 0 && status_hex(all[i], "CapAmb") == 0, "%s hands some on", who[i]);
        expect(status_number(all[i], "NoNewPrivs") == 1, "%s could gain privileges", who[i]);
        expect(status_number(all[i], "Seccomp") == 2, "%s has no filter", who[i]);
    }
    expect(status_hex(all[1], "CapPrm") != 0, "control: the net worker has its capability");
    lab_end(&h);
}

/* A worker's raise of what it gave up. */
static void regained(void) {
    for (int w = 0; w < WIRE_WORKERS; w++) {
        struct lab_helper h = start_ready(ALICE);
        pid_t workers[WIRE_WORKERS];
        workers_of(&h, workers);
        unsigned lacks = w == WIRE_NET ? 1u << CAP_SYS_ADMIN : 1u << CAP_NET_ADMIN;
        expect(!(status_hex(workers[w], "CapPrm") & lacks), "%s may have the other's capability", who[1 + w]);
        expect(status_hex(workers[w], "CapPrm") != 0, "control: %s has one", who[1 + w]);
        lab_end(&h);
    }
}

struct effective {
    struct lab_helper *h;
    int raised;
};
static void send_up(void *arg) {
    struct effective *e = arg;
    struct wire_request rq = request(WIRE_NET_UP, 1, 0);
    (void) !send(e->h->net, &rq, sizeof(rq), 0);
}
/* Only calls that change the kernel are made with a capability, and with no more than one. */
static int look_effective(struct stop *stop, void *arg) {
    struct effective *e = arg;
    if (!stop->entry)
        return stop->regs.orig_rax == SYS_sendmsg && (int) stop->regs.rdi == WIRE_FD_FIRST + WIRE_NET;
    unsigned long long now = status_hex(stop->pid, "CapEff");
    long call = (long) stop->regs.orig_rax;
    int changes = call == SYS_ioctl || call == SYS_sendto || call == SYS_sendmsg || call == SYS_capset ||
                  call == SYS_capget || call == SYS_recvmsg || call == SYS_recvfrom;
    e->raised += now != 0;
    expect((now & (now - 1)) == 0, "two capabilities at once in call %ld", call);
    expect(now == 0 || changes, "call %ld is made with %llx", call, now);
    expect(now == 0 || !((call == SYS_sendmsg || call == SYS_recvmsg) && stop->regs.rdi == WIRE_FD_FIRST + WIRE_NET),
           "it answers with a capability");
    return 0;
}
static void effective(void) {
    struct lab_helper h = start_ready(ALICE);
    struct effective e = {.h = &h};
    pid_t workers[WIRE_WORKERS];
    workers_of(&h, workers);
    expect(trace(workers[WIRE_NET], send_up, look_effective, &e), "it ended");
    expect(e.raised > 2, "control: none was ever raised");
    lab_end(&h);
    clean(ALICE);
}

static void odd_place(void) {
    (void) umask(0);
    (void) !chdir("/tmp");
}
static void place(void) {
    pid_t all[PROCESSES];
    struct lab_helper h = prepared(odd_place, all);
    for (int i = 0; i < PROCESSES; i++) {
        char path[64], target[64] = "";
        (void) snprintf(path, sizeof(path), "/proc/%d/cwd", all[i]);
        (void) !readlink(path, target, sizeof(target) - 1);
        expect(status_number(all[i], "Umask") == 077, "%s has umask %lo", who[i], status_number(all[i], "Umask"));
        expect(strcmp(target, "/") == 0, "%s is in %s", who[i], target);
    }
    lab_end(&h);
}

const struct attack process_attacks[] = {
    {"2.4 the caller's umask and folder", place},
    {"3.1 the account looks into /proc/PID of each process", looks},
    {"3.2 the account traces each process, takes its memory and descriptors", attach},
    {"3.3 a core file of a helper that crashes", core},
    {"3.4 the account traces it over its exec", traced},
    {"17.1 0 to 31 descriptors allowed", few_descriptors},
    {"17.2 descriptors 0, 1 and 2 closed in all eight ways", closed_standard},
    {"17.3 10,000 inherited descriptors", many_descriptors},
    {"17.4 an inherited descriptor as high as the machine allows, up to 2^20", high_descriptor},
    {"17.5 a worker holds another worker's socket", separate_sockets},
    {"23.1 all signals blocked and ignored", signals},
    {"23.2 all three timers armed", timers},
    {"23.3 SIGALRM and SIGHUP pending at the exec", pending},
    {"23.4 the parent is killed, or one worker: nobody goes on", orphans},
    {"24.1 a controlling terminal", terminal_of_session},
    {"24.2 a controlling terminal, and it leads the session", terminal_of_leader},
    {"24.3 a controlling terminal, and it is a job of a shell", terminal_of_job},
    {"25.3 each process holds what it may and nothing while idle", capabilities},
    {"25.4 a worker may have another worker's capability", regained},
    {"25.5 a capability is effective in any but the calls that need it", effective},
    {NULL, NULL}};
