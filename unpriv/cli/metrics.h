/* `banger metrics`. */
#ifndef BANGER_CLI_METRICS_H
#define BANGER_CLI_METRICS_H

#include "options.h"

int command_metrics(const struct invocation *in);

#endif
