/* The command line as a whole. */
#ifndef BANGER_CLI_COMMANDS_H
#define BANGER_CLI_COMMANDS_H

#include "options.h"

int command_version(const struct invocation *in);
int command_help(const struct invocation *in);

/* Runs the command that `argv` names; returns the exit status. */
int commands_main(int argc, char **argv);

#endif
