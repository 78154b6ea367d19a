/* ssh to VMs. */
#ifndef BANGER_CLI_SSH_H
#define BANGER_CLI_SSH_H

#include "options.h"

#define SSH_HOST_MAX 256

/* `banger vm ssh NAME`. */
int command_ssh(const struct invocation *in);
/* `banger ssh-proxy HOST [PORT]`: connects to the VM and passes the connection over standard output. */
int command_ssh_proxy(const struct invocation *in);
/* `banger ssh-config [--install|--uninstall]`. */
int command_ssh_config(const struct invocation *in);

/* The VM's name in a host's: "box.vm", "box.ACCOUNT.vm" and "box" are box. */
void ssh_vm_name(const char *host, const char *account, char out[SSH_HOST_MAX]);

#endif
