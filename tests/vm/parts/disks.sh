# ann's root disks: a snapshot where the file system shares no blocks.
# limit: 2400 s
# shellcheck shell=bash
export DISKS_ACCOUNT=ann
. tests/e2e/disks.sh
