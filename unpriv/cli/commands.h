/* The command line as a whole. */
#ifndef BANGER_CLI_COMMANDS_H
#define BANGER_CLI_COMMANDS_H

/* Runs the command that `argv` names; returns the exit status. */
int commands_main(int argc, char **argv);

#endif
