/* The folder of ours in which a workspace's metadata is made: known by its lock, so that what a process left behind
 * that was killed is removed by the next. */
#ifndef BANGER_WORKSPACE_SCRATCH_H
#define BANGER_WORKSPACE_SCRATCH_H

#include "../../common/err.h"

#include <limits.h>

/* Makes one in the folder `cache`: its path, and the descriptor that keeps it (flock). 0 or a negative errno. */
int scratch_make(const char *cache, char path[PATH_MAX], int *lock, struct err *e);
/* Removes it with all in it, and closes the descriptor. */
void scratch_remove(const char *path, int lock);

#endif
