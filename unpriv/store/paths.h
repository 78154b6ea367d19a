/* Where banger keeps things for an account: XDG folders, made 0700.
 *
 *   $XDG_CONFIG_HOME/banger   (~/.config/banger)        config.toml, catalog.toml{,.minisig}, trusted-keys, ssh_config
 *   $XDG_STATE_HOME/banger    (~/.local/state/banger)   everything below
 *       banger.db             SQLite
 *       bangerd.log
 *       metrics.token         the secret of the figures' port (docs/metrics.md)
 *       run/bangerd.sock      the daemon's socket, run/lock the daemon's lock
 *       images/<id>/rootfs.ext4
 *       kernels/<id>/{vmlinux,initrd}
 *       vms/<slot, %03x>/{root.ext4|root.cow,work.ext4,console.log,vmm.log,status,qmp.sock,agent.sock,jail/}
 *       ssh/{id_ed25519,id_ed25519.pub}                 made by the CLI
 *       ssh/hosts/<name>.vm                             host keys, written by ssh, removed with the VM
 *   $XDG_CACHE_HOME/banger    (~/.cache/banger)         scratch of the CLI
 *
 * The socket is in the state folder, not in $XDG_RUNTIME_DIR: a cron job and a
 * login session of one account must find the same daemon. A path that is too long
 * for sun_path is reached through /proc/self/fd. */
#ifndef BANGER_STORE_PATHS_H
#define BANGER_STORE_PATHS_H

#include "../../common/err.h"

#include <limits.h>

struct paths {
    char config[PATH_MAX];
    char state[PATH_MAX];
    char cache[PATH_MAX];
};

/* Finds the three folders (HOME from the environment, else from the password
 * database) and makes those that are missing, with parents. A home that cannot be
 * written is an error that says which variable moves it. */
int paths_find(struct paths *p, struct err *e);

/* connect(2) / bind(2)+listen(2) on a Unix stream socket `name` in folder
 * descriptor `dir`, whatever the folder's length. The socket, or a negative errno. */
int paths_connect(int dir, const char *name);
/* The same, but -EAGAIN at once where the listener's queue is full: who listens may be hostile. */
int paths_connect_now(int dir, const char *name);
int paths_listen(int dir, const char *name);

#endif
