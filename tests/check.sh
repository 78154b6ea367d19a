#!/bin/bash
# `make check`: every tier that fits CI, and one summary line at the end.
# Tiers: lint-free unit tests anywhere; seeds of the fuzz targets; netns and e2e
# as root, in a world of their own (tests/world.sh).
set -u
cd "$(dirname "$0")/.."
: "${MAKE:=make}"
logs=build/check
rm -rf "$logs"
mkdir -p "$logs"

# tier NAME COMMAND...: its output is shown in one piece when it ends (until then it is in
# build/check/NAME.log), and the numbers of its last summary line are kept.
tier() {
    local name=$1 log=$logs/${1//\//-}.log began=$SECONDS status=0 line
    shift
    echo "... $name"
    "$@" >"$log" 2>&1 || status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$log" | tail -n 1)
    [ -n "$line" ] || line="0 passed, 1 failed, 0 skipped"
    # shellcheck disable=SC2086
    set -- $line
    [ "$status" -eq 0 ] || [ "$3" -gt 0 ] || set -- "$1" passed, 1
    {
        flock 9
        echo "=== $name"
        cat "$log"
        [ "$status" -eq 0 ] || echo "not ok $name: ended with status $status"
        echo "($name: $((SECONDS - began)) s)"
        echo "$1 $3 ${5:-0}" >>"$logs/numbers"
    } 9>"$logs/lock"
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

"$MAKE" -s -j2 build build/unit build/bangerd-brief fuzz-build || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
export BUILD=build # each world finds it made
export FAULTS_EVERY=40 # `make faults` tries them all
export RECOVERY_EVERY=150 RECOVERY_OPERATIONS=11 RECOVERY_SESSIONS=2 RECOVERY_CUTS=6 # and so does `make recovery`
anywhere() {
    tier unit unit
    tier fuzz-seeds seeds
    tier hostile-images python3 tests/images/hostile.py
}
# What it does on a machine is seen in tests/vm.
package() {
    "$MAKE" -s deb && dpkg-deb --fsys-tarfile build/banger_*_amd64.deb | tar t ./usr/libexec/banger/banger-helper &&
        echo "1 passed, 0 failed, 0 skipped"
}
guests() { tier e2e/run.sh tests/world.sh tests/e2e/run.sh -hostile; }
as_root() {
    tier egress-upstream unshare --net --mount python3 tests/egress/upstream.py
    tier image-oracle unshare -m python3 tests/images/oracle.py
    tier deb package
    local suite
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
        tests/registry/run.sh; do
        tier "${suite#tests/}" tests/world.sh "$suite"
    done
    tier scale env ROUNDS=40 tests/world.sh tests/scale/run.sh # `make scale`: 1,000
    tier attacks env MUST_WORK=1 tests/world.sh tests/attacks/run.sh
    tier e2e/hostile tests/world.sh tests/e2e/run.sh hostile # here, so that both take as long
}

# A guest takes one processor and the other tiers, one after another, the other one.
if [ "$(id -u)" -eq 0 ]; then
    guests &
    anywhere
    as_root
    wait
else
    anywhere
    echo "SKIP netns and e2e: they make namespaces, so they need root"
    echo "0 0 1" >>"$logs/numbers"
fi
awk '{passed += $1; failed += $2; skipped += $3}
    END {print passed " passed, " failed " failed, " skipped " skipped"; exit failed > 0}' "$logs/numbers"
