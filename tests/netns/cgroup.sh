#!/bin/bash
# VMMs in cgroups: who may start one where, and what bangerd's ceilings do.
#   tests/world.sh tests/netns/cgroup.sh
# The ceilings need the memory and pids controllers in cgroup v2; else they are skipped.
JAIL_PART=cgroup exec "$(dirname "$0")/jail.sh"
