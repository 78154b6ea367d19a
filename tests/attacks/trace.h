/* Root as the scheduler: one process of the helper, held at each of its system calls. */
#ifndef BANGER_TESTS_TRACE_H
#define BANGER_TESTS_TRACE_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/user.h>

struct stop {
    pid_t pid;
    int index; /* system calls begun since the trace began, from 0 */
    int entry; /* 1: about to be made, 0: made */
    struct user_regs_struct regs;
};
/* 0: go on; 1: enough, let the process go. Changes of stop->regs are written back. */
typedef int at_stop(struct stop *stop, void *arg);

/* Stops `pid`, runs `ask` (sends the request), then calls `at` at each begin and end of a
 * system call until it has had enough or the process ends. 1 while the process lives. */
int trace(pid_t pid, void (*ask)(void *), at_stop *at, void *arg);
/* A system call that the process would not make: put in place of the next one it makes.
 * The signal that killed it, or 0 with the call's own result. */
int inject(pid_t pid, long number, const unsigned long long args[6], long *result);
/* Memory of another process; 1 when all of it was read or written. */
int peek(pid_t pid, unsigned long long address, void *data, size_t size);
int poke(pid_t pid, unsigned long long address, const void *data, size_t size);
/* The seccomp filters of a process, run for one call: SECCOMP_RET_*. -1: cannot be read here. */
long long filtered(pid_t pid, unsigned arch, int number, const unsigned long long args[6]);

#endif
