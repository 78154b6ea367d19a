#!/bin/bash
# NET_UP and SNAP_UP against the commands an administrator has: up_bench.c.
#   tests/world.sh tests/vm/up_bench.sh [N]
set -eu
cd "$(dirname "$0")/../.."
: "${WORLD:?run it inside tests/world.sh}"
gcc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -o "$WORLD/up_bench" tests/vm/up_bench.c tests/netns/lab.c common/{fdpass,io}.c
# The group that the driver's accounts are in.
helper=/usr/local/libexec/banger/banger-helper
chgrp 61999 $helper
setcap cap_net_admin,cap_sys_admin,cap_mknod=p $helper
mkdir "$WORLD/bench"
chmod 0777 "$WORLD/bench"
exec "$WORLD/up_bench" "$WORLD/bench" "${1:-15}"
