#!/bin/bash
# `make bench`: every row of ours against what a user would use instead, medians,
# interleaved in one run. The rows come again at the end, one a line.
# Usage: run.sh (as root; it enters tests/world.sh itself)
set -u
cd "$(dirname "$0")/../.."
[ -n "${WORLD:-}" ] || exec tests/world.sh tests/bench/run.sh
. tests/lib.sh
. tests/e2e/setup.sh
rounds=${ROUNDS:-7}
rows=$WORLD/rows
: >"$rows"

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
millis() { # COMMAND...: wall time in microseconds / 1000
    local from to
    from=$(date +%s%N)
    "$@" >/dev/null 2>&1 </dev/null
    to=$(date +%s%N)
    awk -v n=$((to - from)) 'BEGIN {printf "%.2f\n", n / 1e6}'
}
# row NAME OURS THEIRS UNIT AIM: `most X` = ours/theirs at most X; `least X` = theirs/ours at least X.
row() {
    awk -v name="$1" -v ours="$2" -v theirs="$3" -v unit="$4" -v how="$5" -v aim="$6" 'BEGIN {
        ratio = how == "most" ? ours / theirs : theirs / ours
        good = how == "most" ? ratio <= aim : ratio >= aim
        printf "bench %s ours=%s%s theirs=%s%s ratio=%.2f aim=%s%s %s\n", name, ours, unit, theirs, unit, ratio,
               (how == "most" ? "<=" : ">="), aim, (good ? "ok" : "short") }' | tee -a "$rows"
}

# --- vm run --rm -- true, against bare QEMU -----------------------------------
alice vm create --name model --memory 512M --vcpu 1 >/dev/null 2>&1
pid=$(ps -u alice -o pid=,comm= | awk '/qemu/ {print $1; exit}')
cat "/proc/$pid/cmdline" >"$WORLD/argv"
kernel=$(alice kernel show debian-cloud --json | jq -r .vmlinux)
initrd=$(alice kernel show debian-cloud --json | jq -r .initrd)
folder=$(state alice)/vms/$(printf %03x "$(alice vm show model --json | jq -r .slot)")
alice vm stop model >/dev/null 2>&1
gcc -O2 -D_GNU_SOURCE -o "$WORLD/boot_bench" tests/bench/boot_bench.c build/common.a
for _ in $(seq "$rounds"); do
    millis alice vm run --rm --memory 512M --vcpu 1 -- true >>"$WORLD/ours.run"
    cp --sparse=always "$(alice image show debian-bookworm --json | jq -r .path)" "$WORLD/root.ext4"
    cp --sparse=always "$folder/work.ext4" "$WORLD/work.ext4"
    (cd "$WORLD" && ./boot_bench argv "$kernel" "$initrd" root.ext4 work.ext4) >>"$WORLD/theirs.run"
done
row vm_run "$(median <"$WORLD/ours.run")" "$(median <"$WORLD/theirs.run")" ms most 1.15

# --- exec of true, against ssh with a shared master connection ----------------
alice vm start model >/dev/null 2>&1
until_true 90 alice vm ssh model -- true 2>/dev/null
until_true 90 sh -c '[ "$(runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm exec model -- systemctl is-system-running 2>/dev/null)" = running ]'
address=$(alice vm show model --json | jq -r .address)
ssh_options=(-i "$(state alice)/ssh/id_ed25519" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
    -o ControlPath=/home/alice/master)
as alice ssh "${ssh_options[@]}" -o ControlMaster=yes -o ControlPersist=600 -fN "root@$address"
# One shell of the account's own times both, so that changing to it is in neither figure.
as alice bash -s "$((rounds * 3))" "${ssh_options[@]}" "root@$address" >"$WORLD/exec" <<'SH'
rounds=$1
shift
for _ in $(seq "$rounds"); do
    a=$(date +%s%N)
    banger vm exec model -- true </dev/null
    b=$(date +%s%N)
    ssh "$@" true </dev/null
    c=$(date +%s%N)
    echo "$((b - a)) $((c - b))"
done
SH
awk '{printf "%.2f\n", $1 / 1e6}' "$WORLD/exec" >"$WORLD/ours.exec"
awk '{printf "%.2f\n", $2 / 1e6}' "$WORLD/exec" >"$WORLD/theirs.exec"
row exec "$(median <"$WORLD/ours.exec")" "$(median <"$WORLD/theirs.exec")" ms least 5
as alice ssh "${ssh_options[@]}" -O exit "root@$address" 2>/dev/null
alice vm delete -f model >/dev/null

# --- idle memory ----------------------------------------------------------------
alice daemon stop >/dev/null
alice daemon status >/dev/null
sleep 1
pss=$(for pid in $(ps -u alice -o pid=,comm= | awk '/banger/ {print $1}'); do
    awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup"
done | awk '{s += $1} END {printf "%.2f", s / 1024}')
row idle_pss "$pss" 8 MiB most 1

for part in tests/bench/*_bench.sh; do
    "$part" | tee -a "$WORLD/parts"
done
grep '^bench ' "$WORLD/parts" >>"$rows" 2>/dev/null
leave
echo "---"
cat "$rows"
