/* How ssh reaches VMs: one list of ssh_config(5) settings, for `banger vm ssh` and for what
 * `banger ssh-config` prints and installs.
 *
 * ssh gets its connection from `banger ssh-proxy`, which asks the daemon for the address: so
 * `ssh NAME.vm` works whatever the system's resolver knows, for each account with its own VMs,
 * and waits for the ssh server of a guest that has just started. Host keys are accepted at first
 * sight into a file a host name, in the state folder, which goes with the VM. */
#ifndef BANGER_CLI_SSH_SETTINGS_H
#define BANGER_CLI_SSH_SETTINGS_H

#include "../../common/err.h"
#include "../store/paths.h"

#include <stddef.h>

#define SSH_SETTINGS    14
#define SSH_SETTING_MAX (2 * PATH_MAX + 64)

/* The `index`-th setting, "Key value" with `between` after the key; 0, or -EINVAL where a path of
 * banger's has characters that ssh_config cannot write. */
int ssh_setting(const struct paths *paths, size_t index, const char *between, char out[SSH_SETTING_MAX], struct err *e);

/* Makes what they name: the key, and the folder of host keys. */
int ssh_settings_prepare(const struct paths *paths, struct err *e);

#endif
