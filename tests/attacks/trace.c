#include "trace.h"

#include "attack.h"

#include <elf.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

static void hold(pid_t pid) {
    int status;
    if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
        waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
        give_up("cannot hold process %d: %s", pid, strerror(errno));
}

static void get(struct stop *stop) {
    struct iovec iov = {&stop->regs, sizeof(stop->regs)};
    if (ptrace(PTRACE_GETREGSET, stop->pid, NT_PRSTATUS, &iov))
        give_up("cannot read registers: %s", strerror(errno));
}
static void put(struct stop *stop) {
    struct iovec iov = {&stop->regs, sizeof(stop->regs)};
    (void) ptrace(PTRACE_SETREGSET, stop->pid, NT_PRSTATUS, &iov);
}

/* To the next begin or end of a system call. The wait status when it ended, -1 else. */
static int step(struct stop *stop) {
    for (int status, signal = 0;; signal = WSTOPSIG(status)) {
        if (signal == SIGTRAP)
            signal = 0;
        /* Where it was killed meanwhile the first fails, and the second still has to be done. */
        (void) ptrace(PTRACE_SYSCALL, stop->pid, 0, signal);
        if (waitpid(stop->pid, &status, __WALL) != stop->pid)
            return 0;
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return status;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            break;
    }
    get(stop);
    return -1;
}

static void let_go(pid_t pid) {
    (void) ptrace(PTRACE_DETACH, pid, 0, 0);
}

int trace(pid_t pid, void (*ask)(void *), at_stop *at, void *arg) {
    struct stop stop = {.pid = pid, .index = -1};
    hold(pid);
    if (ask)
        ask(arg);
    for (;;) {
        if (step(&stop) >= 0)
            return 0;
        /* -ENOSYS is what an entry has in place of a result; the interrupted wait ends first. */
        stop.entry = (long long) stop.regs.rax == -ENOSYS;
        stop.index += stop.entry;
        struct user_regs_struct before = stop.regs;
        int enough = stop.index < 0 ? 0 : at(&stop, arg);
        if (memcmp(&before, &stop.regs, sizeof(before)) != 0)
            put(&stop);
        if (enough) {
            let_go(pid);
            return 1;
        }
    }
}

int inject(pid_t pid, long number, const unsigned long long args[6], long *result) {
    struct stop stop = {.pid = pid};
    int status;
    hold(pid);
    /* The end of the interrupted wait, then the begin of the next call. */
    do {
        status = step(&stop);
    } while (status < 0 && (long long) stop.regs.rax != -ENOSYS);
    if (status < 0) {
        stop.regs.orig_rax = (unsigned long long) number;
        stop.regs.rdi = args[0], stop.regs.rsi = args[1], stop.regs.rdx = args[2];
        stop.regs.r10 = args[3], stop.regs.r8 = args[4], stop.regs.r9 = args[5];
        put(&stop);
        status = step(&stop);
    }
    *result = (long) stop.regs.rax;
    if (status < 0)
        status = step(&stop); /* a call that the filter kills has an end before the signal comes */
    if (status < 0) {
        (void) kill(pid, SIGKILL); /* its registers are not what they were */
        (void) waitpid(pid, NULL, __WALL);
        return 0;
    }
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

int peek(pid_t pid, unsigned long long address, void *data, size_t size) {
    struct iovec here = {data, size}, there = {(void *) (size_t) address, size};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t) size;
}
int poke(pid_t pid, unsigned long long address, const void *data, size_t size) {
    struct iovec here = {(void *) data, size}, there = {(void *) (size_t) address, size};
    return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t) size;
}

/* The few instructions that such filters are made of (linux/filter.h). */
static unsigned evaluate(const struct sock_filter *f, size_t count, const struct seccomp_data *data) {
    unsigned a = 0, x = 0;
    for (size_t pc = 0; pc < count; pc++) {
        unsigned k = f[pc].k;
        switch (f[pc].code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const char *) data + k, sizeof(a));
            break;
        case BPF_JMP | BPF_JA:
            pc += k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == k ? f[pc].jt : f[pc].jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            pc += a > k ? f[pc].jt : f[pc].jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= k ? f[pc].jt : f[pc].jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += a & k ? f[pc].jt : f[pc].jf;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= k;
            break;
        case BPF_MISC | BPF_TAX:
            x = a;
            break;
        case BPF_MISC | BPF_TXA:
            a = x;
            break;
        case BPF_RET | BPF_K:
            return k;
        case BPF_RET | BPF_A:
            return a;
        default:
            give_up("a filter has instruction %x", f[pc].code);
        }
    }
    give_up("a filter has no end");
}

/* The strictest of all filters counts: the smallest value, as a signed number (seccomp(2)). */
long long filtered(pid_t pid, unsigned arch, int number, const unsigned long long args[6]) {
    static struct sock_filter filters[8][4096];
    static size_t sizes[8], count;
    static pid_t whose;
    if (whose != pid) {
        hold(pid);
        for (count = 0; count < 8; count++) {
            long n = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, count, filters[count]);
            if (n < 0 && errno != ENOENT) {
                let_go(pid);
                return -1;
            }
            if (n < 0)
                break;
            sizes[count] = (size_t) n;
        }
        let_go(pid);
        whose = pid;
    }
    struct seccomp_data data = {.nr = number, .arch = arch};
    for (int i = 0; args && i < 6; i++)
        data.args[i] = args[i];
    unsigned strictest = SECCOMP_RET_ALLOW;
    for (size_t i = 0; i < count; i++) {
        unsigned answer = evaluate(filters[i], sizes[i], &data);
        if ((int) (answer & SECCOMP_RET_ACTION_FULL) < (int) (strictest & SECCOMP_RET_ACTION_FULL))
            strictest = answer;
    }
    return strictest;
}
