#!/bin/bash
# Every fault of every operation (`make faults`), as root. An operation waits far more than it
# works: each has a world of its own, and all run at once. Those of the disk worker share one, for
# the kernel's device-mapper is not parted.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
driver=$out/driver
chmod 755 "$out"
gcc -std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -o "$driver" tests/faults/*.c common/fdpass.c common/io.c || exit 1
mapfile -t names < <("$driver" --list)
disk=()
export BUILD=${BUILD:-$PWD/build} # made once
for name in "${names[@]}"; do
    [[ $name == snap_* ]] && disk+=("$name") && continue
    FAULTS_DRIVER=$driver tests/world.sh tests/faults/run.sh "$name" >"$out/$name" 2>&1 &
done
FAULTS_DRIVER=$driver tests/world.sh tests/faults/run.sh "${disk[@]}" >"$out/disk" 2>&1 &
while [ -n "$(jobs -rp)" ]; do
    sleep 1
    [ -t 2 ] && printf '\r%d operations are still being tried, %d s \033[K' "$(jobs -rp | wc -l)" $SECONDS >&2
done
for name in "${names[@]}" disk; do
    [ -e "$out/$name" ] || continue
    grep -v ' passed, .* skipped$' "$out/$name"
    read -r good bad left < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$out/$name")
    [ -n "${good:-}" ] || { not_ok "$name: it came to no end"; continue; }
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
done
summary
