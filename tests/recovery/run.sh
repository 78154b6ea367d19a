#!/bin/bash
# Each process killed at each step of each operation (kill.py). Runs inside tests/world.sh:
#   tests/world.sh tests/recovery/run.sh [OPERATION...]
# RECOVERY_EVERY: one step in so many (default 1, all of them). RECOVERY_OPERATIONS: of so many
# operations (default all). SEED: which.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
. tests/recovery/setup.sh
export PYTHONDONTWRITEBYTECODE=1
python3 tests/recovery/kill.py "${RECOVERY_EVERY:-1}" "$@"
status=$?
[ $status -eq 0 ] || grep -v ' done in ' /home/alice/.local/state/banger/bangerd.log | tail -n 30 | cut -c1-300
alice daemon stop >/dev/null 2>&1
exit $status
