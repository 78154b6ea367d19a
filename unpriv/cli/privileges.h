/* `banger doctor --privileges`: what the policy lets the account ask for, and what each of
 * its banger processes may do at this moment. */
#ifndef BANGER_CLI_PRIVILEGES_H
#define BANGER_CLI_PRIVILEGES_H

#include "options.h"

#include <cjson/cJSON.h>
#include <sys/types.h>

/* Exit status 1 when the account asked for does not exist. Talks to no daemon. */
int command_privileges(const struct invocation *in);

/* The policy for an account (`uid`, its groups as the caller or the name service has them):
 * file, allowed, reason, line (number and text of what decides; where there is one), subnet,
 * slots, nat, uplinks, private, vmms, memory_max, vcpus_max, disk_max. The caller's to free. */
cJSON *privileges_policy(uid_t uid);

#endif
