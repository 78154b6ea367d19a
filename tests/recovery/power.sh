#!/bin/bash
# Power lost anywhere in the writes of every operation (powercut.py). Runs inside tests/world.sh.
# RECOVERY_CUTS: how many (default 0: at each write and flush, in each way). FS: ext4, xfs or btrfs.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
. tests/recovery/setup.sh
gcc "${flags[@]}" -o "$WORLD/logdisk" tests/recovery/logdisk.c || exit 1
alice daemon stop >/dev/null
rm -rf /home/alice/.local/* /home/alice/.cache
in_home ln -s .local/cache .cache
export PYTHONDONTWRITEBYTECODE=1
python3 tests/recovery/powercut.py "${RECOVERY_CUTS:-0}"
