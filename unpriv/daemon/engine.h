/* What the engine's modules share: its folders, as descriptors. */
#ifndef BANGER_DAEMON_ENGINE_H
#define BANGER_DAEMON_ENGINE_H

#include "../../common/err.h"

#include <stdint.h>

struct engine {
    int state; /* O_PATH of the state folder; all of banger's files are opened below it with openat */
    char state_path[4096];
    char version[128];
    int landlock; /* ABI in use, 0 where the kernel has none */
    int64_t boot; /* of this run of the machine alone; 0: not known */
};
extern struct engine engine;

/* The engine's process: confines itself (no_new_privs, Landlock on the state
 * folder and /etc/resolv.conf, seccomp), opens the store, recovers VMs, serves.
 * `monitor` is its end of the monitor's socketpair, `listener` the clients'
 * socket; `ready` is a pipe that gets "ok" or the sentence that says why not, once.
 * `before` says how the monitor's last engine died, "" for its first. Returns an exit status. */
int engine_main(int monitor, int listener, int ready, const char *state_path, const char *before);

#endif
