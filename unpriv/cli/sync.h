/* A VM's workspace and the repository on this host that it came from. */
#ifndef BANGER_CLI_SYNC_H
#define BANGER_CLI_SYNC_H

#include "options.h"
#include "progress.h"

/* Before a command of `vm exec`: says on stderr, in one line, when the repository's HEAD is no longer the one that the
 * workspace was made of; with --auto-prepare the repository's files come into the workspace instead. 0 or a negative
 * errno; -EINTR without words after a signal. */
int sync_workspace(const struct invocation *in, struct progress *progress, struct err *e);

#endif
