# NET_UP and SNAP_UP against the commands an administrator has: a row of `make audit`.
# shellcheck shell=bash
cat >/tmp/bench.sh <<'IN'
helper=/usr/local/libexec/banger/banger-helper
chgrp 61999 $helper
setcap cap_net_admin,cap_sys_admin,cap_mknod=p $helper
mkdir "$WORLD/bench"
chmod 0777 "$WORLD/bench"
exec build/vm/prebuilt/up_bench "$WORLD/bench" 15
IN
capture tests/world.sh bash /tmp/bench.sh
equal "net_up_snap_up: status" "$status" 0
contains "net_up_snap_up: a figure" "$out" "audit net_up_snap_up value="
echo "$out"
