/* What the parts of the faults test share: the real helper, started as a plain account,
 * with one of its system calls failed, or the process that makes it killed there. */
#ifndef BANGER_TESTS_FAULTS_H
#define BANGER_TESTS_FAULTS_H

#include "../../common/wire.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FAULTS_HELPER "/usr/local/libexec/banger/banger-helper"

/* The account that everything is done for. */
struct account {
    uid_t uid;
    gid_t gid, group; /* its own, and group banger */
    const char *folder;
};
extern struct account account;
extern int undisturbed; /* no fault in this run: it has to succeed */

/* --- the helper (client.c) -------------------------------------------------------- */

struct helper {
    pid_t pid;
    int sockets[WIRE_WORKERS]; /* this side's; -1 once closed */
};
/* Starts it; `traced`: stopped before its exec, for the tracer. Ends the test when it cannot. */
struct helper helper_start(int traced);
void helper_close(struct helper *h);
/* 0 once each worker has answered: its start is over. */
int helper_ready(struct helper *h);
/* One request with its descriptors. The verdict, or -1 where the worker is gone; `*fd` (may
 * be NULL: closed) is what came with the reply, or -1. -2: no answer in time. */
int helper_ask(struct helper *h, struct wire_request *request, const int *fds, struct wire_reply *reply, int *fd);

/* --- operations (client.c): what is tried with every fault ------------------------------ */

struct operation {
    const char *name;
    enum wire_worker worker;
    /* Before the trace; whatever it opens it keeps. 0, or -1 where it cannot be had here. */
    int (*prepare)(struct helper *h);
    /* 0: acceptable, whatever became of it; else a sentence in `why`. */
    int (*run)(struct helper *h, char why[200]);
    int from_exec; /* the trace begins with the helper's start */
    int other;     /* the same calls mean something else in its state: FAULTS_COVER tries them again */
};
extern const struct operation operations[];
extern const size_t operation_count;

/* A name of ours among the interfaces, or NULL. */
const char *interface_left(void);
/* By a new helper, what an engine does after a crash: all that is listed is taken down;
 * then a slot is brought up and down. 0, or a sentence of what is left or does not work. */
int mend(char why[200]);

/* --- the tracer (trace.c) ---------------------------------------------------------------- */

enum role { PARENT, NET, DISK, VMM, CHILD, ROLES };
#define CALLS_MAX 4000

/* What becomes of a call: it is not made and gives an error or 0; or the first message of a
 * netlink socket's answer is changed; or the process is killed before it. */
enum result {
    KILLED,
    ERROR,
    ZERO,
    ANSWER_SHORT,    /* a message shorter than its header */
    ANSWER_LONG,     /* longer than what was received */
    ANSWER_NOOP,     /* of a type that no answer has */
    ANSWER_ERROR,    /* an error: the fault's */
    ANSWER_POSITIVE, /* an error that is none */
    ANSWER_CUT,      /* an error without a number */
    ANSWER_CHANGED,  /* what is listed changed meanwhile, each time */
    ANSWER_OTHER,    /* of another type */
    ANSWER_DONE,     /* a listing's end */
    ANSWER_BARE,     /* a message without a body */
    ANSWER_HUGE,     /* more than the buffer holds */
    RESULTS
};
/* Which call of which process. */
struct fault {
    enum role role;
    int index;
    enum result result;
    int error;     /* ERROR, ANSWER_ERROR */
    uint64_t site; /* not 0: the first call from there, whatever its index */
};
/* The system calls each process made in a run without a fault, and from where: a number
 * that the same call made by the same functions of the helper has again. */
struct calls {
    int numbers[ROLES][CALLS_MAX];
    uint64_t sites[ROLES][CALLS_MAX];
    int count[ROLES];
};
enum outcome { FINE, BAD, NOT_REACHED };
/* Runs the operation with the fault (NULL: none, and `calls` is filled). */
enum outcome trace_run(const struct operation *op, const struct fault *fault, struct calls *calls, char why[200]);

/* --- what a call may fail with (errnos.c) -------------------------------------------------- */

/* The errnos that the call's manual page has, ended by 0; NULL: it cannot fail. */
const int *errnos_of(int number);
/* Whether some code of the helper may tell this errno from others. */
int is_told_apart(int error);
const char *call_name(int number);

#endif
