/* Other programs (git, ssh-keygen, apt-get, recipes), started without a shell. */
#ifndef BANGER_WORKSPACE_PROCESS_H
#define BANGER_WORKSPACE_PROCESS_H

#include "../../common/err.h"

#include <stddef.h>
#include <sys/types.h>

struct process {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH unless it has a slash */
    const char *cwd;         /* NULL: the caller's */
    char *const *env;        /* NULL: the caller's */
    int in, out, err;        /* descriptors to give as 0, 1, 2; -1: /dev/null */
    int third;               /* a descriptor to give as 3, 0: none */
    int own_group;           /* 1: a process group of its own, to be ended as one */
};

/* Starts it with default signal handling, an empty mask and no descriptor but
 * those named. 0 or a negative errno; a missing program is a sentence that names it. */
int process_start(const struct process *p, pid_t *pid, struct err *e);

/* Waits for its end: the exit status, or 128 + n for signal n. */
int process_wait(pid_t pid);

/* What a program said: NUL-terminated texts, freed by process_output_free. */
struct process_output {
    int status; /* as process_wait */
    char *out, *err;
    size_t out_size;
};

/* Runs it to its end with `input` (may be NULL) on its standard input. in, out and
 * err of `p` are not used. 0 whenever it could be run, whatever its status. */
int process_run(const struct process *p, const void *input, size_t input_size, struct process_output *o, struct err *e);
void process_output_free(struct process_output *o);

/* The last line of a text that is not empty, without its newline: a pointer into
 * it, cut off in place there; "" where there is none. */
char *process_last_line(char *text);

#endif
