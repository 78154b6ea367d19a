/* A guest command at this process's descriptors 0, 1 and 2, or others: the client's end of
 * the command channel (docs/protocol.md, common/mux.h). */
#ifndef BANGER_CLI_CHANNEL_H
#define BANGER_CLI_CHANNEL_H

#include "../../common/err.h"

struct channel_options {
    int tty;   /* the command has a terminal: raw mode here when descriptor 0 is one, sizes followed */
    int input; /* 0: the command's input is empty */
    /* For what is no user's command: its streams in place of 0, 1 and 2, and a signal ends it at once. */
    const int *streams;
};

struct channel_end {
    int exited;      /* 1: `status` is the command's */
    int status;      /* exit status, or 128 + n for signal n */
    int interrupted; /* a signal asked this process to end: its number */
};

/* Carries data both ways until the command ends, the channel is closed (then
 * `exited` is 0), or a signal ends it. Takes the socket. Without a terminal INT, TERM
 * and QUIT are passed on; the same again within 2 s gives up. A negative errno when
 * descriptor 1 or 2 cannot be written (but for EPIPE, which ends the command as
 * SIGPIPE would), or when the other end breaks the protocol. */
int channel_run(int sock, const struct channel_options *options, struct channel_end *end, struct err *e);

#endif
