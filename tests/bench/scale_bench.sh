#!/bin/bash
# What a VM costs beside many others: records, taps, rules and jails are real, the VMM does
# nothing (tests/scale). Runs inside tests/world.sh, as root. Usage: scale_bench.sh [RECORDS [RUNNING]]
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
cp /etc/banger/policy.conf "$WORLD/policy.before"
. tests/scale/setup.sh
records=${1:-1000} running=${2:-250} rounds=${ROUNDS:-7}
client() { scott python3 /home/scott/client.py "$@"; }
last() { awk -v what="$1" '$1 == what {print $2}' | tail -n 1; }
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
row() { # NAME OURS THEIRS UNIT most|least AIM
    [ -n "$2" ] && [ -n "$3" ] || { echo "bench $1 ours=${2:-none} theirs=${3:-none} ratio=none aim=$6 short"; return; }
    awk -v name="$1" -v ours="$2" -v theirs="$3" -v unit="$4" -v how="$5" -v aim="$6" 'BEGIN {
        ratio = how == "most" ? ours / theirs : theirs / ours
        good = how == "most" ? ratio <= aim : ratio >= aim
        printf "bench %s ours=%s%s theirs=%s%s ratio=%.2f aim=%s%s %s\n", name, ours, unit, theirs, unit, ratio,
               (how == "most" ? "<=" : ">="), aim, (good ? "ok" : "short") }'
}
more() { # NAME OURS THEIRS UNIT AIM: ours - theirs at most AIM
    [ -n "$2" ] && [ -n "$3" ] || { echo "bench $1 ours=${2:-none} theirs=${3:-none} ratio=none aim=<=+$5$4 short"; return; }
    awk -v name="$1" -v ours="$2" -v theirs="$3" -v unit="$4" -v aim="$5" 'BEGIN {
        printf "bench %s ours=%s%s theirs=%s%s ratio=%.2f aim=<=+%s%s %s\n", name, ours, unit, theirs, unit, ours / theirs,
               aim, unit, (ours - theirs <= aim ? "ok" : "short") }'
}
engine_pss() {
    ps -u scott -o pid=,comm= | awk '$2 == "bangerd-engine" {print $1}' |
        xargs -I{} awk '/^Pss:/ {printf "%.2f\n", $2 / 1024}' /proc/{}/smaps_rollup
}
list_time() {
    for _ in $(seq 21); do
        local from
        from=$(date +%s%N)
        scott banger vm list >/dev/null
        echo $((($(date +%s%N) - from) / 1000))
    done | median | awk '{printf "%.2f", $1 / 1000}'
}
restart_daemon() {
    scott banger daemon stop >/dev/null
    scott banger daemon status >/dev/null
    sleep 1
}

# The two commands that a user gives, as the script is one; a shell of the account's own times them, so that changing to
# it is not in the figure. Milliseconds.
our_cycle() {
    scott bash -c 'from=$(date +%s%N)
        banger vm create --name one --image r --memory 128M --disk-size 64M --nat --quiet >/dev/null && banger vm delete -f one >/dev/null &&
        echo $((($(date +%s%N) - from) / 10000))' 2>/dev/null | awk '{printf "%.2f\n", $1 / 100}'
}
micros() {
    local from
    from=$(date +%s%N)
    "$@"
    echo $((($(date +%s%N) - from) / 10000)) | awk '{printf "%.2f\n", $1 / 100}'
}

cp tests/scale/client.py /home/scott/
ip link add theirbr type bridge
ip link set theirbr up
nft 'add table bridge theirs; add set bridge theirs guests { type ifname . ether_addr . ipv4_addr; };
     add chain bridge theirs pre { type filter hook prerouting priority -300; };
     add rule bridge theirs pre iifname . ether saddr . ip saddr @guests accept'
restart_daemon
idle=$(engine_pss)
client fill 10 >/dev/null
few_list=$(list_time)
few=$(client cycle 40 | last cycle)
for _ in $(seq "$rounds"); do
    our_cycle >>"$WORLD/ours.cycle"
    micros tests/scale/by_hand.sh "$WORLD/theirs" /home/scott/idle.ext4 >>"$WORLD/theirs.cycle"
    client together 8 | awk '$1 == "together" {print $2 >>one; print $3 >>all}' one="$WORLD/one.start" all="$WORLD/all.start"
done
row vm_cycle_shell "$(median <"$WORLD/ours.cycle")" "$(median <"$WORLD/theirs.cycle")" ms least 5
row start_8_at_once "$(median <"$WORLD/all.start")" "$(median <"$WORLD/one.start")" ms least 1.7
echo "# $records records, then $running of them running"
client fill $((records - 1)) # and the one that comes and goes
many=$(client cycle 40 | last cycle)
many_list=$(list_time)
restart_daemon
row vm_cycle_$records "$many" "$few" ms most 1.3
more vm_list_$records "$many_list" "$few_list" ms 20
more engine_pss_$records "$(engine_pss)" "$idle" MiB 1
before=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
client start "$running"
echo "# memory a running VM: $(awk -v before="$before" -v n="$running" '/^MemAvailable:/ {printf "%.0f KiB", (before - $2) / n}' /proc/meminfo); the engine's PSS: $(engine_pss) MiB"
client cycle 20
client stop "$running"
client empty
cp "$WORLD/policy.before" /etc/banger/policy.conf
