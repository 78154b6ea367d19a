/* Root as the helper's tracer. An operation is run by a client in a process of its own;
 * this one stops the helper's processes at each system call and, at one of them, lets it
 * fail or kills the process. */
#include "faults.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACEES_MAX 16
#define RUN_SECONDS 30
#define OPTIONS                                                                                                        \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC |     \
     PTRACE_O_EXITKILL)

static struct tracee {
    pid_t pid;
    enum role role;
    const struct fault *fault; /* of the call under way */
    struct user_regs_struct before;
} tracees[TRACEES_MAX];

static struct run {
    const struct operation *op;
    const struct fault *fault;
    struct calls *calls;
    pid_t helper, client;
    int workers;             /* forked so far, of a helper traced from its exec */
    uint64_t text, text_end; /* where the helper's own code is; 0: not known yet */
    int reached;
    int made[ROLES];
    int client_status; /* -1: still runs */
    int helper_gone;
} run;
static volatile sig_atomic_t timed_out;

static void on_alarm(int signal_number) {
    (void) signal_number;
    timed_out = 1;
}

static struct tracee *tracee_of(pid_t pid) {
    for (int i = 0; i < TRACEES_MAX; i++) {
        if (tracees[i].pid == pid)
            return &tracees[i];
    }
    return NULL;
}

static struct tracee *add(pid_t pid, enum role role) {
    struct tracee *t = tracee_of(pid);
    if (t)
        return t;
    t = tracee_of(0);
    if (!t)
        abort();
    *t = (struct tracee){.pid = pid, .role = role};
    return t;
}

static int tracing(void) {
    for (int i = 0; i < TRACEES_MAX; i++) {
        if (tracees[i].pid)
            return 1;
    }
    return 0;
}

/* --- at a stop ------------------------------------------------------------------------ */

/* A call that every filter allows and that does nothing takes its place: seccomp would
 * kill for a number of -1. */
static void begin_fault(struct tracee *t, const struct fault *fault) {
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, t->pid, NULL, &regs))
        return;
    t->before = regs;
    t->fault = fault;
    if (fault->result > ZERO)
        return;
    regs.orig_rax = SYS_close;
    regs.rdi = (unsigned long long) -1;
    (void) ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
}

static void write_at(const struct tracee *t, uint64_t at, void *bytes, size_t size) {
    struct iovec from = {bytes, size}, to = {(void *) at, size};
    (void) process_vm_writev(t->pid, &from, 1, &to, 1, 0);
}

/* Where the answer is one of netlink's: the kernel's messages are never shorter than this. */
static void change_answer(const struct tracee *t, uint64_t buffer, uint64_t received) {
    struct {
        struct nlmsghdr h;
        int error;
    } m;
    struct iovec to = {&m, sizeof(m)}, from = {(void *) buffer, sizeof(m)};
    if (received < sizeof(m) || received > 65536 || process_vm_readv(t->pid, &to, 1, &from, 1, 0) != sizeof(m))
        return;
    switch ((int) t->fault->result) {
    case ANSWER_SHORT:
        m.h.nlmsg_len = sizeof(m.h) - 1;
        break;
    case ANSWER_LONG:
        m.h.nlmsg_len = (uint32_t) received + 1;
        break;
    case ANSWER_NOOP:
        m.h.nlmsg_type = NLMSG_NOOP;
        break;
    case ANSWER_CHANGED:
        m.h.nlmsg_flags |= NLM_F_DUMP_INTR;
        break;
    case ANSWER_OTHER:
        m.h.nlmsg_type = NLMSG_MIN_TYPE;
        break;
    case ANSWER_DONE:
        m.h.nlmsg_type = NLMSG_DONE;
        m.error = 0;
        break;
    case ANSWER_CUT:
        m.h.nlmsg_type = NLMSG_ERROR;
        m.h.nlmsg_len = sizeof(m.h);
        break;
    case ANSWER_BARE:
        m.h.nlmsg_len = sizeof(m.h);
        break;
    default:
        m.h.nlmsg_type = NLMSG_ERROR;
        m.error = t->fault->result == ANSWER_POSITIVE ? 1 : -t->fault->error;
    }
    write_at(t, buffer, &m, sizeof(m));
}

static void end_fault(struct tracee *t) {
    struct user_regs_struct regs = t->before;
    const struct fault *fault = t->fault;
    if (fault->result > ZERO && ptrace(PTRACE_GETREGS, t->pid, NULL, &regs))
        return;
    if (fault->result == ERROR)
        regs.rax = (unsigned long long) -(long long) fault->error;
    else if (fault->result == ZERO)
        regs.rax = 0;
    else if (fault->result == ANSWER_HUGE)
        regs.rax = 1 << 20;
    else
        change_answer(t, t->before.rsi, regs.rax);
    t->fault = NULL;
    (void) ptrace(PTRACE_SETREGS, t->pid, NULL, &regs);
}

/* The helper's code in a process of it, all of which have it at the same place. */
static void find_text(pid_t pid) {
    char path[64], line[400];
    (void) snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (strstr(line, " r-xp ") && strstr(line, "/banger-helper"))
            (void) sscanf(line, "%lx-%lx", &run.text, &run.text_end);
    }
    if (f)
        (void) fclose(f);
}

#define STACK_WORDS 512
#define CALLERS     5
/* Of the return addresses on the stack, the newest that are the helper's own. */
static uint64_t site(const struct tracee *t, int number) {
    static uint64_t stack[STACK_WORDS];
    struct user_regs_struct regs;
    uint64_t hash = (uint64_t) number;
    if (!run.text)
        find_text(t->pid);
    if (!run.text || ptrace(PTRACE_GETREGS, t->pid, NULL, &regs))
        return hash;
    struct iovec to = {stack, sizeof(stack)}, from = {(void *) regs.rsp, sizeof(stack)};
    ssize_t n = process_vm_readv(t->pid, &to, 1, &from, 1, 0);
    for (int i = 0, found = 0; i < n / (ssize_t) sizeof(stack[0]) && found < CALLERS; i++) {
        if (stack[i] < run.text || stack[i] >= run.text_end)
            continue;
        hash = (hash ^ (stack[i] - run.text)) * 0x100000001b3;
        found++;
    }
    return hash;
}

static int is_faulty(const struct tracee *t, int number, int index) {
    const struct fault *fault = run.fault;
    if (!fault || fault->role != t->role)
        return 0;
    if (fault->site)
        return (!run.reached || fault->result == ANSWER_CHANGED) && site(t, number) == fault->site;
    return fault->index == index;
}

/* 1 where the process is let go with its end. */
static int enter(struct tracee *t, int number) {
    if (number == SYS_restart_syscall)
        return 0;
    int index = run.made[t->role]++;
    if (run.calls && index < CALLS_MAX) {
        run.calls->numbers[t->role][index] = number;
        run.calls->sites[t->role][index] = site(t, number);
        run.calls->count[t->role] = index + 1;
    }
    if (!is_faulty(t, number, index))
        return 0;
    run.reached = 1;
    if (run.fault->result == KILLED)
        return kill(t->pid, SIGKILL) == 0;
    begin_fault(t, run.fault);
    return 0;
}

static void at_call(struct tracee *t) {
    struct __ptrace_syscall_info info;
    long n = ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof(info), &info);
    if (n > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY && enter(t, (int) info.entry.nr))
        return;
    if (n > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT && t->fault)
        end_fault(t);
    (void) ptrace(PTRACE_SYSCALL, t->pid, NULL, NULL);
}

static void at_event(struct tracee *t, int event) {
    unsigned long child = 0;
    if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
        (void) ptrace(PTRACE_GETEVENTMSG, t->pid, NULL, &child);
        enum role role = CHILD;
        if (t->role == PARENT && run.workers < WIRE_WORKERS)
            role = (enum role)(NET + run.workers++);
        (void) add((pid_t) child, role);
    }
    /* What the child executes is no longer the helper. */
    if (event == PTRACE_EVENT_EXEC && t->role == CHILD) {
        (void) ptrace(PTRACE_DETACH, t->pid, NULL, NULL);
        t->pid = 0;
        return;
    }
    (void) ptrace(PTRACE_SYSCALL, t->pid, NULL, NULL);
}

static void at_stop(pid_t pid, int status) {
    struct tracee *t = add(pid, CHILD);
    int signal_number = WSTOPSIG(status), event = status >> 16;
    if (signal_number == (SIGTRAP | 0x80))
        at_call(t);
    else if (event == PTRACE_EVENT_STOP && signal_number != SIGTRAP)
        (void) ptrace(PTRACE_LISTEN, pid, NULL, NULL);
    else if (event)
        at_event(t, event);
    else /* a new child's first stop is none of the signals it is sent */
        (void) ptrace(PTRACE_SYSCALL, pid, NULL,
                      signal_number == SIGSTOP || signal_number == SIGTRAP ? 0 : signal_number);
}

/* Until client, helper and all that is traced have ended. 0, or -1 after RUN_SECONDS. */
static int serve(void) {
    int status;
    while (run.client_status < 0 || !run.helper_gone || tracing()) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR && timed_out)
            return -1;
        if (pid < 0 && errno == ECHILD)
            return 0;
        if (pid <= 0)
            continue;
        if (WIFSTOPPED(status)) {
            at_stop(pid, status);
            continue;
        }
        struct tracee *t = tracee_of(pid);
        if (t)
            t->pid = 0;
        if (pid == run.client)
            run.client_status = status;
        if (pid == run.helper)
            run.helper_gone = 1;
    }
    return 0;
}

/* --- a run ------------------------------------------------------------------------------- */

static void seize(pid_t pid, enum role role) {
    if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL)) {
        perror("ptrace");
        exit(2);
    }
    (void) add(pid, role);
}

/* The workers in the order of their start. */
static void seize_all(void) {
    char path[64];
    int pid;
    seize(run.helper, PARENT);
    (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", run.helper, run.helper);
    FILE *f = fopen(path, "re");
    for (int role = NET; f && fscanf(f, "%d", &pid) == 1; role++)
        seize(pid, (enum role) role);
    if (f)
        (void) fclose(f);
    run.workers = WIRE_WORKERS;
}

/* The client: prepares, says so, waits to be let go, runs, and sees the helper to its end. */
static _Noreturn void client(struct helper *h, int ready, int go, int report) {
    char why[200] = "", c = 'r';
    struct operation op = *run.op;
    (void) setpgid(0, 0);
    if (!op.from_exec && (helper_ready(h) || (op.prepare && op.prepare(h)))) {
        c = 's';
        (void) !write(ready, &c, 1);
        _exit(0);
    }
    (void) !write(ready, &c, 1);
    (void) !read(go, &c, 1);
    int bad = op.run(h, why);
    helper_close(h);
    if (bad)
        (void) !write(report, why, strlen(why));
    _exit(bad ? 1 : 0);
}

static void begin(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    (void) sigaction(SIGALRM, &action, NULL);
    timed_out = 0;
    (void) alarm(RUN_SECONDS);
}

/* Whatever still lives after a run that did not end. */
static void end_all(void) {
    for (int i = 0; i < TRACEES_MAX; i++) {
        if (tracees[i].pid)
            (void) kill(tracees[i].pid, SIGKILL);
    }
    (void) kill(run.client, SIGKILL);
    (void) kill(run.helper, SIGKILL);
    timed_out = 0;
    (void) alarm(5);
    (void) serve();
}

enum outcome trace_run(const struct operation *op, const struct fault *fault, struct calls *calls, char why[200]) {
    int ready[2], go[2], report[2];
    char c = 0;
    if (pipe(ready) || pipe(go) || pipe(report))
        exit(2);
    memset(tracees, 0, sizeof(tracees));
    run = (struct run){.op = op, .fault = fault, .calls = calls, .client_status = -1};
    undisturbed = !fault;
    struct helper h = helper_start(op->from_exec);
    run.helper = h.pid;
    run.client = fork();
    if (run.client == 0) {
        (void) close(report[0]);
        client(&h, ready[1], go[0], report[1]);
    }
    (void) close(ready[1]);
    (void) close(report[1]);
    helper_close(&h);
    begin();
    int prepared = read(ready[0], &c, 1) == 1 && c == 'r';
    if (op->from_exec) {
        seize(h.pid, PARENT);
        (void) kill(h.pid, SIGCONT);
    } else if (prepared) {
        seize_all();
    }
    (void) !write(go[1], &c, 1);
    int late = serve();
    ssize_t n = read(report[0], why, 199);
    why[n > 0 ? n : 0] = '\0';
    if (late) {
        end_all();
        (void) snprintf(why, 200, "not over after %d seconds", RUN_SECONDS);
    }
    (void) alarm(0);
    (void) close(ready[0]), (void) close(report[0]), (void) close(go[0]), (void) close(go[1]);
    if (!prepared)
        return NOT_REACHED;
    if (late || run.client_status != 0)
        return BAD;
    return fault && !run.reached ? NOT_REACHED : FINE;
}
