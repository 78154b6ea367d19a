# NET_UP and SNAP_UP against an administrator's commands: a row of `make audit`.
# shellcheck shell=bash
capture tests/world.sh tests/vm/up_bench.sh
equal "net_up_snap_up: status" "$status" 0
contains "net_up_snap_up: a figure" "$out" "audit net_up_snap_up value="
echo "$out"
