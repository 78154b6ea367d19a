/* The monitor's side of banger-helper: one at a time, started with a socket a
 * worker; what it writes to its standard error is kept, so that the reason it does
 * not start reaches whoever needs it. */
#ifndef BANGER_DAEMON_HELPER_PROCESS_H
#define BANGER_DAEMON_HELPER_PROCESS_H

#include "../../common/wire.h"

#include <sys/types.h>

/* Ends the one that runs and starts another: 0 or a negative errno. */
int helper_process_start(void);
/* Ends it. */
void helper_process_end(void);
/* It was reaped with this wait status. */
void helper_process_died(int status);

/* The engine's end of the worker's socket, now the caller's. One that was given
 * away before means that the engine lost it: a fresh helper is started. A negative
 * errno when none can be started, and helper_process_why() says why. */
int helper_process_socket(enum wire_worker worker);

/* Its pid, or 0. */
pid_t helper_process_pid(void);
/* The pipe of its standard error to poll, or -1; then read it. */
int helper_process_stderr(void);
void helper_process_read(void);
/* A sentence: why the last one ended. */
const char *helper_process_why(void);

#endif
