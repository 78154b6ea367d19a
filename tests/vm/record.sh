#!/bin/bash
# Compiles the programs of the suites that guests run, by running those suites with
# shim/gcc: record.sh FOLDER, in a world of its own (it is of no use afterwards).
set -eu
cd "$(dirname "$0")/../.."
: "${WORLD:?run it inside tests/world.sh}"
mkdir -p "$1" "$WORLD/bin"
ln -s "$PWD/tests/vm/shim/gcc" "$WORLD/bin/gcc"
export RECORD=$PWD/$1 PATH=$WORLD/bin:$PATH JAIL_KERNEL=build/jail-guest
before=0
for suite in tests/netns/run.sh tests/netns/jail.sh tests/netns/audit.sh tests/attacks/run.sh tests/faults/run.sh tests/vm/up_bench.sh \
    "tests/vm/disk.sh --build $WORLD"; do
    # A session, which the first of its programs to be run ends.
    { (setsid --wait bash -c "export RECORD_SUITE=\$\$; exec timeout --foreground 120 unshare --mount $suite" >"$WORLD/record.log" 2>&1); } 2>/dev/null || true
    kept=$(find "$RECORD" -type f | wc -l)
    [ "$kept" -gt "$before" ] || { echo "$suite compiled nothing:"; cat "$WORLD/record.log"; exit 1; }
    before=$kept
done
