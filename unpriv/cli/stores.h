/* `banger image ...`, `banger kernel ...` and `banger daemon ...`. */
#ifndef BANGER_CLI_STORES_H
#define BANGER_CLI_STORES_H

#include "options.h"

int command_image_list(const struct invocation *in);
int command_image_show(const struct invocation *in);
int command_image_pull(const struct invocation *in);
int command_image_delete(const struct invocation *in);
int command_kernel_list(const struct invocation *in);
int command_kernel_show(const struct invocation *in);
int command_kernel_pull(const struct invocation *in);
int command_kernel_import(const struct invocation *in);
int command_kernel_delete(const struct invocation *in);
int command_daemon_status(const struct invocation *in);
int command_daemon_stop(const struct invocation *in);
int command_daemon_socket(const struct invocation *in);

#endif
