/* `banger vm ports`: what guests listen on, and where that can be reached. */
#ifndef BANGER_CLI_PORTS_H
#define BANGER_CLI_PORTS_H

#include "options.h"

int command_ports(const struct invocation *in);

/* "http" or "https" where a browser may find something at a TCP port of that number, else NULL. */
const char *ports_scheme(int64_t port);

#endif
