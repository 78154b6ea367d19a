/* The commands that look at VMs or change their state. */
#ifndef BANGER_CLI_VM_H
#define BANGER_CLI_VM_H

#include "options.h"

int command_list(const struct invocation *in);
int command_show(const struct invocation *in);
int command_set(const struct invocation *in);
int command_cp(const struct invocation *in);

/* errands.c */
int command_start(const struct invocation *in);
int command_stop(const struct invocation *in);
int command_restart(const struct invocation *in);
int command_kill(const struct invocation *in);
int command_delete(const struct invocation *in);
int command_prune(const struct invocation *in);

#endif
