/* Confinement of our own processes by a list of system calls. No heap. */
#ifndef BANGER_COMMON_SECCOMP_H
#define BANGER_COMMON_SECCOMP_H

#include <stddef.h>

/* Allows the listed system calls (x86_64 numbers), and nothing else, for this
 * thread and its descendants; with `sync`, for all threads. Sets no_new_privs.
 * What is not listed: `kill` != 0 kills the process, else fails with EPERM.
 * Where socket is listed: with `deny_unix`, socket(AF_UNIX, ...) fails with EPERM all
 * the same; with `unix_streams`, all but socket(AF_UNIX, SOCK_STREAM, ...) does.
 * At most 240 calls. 0 or a negative errno. */
struct sandbox_calls {
    const int *allowed;
    size_t count;
    int kill;
    int deny_unix;
    int unix_streams;
    int sync;
};
int sandbox_seccomp(const struct sandbox_calls *calls);

#endif
