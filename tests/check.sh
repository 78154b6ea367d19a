#!/bin/bash
# `make check`: every tier that fits CI, and one summary line at the end.
# Tiers: lint-free unit tests anywhere; seeds of the fuzz targets; netns and e2e
# as root, in a world of their own (tests/world.sh).
set -u
cd "$(dirname "$0")/.."
: "${MAKE:=make}"
total_passed=0 total_failed=0 total_skipped=0
log=build/check.log

# tier NAME COMMAND...: shows its output, adds the numbers of its last summary line.
tier() {
    local name=$1 line began=$SECONDS
    shift
    echo "=== $name"
    "$@" 2>&1 | tee "$log"
    local status=${PIPESTATUS[0]}
    echo "($name: $((SECONDS - began)) s)"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$log" | tail -n 1)
    if [ -z "$line" ]; then
        echo "not ok $name: ended with status $status and no summary"
        total_failed=$((total_failed + 1))
        return
    fi
    # shellcheck disable=SC2086
    set -- $line
    total_passed=$((total_passed + $1)) total_failed=$((total_failed + $3)) total_skipped=$((total_skipped + $5))
    [ "$status" -eq 0 ] || [ "$3" -gt 0 ] || total_failed=$((total_failed + 1))
}

# Criterion's synthesis line in the words of the other tiers.
unit() {
    local out status
    out=$(build/unit --jobs 2 --color=never 2>&1)
    status=$?
    printf '%s\n' "$out" | grep -v '^\[SKIP\].*Test is disabled' || true
    printf '%s\n' "$out" | sed -nE 's/.*Tested: ([0-9]+) \| Passing: ([0-9]+) \| Failing: ([0-9]+) \| Crashing: ([0-9]+).*/\1 \2 \3 \4/p' |
        { read -r tested good bad crashed && echo "$good passed, $((bad + crashed)) failed, $((tested - good - bad - crashed)) skipped"; }
    return $status
}
seeds() {
    .make/fuzz.sh 0 build/fuzz/fuzz_* && echo "$(find build/fuzz -maxdepth 1 -name 'fuzz_*' -perm -1 | wc -l) passed, 0 failed, 0 skipped"
}

"$MAKE" -s -j2 build build/unit fuzz-build || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
tier unit unit
tier fuzz-seeds seeds
tier hostile-images python3 tests/images/hostile.py
if [ "$(id -u)" -eq 0 ]; then
    tier egress-upstream unshare --net --mount python3 tests/egress/upstream.py
    tier image-oracle unshare -m python3 tests/images/oracle.py
    export FAULTS_EVERY=40 # `make faults` tries them all
    export RECOVERY_EVERY=100 RECOVERY_CUTS=6 # and so does `make recovery`
    for suite in \
        tests/netns/run.sh \
        tests/netns/audit.sh \
        tests/netns/jail.sh \
        tests/netns/privileges.sh \
        tests/netns/doctor.sh \
        tests/netns/names.sh \
        tests/netns/install.sh \
        tests/netns/cgroup.sh \
        tests/faults/run.sh \
        tests/recovery/run.sh \
        tests/recovery/power.sh \
        tests/images/local.sh \
        tests/images/load.sh \
        tests/registry/run.sh \
        tests/e2e/run.sh; do
        tier "${suite#tests/}" tests/world.sh "$suite"
    done
    tier scale env ROUNDS=40 tests/world.sh tests/scale/run.sh # `make scale`: 1,000
    tier attacks env MUST_WORK=1 tests/world.sh tests/attacks/run.sh
else
    echo "SKIP netns and e2e: they make namespaces, so they need root"
    total_skipped=$((total_skipped + 1))
fi
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" -eq 0 ]
