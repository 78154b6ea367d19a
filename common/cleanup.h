/* Scope-bound cleanup for unprivileged code (GCC's cleanup attribute). The
 * helper does not use it: there, straight-line code and process exit. */
#ifndef BANGER_COMMON_CLEANUP_H
#define BANGER_COMMON_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd_fn(const int *fd) {
    if (*fd >= 0)
        (void) close(*fd);
}
static inline void cleanup_free_fn(void *pointer) {
    free(*(void **) pointer);
}
static inline void cleanup_file_fn(FILE **file) {
    if (*file)
        (void) fclose(*file);
}

#define cleanup_fd   __attribute__((cleanup(cleanup_fd_fn)))
#define cleanup_free __attribute__((cleanup(cleanup_free_fn)))
#define cleanup_file __attribute__((cleanup(cleanup_file_fn)))

/* Gives up ownership: returns the descriptor and leaves -1 behind. */
static inline int take_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

#endif
