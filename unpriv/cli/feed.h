/* A stream that a thread makes while the daemon takes it in: the write end of a
 * pipe, and a descriptor that becomes readable when the thread has ended. The pipe
 * is closed by whoever waits, not by the thread: after a failure the request has to be
 * cancelled first, or the daemon would take the cut stream for a whole one. */
#ifndef BANGER_CLI_FEED_H
#define BANGER_CLI_FEED_H

#include "../../common/err.h"

#include <pthread.h>

struct feed {
    /* Writes the stream to `fd`; 0 or a negative errno with `e` filled (-EPIPE: the reader went away). */
    int (*produce)(int fd, void *arg, struct err *e);
    void *arg;
    int pipe;   /* write end */
    int ended;  /* eventfd, readable once the thread is through */
    int result; /* of produce, valid once it is */
    struct err error;
    pthread_t thread;
    int running;
};

/* Starts the thread. Returns the read end (the caller's) or a negative errno. */
int feed_start(struct feed *f, int (*produce)(int fd, void *arg, struct err *e), void *arg, struct err *e);

/* Closes the pipe, waits for the thread, closes the rest. Safe to call twice. */
void feed_finish(struct feed *f);

#endif
