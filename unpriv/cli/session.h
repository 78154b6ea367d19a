/* A guest command as part of a request (vm.exec, vm.run): its arguments, its
 * channel, and what this process exits with. */
#ifndef BANGER_CLI_SESSION_H
#define BANGER_CLI_SESSION_H

#include "channel.h"
#include "client.h"
#include "options.h"

struct session {
    struct channel_options options;
    struct channel_end end;
    struct channel_end prepared; /* how what prepared the VM ended */
    int prepare_input;           /* 1: descriptor 0 goes to what prepares the VM */
    struct progress *progress;   /* finished when the channel comes */
    char name[65];               /* the VM's, once known */
};

/* Adds argv (a login shell when `after` is empty), env, cwd, user, tty, rows and
 * cols to a request, and sets the session's options to match. */
void session_arguments(struct session *s, const struct invocation *in, const char *cwd, cJSON *args);

/* The event handler for client_call; `arg` is the session. */
int session_event(const char *name, const cJSON *line, int fd, void *arg, struct err *e);

/* The exit status after the request ended with `r` and `result` (may be NULL); says the error. */
int session_status(const struct session *s, int r, const cJSON *result, const struct err *e);

/* For requests without a command: says the error and gives 1, or 128 + n after a signal. */
int session_failed(int r, const struct err *e);

/* `banger vm exec`. */
int command_exec(const struct invocation *in);

extern const char exec_details[];

#endif
