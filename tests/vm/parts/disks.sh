# ann's root disks: a snapshot where the file system shares no blocks.
# shellcheck shell=bash
export DISKS_ACCOUNT=ann
. tests/e2e/disks.sh
