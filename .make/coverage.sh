#!/bin/bash
# `make coverage`: lines and branches of all that is ours in banger-helper, reached by the
# suites that drive the installed helper, and by the unit tests and fuzz seeds of its pure
# parts (policy, forms of requests, chain, common/). clang counts in a mapped file (continuous mode), so
# that processes that are killed or _exit() count too.
#
#   .make/coverage.sh [--more] [SUITE...]     (root; --more: beside what was counted before)
#
# COUNTERS: the folder that is compiled in. With what guests (device-mapper) count:
#   make coverage && make vm-check COVERAGE=FOLDER PARTS="6.12 disk faults" &&
#   make coverage SUITES=--more VM_COUNTERS=FOLDER
# Leaves in build/coverage: summary; report.txt, a row a file; lines.txt, every line with its
# count; unreached.txt, the lines and branches that nothing reached; SUITE.log.
set -eu
cd "$(dirname "$0")/.."
here=$PWD
out=$here/build/coverage
# Every account writes there, and guests have the same path.
counters=${COUNTERS:-/var/tmp/banger-coverage}
more=
[ "${1:-}" != --more ] || { more=1; shift; }
suites=("$@")
[ ${#suites[@]} -gt 0 ] || [ -n "$more" ] || suites=(tests/netns/run.sh tests/netns/jail.sh tests/netns/audit.sh tests/attacks/run.sh tests/faults/run.sh)
[ "$(id -u)" -eq 0 ] || { echo "make coverage runs the helper's suites, which need root" >&2; exit 1; }

# The counters' file is made first by root, for everybody.
mkdir -p "$counters"
[ -n "$more" ] || rm -f "$counters"/*.profraw
rm -rf "$out/build"
mkdir -p "$out/build"
chmod 1777 "$counters"
(umask 0 && "$out/banger-helper" --version >/dev/null)
chmod 666 "$counters"/*.profraw
[ -n "$more" ] || (cd "$counters" && ls) >"$out/own" # the others are of unit tests and seeds
cp "$out/banger-helper" "$out/build/"
for program in banger bangerd banger-jail banger-import banger-fetch banger-dns banger-metrics banger-resolve banger-forward banger-agent common.a; do
    ln -s "$here/build/$program" "$out/build/$program"
done
for suite in "${suites[@]}"; do
    echo "=== $suite"
    name=$(basename "$(dirname "$suite")")-$(basename "$suite")
    FAULTS_COVER=1 BUILD=$out/build tests/world.sh "$suite" >"$out/$name.log" 2>&1 || echo "(it fails: see $out/$name.log)"
    tail -n 1 "$out/$name.log"
done

# report NAME PROFRAW...: the totals of banger-helper by these counts.
report() {
    llvm-profdata merge -o "$out/$1.profdata" "${@:2}"
    llvm-cov export -summary-only -instr-profile="$out/$1.profdata" "$out/banger-helper" |
        jq -r '.data[0].totals | "lines=\(.lines.percent * 100 | floor / 100)\nbranches=\(.branches.percent * 100 | floor / 100)"'
}
guests=()
[ -z "${VM_COUNTERS:-}" ] || guests=("$VM_COUNTERS"/*/*.profraw)
report suites "$counters/$(cat "$out/own")" "${guests[@]}" | sed 's/^/suites_/' >"$out/summary"

echo "=== unit tests and fuzz seeds of its pure parts"
"$out/unit" --jobs 1 --quiet >"$out/unit.log" 2>&1 || echo "(they fail: see $out/unit.log)"
for target in policy model wire control chain; do
    "$out/fuzz_$target" fuzz/seeds/$target/* >"$out/seeds-$target.log" 2>&1 || echo "(it fails: see $out/seeds-$target.log)"
done
report helper "$counters"/*.profraw "${guests[@]}" >>"$out/summary"
llvm-cov report -show-branch-summary -show-region-summary=false -show-instantiation-summary=false \
    -instr-profile="$out/helper.profdata" "$out/banger-helper" | tee "$out/report.txt"
llvm-cov show -show-branches=count -instr-profile="$out/helper.profdata" "$out/banger-helper" >"$out/lines.txt"
awk '/^\/.*:$/ { file = $0 }
    /^ *[0-9]+\| *[^|]*\|/ { line = $0 }
    /^ *[0-9]+\| *0\|/ { print file, $0 }
    /Branch \(.*(True|False): 0[,\]]/ { print file, line; print "        " $0 }' "$out/lines.txt" >"$out/unreached.txt"
cat "$out/summary"
