/* The lines that banger has in the user's ssh configuration. No input or output here. */
#ifndef BANGER_CLI_SSH_FENCE_H
#define BANGER_CLI_SSH_FENCE_H

#include "../../common/err.h"

#include <stddef.h>

#define FENCE_BEGIN "# BEGIN banger (`banger ssh-config --uninstall` removes it)"
#define FENCE_END   "# END banger"

/* Finds the fence with its line ends: `*length` bytes at `*at`; 0 bytes where there is none. -EINVAL
 * with a sentence for a text in which it cannot be told for sure: a NUL byte, half a fence or two, or
 * other lines in it than Include. */
int fence_find(const char *text, size_t size, size_t *at, size_t *length, struct err *e);

#endif
