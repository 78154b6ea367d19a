/* A folder of ours for what is being made, below the cache: known by its lock, so that what a process left behind that
 * was killed is removed by the next of its kind. */
#ifndef BANGER_WORKSPACE_SCRATCH_H
#define BANGER_WORKSPACE_SCRATCH_H

#include "../../common/err.h"

#include <limits.h>

/* Makes "KIND.XXXXXX" in the folder `cache`: its path, and the descriptor that keeps it (flock). 0 or a negative errno.
 */
int scratch_make(const char *cache, const char *kind, char path[PATH_MAX], int *lock, struct err *e);
/* Removes it with all in it, and closes the descriptor. */
void scratch_remove(const char *path, int lock);

#endif
