#!/bin/bash
# `make coverage`: lines and branches of all that is ours in banger-helper, reached by the
# suites that drive the installed helper. clang counts in a mapped file (continuous mode), so
# that processes that are killed or _exit() count too.
#
#   .make/coverage.sh [SUITE...]     (root)
#
# Leaves build/coverage/summary and build/coverage/report.txt (what was never reached).
set -eu
cd "$(dirname "$0")/.."
here=$PWD
out=$here/build/coverage
# Every account writes there, and guests have the same path.
counters=${COUNTERS:-/var/tmp/banger-coverage}
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(tests/netns/run.sh tests/netns/jail.sh tests/netns/audit.sh tests/attacks/run.sh tests/faults/run.sh)
[ "$(id -u)" -eq 0 ] || { echo "make coverage runs the helper's suites, which need root" >&2; exit 1; }

# The counters' file is made first by root, for everybody.
rm -rf "$counters"
mkdir -p "$counters" "$out/build"
chmod 1777 "$counters"
(umask 0 && "$out/banger-helper" --version >/dev/null)
chmod 666 "$counters"/*.profraw
cp "$out/banger-helper" "$out/build/"
for program in banger bangerd banger-jail banger-import banger-agent common.a; do
    ln -sf "$here/build/$program" "$out/build/$program"
done
for suite in "${suites[@]}"; do
    echo "=== $suite"
    BUILD=$out/build tests/world.sh "$suite" >"$out/$(basename "$(dirname "$suite")")-$(basename "$suite").log" 2>&1 || echo "(it fails: see $out)"
    tail -n 1 "$out/$(basename "$(dirname "$suite")")-$(basename "$suite").log"
done
# What guests (kernels with device-mapper) have counted, by `make vm-check COVERAGE=…`.
cp "$counters"/*.profraw "$out/"
llvm-profdata merge -o "$out/helper.profdata" "$out"/*.profraw
llvm-cov export -summary-only -instr-profile="$out/helper.profdata" "$out/banger-helper" >"$out/summary.json"
llvm-cov report -show-branch-summary -show-region-summary=false -show-instantiation-summary=false \
    -instr-profile="$out/helper.profdata" "$out/banger-helper" | tee "$out/report.txt"
llvm-cov show -show-branches=count -instr-profile="$out/helper.profdata" "$out/banger-helper" >"$out/lines.txt"
jq -r '.data[0].totals | "lines=\(.lines.percent * 100 | floor / 100)\nbranches=\(.branches.percent * 100 | floor / 100)"' \
    "$out/summary.json" >"$out/summary"
cat "$out/summary"
