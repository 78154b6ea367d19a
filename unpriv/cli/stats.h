/* `banger vm stats`. */
#ifndef BANGER_CLI_STATS_H
#define BANGER_CLI_STATS_H

#include "options.h"

int command_stats(const struct invocation *in);

#endif
