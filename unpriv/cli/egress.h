/* `vm egress`. */
#ifndef BANGER_CLI_EGRESS_H
#define BANGER_CLI_EGRESS_H

#include "options.h"

int command_egress(const struct invocation *in);

#endif
