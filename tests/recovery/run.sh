#!/bin/bash
# Each process killed at each step of each operation (kill.py), and each write of a VM's record refused
# (refused.py). Runs inside tests/world.sh:
#   tests/world.sh tests/recovery/run.sh [OPERATION...]     of these only the first
# RECOVERY_EVERY: one step in so many (default 1, all of them). RECOVERY_OPERATIONS: of so many
# operations (default all). SEED: which.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
. tests/recovery/setup.sh
export PYTHONDONTWRITEBYTECODE=1
status=0
# trials SCRIPT [OPERATION...]
trials() {
    python3 "tests/recovery/$1.py" "${RECOVERY_EVERY:-1}" "${@:2}" | tee -a "$WORLD/trials"
    [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
}
[ $# -gt 0 ] || trials refused
trials kill "$@"
[ $status -eq 0 ] || grep -v ' done in ' /home/alice/.local/state/banger/bangerd.log | tail -n 30 | cut -c1-300
awk '/^[0-9]+ passed, / {passed += $1; failed += $3} END {print passed " passed, " failed " failed, 0 skipped"}' "$WORLD/trials"
alice daemon stop >/dev/null 2>&1
exit $status
