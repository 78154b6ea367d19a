/* `banger vm logs`: what the guest says on its console, and what its VMM says. */
#ifndef BANGER_CLI_LOGS_H
#define BANGER_CLI_LOGS_H

#include "../../common/err.h"
#include "options.h"

#include <stddef.h>
#include <sys/types.h>

struct log {
    int fd, out; /* a file that banger-jail keeps bounded; where it is shown */
    off_t at;    /* shown so far */
};

struct logs {
    struct log list[2];
    size_t count;
    int process; /* pidfd of the VM's, -1 while it does not run */
};

/* Shows what is there and what comes until the VM ends, a signal asks this process to end (-EINTR without words), or
 * nobody reads any more (0, or -EPIPE without words). 0 or a negative errno. */
int logs_follow(struct logs *l, struct err *e);

int command_logs(const struct invocation *in);

extern const char logs_details[];

#endif
