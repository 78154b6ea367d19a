#!/bin/bash
# Real guests: GUESTS (40) one after another, and four at once; nothing of them is left. Runs
# inside tests/world.sh.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
. tests/e2e/setup.sh
guests=${GUESTS:-40}
one() { alice vm run --rm --quiet --memory 512M --vcpu 1 --name "$1" -- sh -c 'echo $(hostname) $(cat /proc/sys/kernel/random/boot_id)' 2>&1; }

alice daemon status >/dev/null
engine=$(alice daemon status --json | jq -r .pid)
descriptors() { find "/proc/$engine/fd" -mindepth 1 | wc -l; }
one first >/dev/null
sleep 1
before=$(descriptors) answers=() began=$SECONDS
for i in $(seq "$guests"); do
    answers+=("$(one "guest-$i")")
    case ${answers[-1]} in "guest-$i "*) ;; *) not_ok "guest $i of $guests" "${answers[-1]}" ;; esac
done
equal "$guests guests, one after another: each another boot" "$(printf '%s\n' "${answers[@]}" | cut -d' ' -f2 | sort -u | wc -l)" "$guests"
echo "$guests guests in $((SECONDS - began)) s"
began=$SECONDS
for i in 1 2 3 4; do one "at-once-$i" >"$WORLD/at-once.$i" & done
wait
equal "four at once" "$(cut -d' ' -f1 "$WORLD"/at-once.* | tr '\n' ' ')" "at-once-1 at-once-2 at-once-3 at-once-4 "
echo "four at once in $((SECONDS - began)) s"
check "nothing is left" until_true 10 nothing_left alice
equal "the engine's descriptors" "$(descriptors)" "$before"
leave
summary
