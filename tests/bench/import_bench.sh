#!/bin/bash
# A root file system from a tar stream: banger-import, against unpacking with tar
# and mke2fs -d. Medians of interleaved runs, nothing synced on either side.
# Usage: import_bench.sh   (as root, or tar cannot set owners; after `make build`)
set -eu
cd "$(dirname "$0")/../.."
cache=/var/tmp/banger-bench
tar=${BANGER_BENCH_TAR:-$cache/import.tar}
rounds=${ROUNDS:-5}
work=$(mktemp -d "$(mkdir -p $cache && echo $cache)/import.XXXXXX")
trap 'rm -rf "$work"' EXIT

# About 320 MB of this machine's /usr: every file has the same chance, so large and small ones keep their shares.
if [ ! -e "$tar" ]; then
    total=$(find /usr -xdev -type f -printf '%s\n' | awk '{s += $1} END {print s}')
    find /usr -xdev \( -type f -o -type l \) -printf '%s %P\n' | LC_ALL=C sort -k 2 |
        awk -v part="$(awk -v t="$total" 'BEGIN {print 320e6 / t}')" 'BEGIN {srand(1)} rand() < part {sub(/^[0-9]+ /, ""); print}' |
        tar -C /usr --no-recursion -T - -cf "$tar.new"
    mv "$tar.new" "$tar"
fi

# The plan of unpriv/image/plan.h: magic, mode 1 (ROOTFS), all else 0.
printf 'PIGB\1\0\0\0' >"$work/plan"
head -c 600 /dev/zero >>"$work/plan" # more than it has
ours() {
    rm -f "$work/ours.ext4"
    env -i build/banger-import </dev/null >/dev/null 2>"$work/messages" 3<"$work/plan" 4<"$tar" 5<>"$work/ours.ext4"
}
theirs() {
    rm -rf "$work/theirs" "$work/theirs.ext4"
    mkdir "$work/theirs"
    tar -C "$work/theirs" -xpf "$tar"
    mke2fs -q -t ext4 -d "$work/theirs" "$work/theirs.ext4" 1G >/dev/null 2>&1
}
seconds() { # COMMAND
    local from to
    from=$(date +%s%N)
    "$1"
    to=$(date +%s%N)
    awk -v n=$((to - from)) 'BEGIN {printf "%.3f\n", n / 1e9}'
}
median() { sort -n "$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

cat "$tar" >/dev/null
for _ in $(seq "$rounds"); do
    seconds ours >>"$work/ours.times"
    seconds theirs >>"$work/theirs.times"
done
tail -n 1 "$work/messages" | grep -q '"ok":true'
e2fsck -fn "$work/ours.ext4" >/dev/null 2>&1
awk -v ours="$(median "$work/ours.times")" -v theirs="$(median "$work/theirs.times")" 'BEGIN {
    ratio = theirs / ours
    printf "bench import ours=%.2fs theirs=%.2fs ratio=%.1f aim=2 %s\n", ours, theirs, ratio, (ratio >= 2 ? "ok" : "short")}'
