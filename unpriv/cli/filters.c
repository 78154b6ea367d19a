#include "filters.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define FILTERS_MAX 32
#define CALLS_END   1024 /* above every number of x86_64's table */

struct filter {
    struct sock_filter *program;
    size_t length;
};
struct filters {
    struct filter list[FILTERS_MAX];
    size_t count;
};

/* --- the machine (linux/bpf_common.h; its limits: net/core/filter.c) ------------ */

struct machine {
    uint32_t a, x, memory[BPF_MEMWORDS];
    int by_arguments;
};

static int load_word(struct machine *m, const struct seccomp_data *call, uint32_t at) {
    if (at % sizeof(uint32_t) || at > sizeof(*call) - sizeof(uint32_t))
        return 0;
    (void) memcpy(&m->a, (const char *) call + at, sizeof(m->a));
    m->by_arguments |= at >= offsetof(struct seccomp_data, instruction_pointer);
    return 1;
}

static int load(struct machine *m, const struct sock_filter *f, const struct seccomp_data *call) {
    uint32_t *to = BPF_CLASS(f->code) == BPF_LD ? &m->a : &m->x;
    switch (BPF_MODE(f->code)) {
    case BPF_ABS:
        return to == &m->a && load_word(m, call, f->k);
    case BPF_IMM:
        *to = f->k;
        return 1;
    case BPF_LEN:
        *to = sizeof(*call);
        return 1;
    case BPF_MEM:
        if (f->k >= BPF_MEMWORDS)
            return 0;
        *to = m->memory[f->k];
        return 1;
    default:
        return 0;
    }
}

static int store(struct machine *m, const struct sock_filter *f) {
    if (f->k >= BPF_MEMWORDS)
        return 0;
    m->memory[f->k] = BPF_CLASS(f->code) == BPF_ST ? m->a : m->x;
    return 1;
}

static int calculate(struct machine *m, const struct sock_filter *f) {
    uint32_t by = BPF_SRC(f->code) == BPF_X ? m->x : f->k;
    int op = BPF_OP(f->code);
    if ((op == BPF_DIV && by == 0) || ((op == BPF_LSH || op == BPF_RSH) && by >= 32))
        return 0;
    switch (op) {
    case BPF_ADD:
        m->a += by;
        return 1;
    case BPF_SUB:
        m->a -= by;
        return 1;
    case BPF_MUL:
        m->a *= by;
        return 1;
    case BPF_DIV:
        m->a /= by;
        return 1;
    case BPF_AND:
        m->a &= by;
        return 1;
    case BPF_OR:
        m->a |= by;
        return 1;
    case BPF_XOR:
        m->a ^= by;
        return 1;
    case BPF_LSH:
        m->a <<= by;
        return 1;
    case BPF_RSH:
        m->a >>= by;
        return 1;
    case BPF_NEG:
        m->a = 0 - m->a;
        return 1;
    default:
        return 0;
    }
}

/* How many instructions to leave out. */
static uint32_t jump(const struct machine *m, const struct sock_filter *f) {
    uint32_t with = BPF_SRC(f->code) == BPF_X ? m->x : f->k;
    int holds = 0;
    switch (BPF_OP(f->code)) {
    case BPF_JA:
        return f->k;
    case BPF_JEQ:
        holds = m->a == with;
        break;
    case BPF_JGT:
        holds = m->a > with;
        break;
    case BPF_JGE:
        holds = m->a >= with;
        break;
    case BPF_JSET:
        holds = (m->a & with) != 0;
        break;
    default:
        break;
    }
    return holds ? f->jt : f->jf;
}

/* One instruction that is neither a jump nor a return. */
static int step(struct machine *m, const struct sock_filter *f, const struct seccomp_data *call) {
    switch (BPF_CLASS(f->code)) {
    case BPF_LD:
    case BPF_LDX:
        return load(m, f, call);
    case BPF_ST:
    case BPF_STX:
        return store(m, f);
    case BPF_ALU:
        return calculate(m, f);
    case BPF_MISC:
        if (BPF_MISCOP(f->code) == BPF_TAX)
            m->x = m->a;
        else
            m->a = m->x;
        return 1;
    default:
        return 0;
    }
}

struct filter_answer filter_run(const struct sock_filter *program, size_t length, const struct seccomp_data *call) {
    struct machine m = {0};
    for (size_t at = 0; at < length; at++) {
        const struct sock_filter *f = &program[at];
        if (BPF_CLASS(f->code) == BPF_RET)
            return (struct filter_answer){BPF_RVAL(f->code) == BPF_A ? m.a : f->k, m.by_arguments};
        if (BPF_CLASS(f->code) == BPF_JMP)
            at += jump(&m, f);
        else if (!step(&m, f, call))
            break;
    }
    return (struct filter_answer){SECCOMP_RET_KILL_PROCESS, m.by_arguments};
}

/* --- reading them ----------------------------------------------------------------- */

static void forget(struct filters *all) {
    for (size_t i = 0; i < all->count; i++)
        free(all->list[i].program);
    all->count = 0;
}

/* PTRACE_SECCOMP_GET_FILTER (ptrace(2)): the length without a buffer; ENOENT behind the last. */
static int read_stopped(pid_t pid, struct filters *all, struct err *e) {
    for (; all->count < FILTERS_MAX; all->count++) {
        long length = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, all->count, NULL);
        if (length < 0 && (errno == ENOENT || errno == EINVAL))
            return 0; /* EINVAL: it has none at all */
        struct filter *f = &all->list[all->count];
        f->length = length > 0 ? (size_t) length : 0;
        f->program = calloc(f->length + 1, sizeof(*f->program));
        if (length < 0 || !f->program || ptrace(PTRACE_SECCOMP_GET_FILTER, pid, all->count, f->program) != length) {
            int code = errno;
            free(f->program);
            return err_sys(e, code,
                           "cannot read the seccomp filters of process %d (the kernel needs "
                           "CONFIG_CHECKPOINT_RESTORE)",
                           pid);
        }
    }
    return err_set(e, E2BIG, "process %d has more than %d seccomp filters", pid, FILTERS_MAX);
}

/* A signal that stopped it first is given back at the end. */
static int read_filters(pid_t pid, struct filters *all, struct err *e) {
    int status = 0;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL))
        return err_sys(e, errno, "cannot look into process %d", pid);
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) || waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
        return err_set(e, ESRCH, "process %d ended", pid);
    int r = read_stopped(pid, all, e);
    unsigned long signal = status >> 16 == PTRACE_EVENT_STOP ? 0 : (unsigned long) WSTOPSIG(status);
    (void) ptrace(PTRACE_DETACH, pid, NULL, signal);
    return r;
}

/* --- asking them ------------------------------------------------------------------- */

/* Arguments are all zero in what is asked: where they count, the call may be allowed with some. */
static void ask(const struct filters *all, int number, int *allowed, int *by_arguments) {
    const struct seccomp_data call = {.nr = number, .arch = AUDIT_ARCH_X86_64};
    *allowed = 1;
    *by_arguments = 0;
    for (size_t i = 0; i < all->count; i++) {
        struct filter_answer answer = filter_run(all->list[i].program, all->list[i].length, &call);
        uint32_t action = answer.action & SECCOMP_RET_ACTION_FULL;
        *by_arguments |= answer.by_arguments;
        *allowed &= answer.by_arguments || action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
    }
}

cJSON *filters_allowed(pid_t pid, struct err *e) {
    struct filters all = {0};
    if (read_filters(pid, &all, e)) {
        forget(&all);
        return NULL;
    }
    cJSON *calls = cJSON_CreateArray();
    for (int number = 0; number < CALLS_END; number++) {
        char text[64];
        int allowed = 0, by_arguments = 0;
        ask(&all, number, &allowed, &by_arguments);
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
        if (allowed && (name || all.count > 0)) {
            (void) snprintf(text, sizeof(text), "%s%s", name ? name : "", by_arguments ? "*" : "");
            if (!name)
                (void) snprintf(text, sizeof(text), "%d%s", number, by_arguments ? "*" : "");
            (void) cJSON_AddItemToArray(calls, cJSON_CreateString(text));
        }
        free(name);
    }
    forget(&all);
    return calls;
}
