/* `banger events`. */
#ifndef BANGER_CLI_EVENTS_H
#define BANGER_CLI_EVENTS_H

#include "options.h"

int command_events(const struct invocation *in);
extern const char events_details[];

#endif
