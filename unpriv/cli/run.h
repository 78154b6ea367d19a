/* `banger vm run` and `banger vm create`. */
#ifndef BANGER_CLI_RUN_H
#define BANGER_CLI_RUN_H

#include "options.h"

int command_run(const struct invocation *in);
int command_create(const struct invocation *in);

#endif
