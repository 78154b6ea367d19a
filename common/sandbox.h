/* Confinement of our own processes: seccomp and Landlock, no heap. */
#ifndef BANGER_COMMON_SANDBOX_H
#define BANGER_COMMON_SANDBOX_H

#include "seccomp.h"

#include <stddef.h>

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
