/* A sparse copy of a disk, as fast as the file system can. */
#ifndef BANGER_STORE_COPY_H
#define BANGER_STORE_COPY_H

#include "../../common/err.h"

#include <stdint.h>

/* What a copy reports to, and asks whether to go on. */
struct copy_how {
    void (*progress)(void *arg, int64_t done, int64_t total); /* may be NULL */
    int (*cancelled)(void *arg);                              /* may be NULL */
    void *arg;
    int unshared; /* 1: no block is shared with `from`, also where the file system could */
};

/* Makes `to` (empty; its size stays where it is larger) equal to `from`, holes kept: 0 or a negative errno with `e`
 * filled; -ECANCELED when told to stop. Moves the offset of `from`. */
int copy_disk(int from, int to, const struct copy_how *how, struct err *e);
/* 0, or -ENOSPC where `fd`'s file system has no `need` bytes and some to spare. */
int copy_space_check(int fd, int64_t need, struct err *e);

#endif
