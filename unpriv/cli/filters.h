/* What a process's seccomp filters let it call: the programs that the kernel holds,
 * read by ptrace and run here for each system call's number. */
#ifndef BANGER_CLI_FILTERS_H
#define BANGER_CLI_FILTERS_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A filter's answer (SECCOMP_RET_*), and whether it looked at the call's arguments on the way. */
struct filter_answer {
    uint32_t action;
    int by_arguments;
};

/* Runs a filter as the kernel does (classic BPF, the part of it that seccomp(2) allows). A
 * program that the kernel would not have taken answers SECCOMP_RET_KILL_PROCESS. */
struct filter_answer filter_run(const struct sock_filter *program, size_t length, const struct seccomp_data *call);

/* The names of the x86_64 system calls that all filters of `pid` let through, a `*` behind
 * those where the arguments count. Stops the process for a moment. Needs CAP_SYS_ADMIN
 * and CAP_SYS_PTRACE. The array is the caller's; NULL on failure. */
cJSON *filters_allowed(pid_t pid, struct err *e);

#endif
