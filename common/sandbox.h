/* Confinement of our own processes: seccomp and Landlock, no heap. */
#ifndef BANGER_COMMON_SANDBOX_H
#define BANGER_COMMON_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

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

/* Restricts this thread and its descendants to the given folders and files, by
 * descriptor (O_PATH will do). An empty list allows nothing at all. Abstract
 * sockets outside are closed off where the kernel can; signals are not (the
 * engine must be able to end its VMMs). no_new_privs is set. Returns the
 * Landlock ABI used, 0 where the kernel has no Landlock, or a negative errno. */
enum sandbox_access { SANDBOX_READ, SANDBOX_WRITE, SANDBOX_DEVICE, SANDBOX_EXEC };
struct sandbox_path {
    int fd;
    enum sandbox_access access;
};
int sandbox_landlock(const struct sandbox_path *paths, size_t count);

#endif
