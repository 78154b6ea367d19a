/* The monitor's side of banger-forward: one at a time, from the first published port
 * until the monitor ends. The monitor keeps the engine's end of its socket, so that the
 * next engine finds the same process with its connections. */
#ifndef BANGER_DAEMON_FORWARD_PROCESS_H
#define BANGER_DAEMON_FORWARD_PROCESS_H

#include <sys/types.h>

/* A duplicate of the engine's end, the caller's; `start`: of a fresh process where none
 * runs. -ENOENT without one, or another negative errno. */
int forward_process_socket(int start);
/* A child was reaped: it may have been this one. */
void forward_process_reaped(pid_t pid);
/* Ends it, and waits for that: then its ports are free. */
void forward_process_end(void);

#endif
