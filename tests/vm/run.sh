#!/bin/bash
# The privileged suite inside Debian guests that banger itself boots. Runs inside
# tests/world.sh (`make vm-check` does):
#
#   tests/world.sh tests/vm/run.sh [KERNEL...] [PART...]
#
# KERNEL: 6.1 and 6.12 (setup.sh); PART: a file of tests/vm/parts, without its ".sh". The
# end names each kernel's parts with their numbers; whatever failed, or came to no
# summary of its own, fails the run.
# COVERAGE=FOLDER: the helper as `make coverage` built it, and FOLDER/KERNEL what it counted.
# Guests run side by side where each has a processor to itself. E2E_STORE and VM_STORE
# name folders that keep the images. PART_LIMIT: seconds for each part, in place of a
# part's own "# limit: SECONDS" or 900.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
. tests/lib.sh
. tests/e2e/setup.sh
. tests/vm/setup.sh

PARTS=(netns jail cgroup disk disks nested systemd audit journal attacks apparmor bench deb)
kernels=() parts=()
for word in "$@"; do
    if [ -n "${KERNELS[$word]:-}" ]; then kernels+=("$word"); else parts+=("$word"); fi
done
[ ${#kernels[@]} -gt 0 ] || kernels=(6.1 6.12)
[ ${#parts[@]} -gt 0 ] || parts=("${PARTS[@]}")

# guest KERNEL COMMAND...: as root in that kernel's guest.
guest() {
    local kernel=$1
    shift
    vera vm exec "linux-${kernel/./-}" -- "$@"
}

# The modules of a kernel, from the package that banger keeps, as its guest's /usr/lib/modules.
modules_of() {
    local tree=$WORLD/modules/$1
    mkdir -p "$tree/usr"
    dpkg-deb --fsys-tarfile "/home/vera/.cache/banger/kernels/linux-$1" | tar xC "$tree/usr" --wildcards './lib/modules/*'
    ln -s usr/lib "$tree/lib"
    depmod -b "$tree" "$(ls "$tree/lib/modules")"
    tar cC "$tree" usr --owner=0 --group=0
}

# Why a guest went: its console's and its VMM's last words.
last_words() {
    local name=linux-${1/./-} log
    echo "the guest is $(vera vm show "$name" --json | jq -r .state)"
    for log in console vmm; do
        echo "its $log log:"
        vera vm logs "$name" --which $log 2>&1 | tail -n 30
    done
}

# One processor: QEMU 7.2 emulates several with a race between one that translates code
# and one that changes it, and Linux, which patches its own (static keys: each first KVM guest
# changes one in __schedule), dies of it ("Oops: int3").
boot() {
    local kernel=$1 started=$SECONDS
    vera vm create --quiet --name "linux-${kernel/./-}" --kernel "linux-$kernel" --memory 3G --vcpu 1 --disk-size 8G >/dev/null || return 1
    guest "$kernel" mkdir -p /opt/banger || return 1
    modules_of "$kernel" | guest "$kernel" tar xmC / --keep-directory-symlink || return 1
    guest "$kernel" tar xmC /opt/banger --no-same-owner <"$WORLD/ship.tar" || return 1
    guest "$kernel" /opt/banger/tests/vm/prepare.sh <"$WORLD/inner.tar.zst" || return 1
    echo "guest ready in $((SECONDS - started)) s: $(guest "$kernel" uname -r)"
}

# limit_of PART: the seconds it may take.
limit_of() {
    local own
    own=$(sed -n 's/^# limit: \([0-9]*\) s.*/\1/p' "tests/vm/parts/$1.sh" 2>/dev/null)
    echo "${PART_LIMIT:-${own:-900}}"
}

# One part in one guest: its lines, and its numbers into $WORLD/counts/KERNEL-PART.
run_part() {
    local kernel=$1 part=$2 started=$SECONDS log=$WORLD/log-$1-$2 limit status line
    limit=$(limit_of "$part")
    echo "--- $part"
    # The second limit is for a guest that no longer answers.
    as vera timeout -k 10 $((limit + 60)) banger vm exec "linux-${kernel/./-}" -- \
        timeout -k 10 "$limit" /opt/banger/tests/vm/inside.sh "$part" </dev/null 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped' "$log" | tail -n 1)
    if [ -z "$line" ]; then
        echo "not ok $part: ended with status $status and no summary, after $((SECONDS - started)) s of $limit"
        line="0 passed, 1 failed, 0 skipped"
        [ "$status" -ne 125 ] || last_words "$kernel"
    elif [ "$status" -ne 0 ] && [[ $line == *", 0 failed,"* ]]; then
        echo "not ok $part: ended with status $status"
        line=${line/, 0 failed,/, 1 failed,}
    fi
    echo "$line, $((SECONDS - started)) s" | tee "$WORLD/counts/$kernel-$part"
}

# What this kernel's guest counted.
counted() {
    mkdir -p "$COVERAGE/$1"
    guest "$1" tar cC "$(cat build/coverage/counters)" . | tar xC "$COVERAGE/$1"
}

# All parts in a guest; in another one from where a guest was lost.
run_kernel() {
    local kernel=$1 name=linux-${1/./-} part
    for part in "${parts[@]}"; do
        if ! as vera timeout 60 banger vm exec "$name" -- true >/dev/null 2>&1; then
            vera vm delete -f "$name" >/dev/null 2>&1
            if ! boot "$kernel" 2>&1; then
                echo "not ok the guest boots"
                last_words "$kernel"
                return
            fi
        fi
        run_part "$kernel" "$part"
    done
    [ -z "${COVERAGE:-}" ] || counted "$kernel"
    vera vm delete -f "$name" >/dev/null
}

# What each part came to: a line each, and the sum.
conclude() {
    local kernel part line p f s
    for kernel in "${kernels[@]}"; do
        for part in "${parts[@]}"; do
            line=$(cat "$WORLD/counts/$kernel-$part" 2>/dev/null) || line="0 passed, 1 failed, 0 skipped, not run"
            echo "vm: $kernel $part: $line"
            read -r p _ f _ s _ <<<"$line"
            passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        done
    done
}

begin=$SECONDS
tests/vm/ship.sh "$WORLD" || { not_ok "what is shipped into the guests"; summary; exit 1; }
echo "packed in $((SECONDS - begin)) s"
mkdir "$WORLD/counts"
for kernel in "${kernels[@]}"; do
    run_kernel "$kernel" 2>&1 | sed -u "s/^/[$kernel] /" &
    [ "$(nproc)" -ge ${#kernels[@]} ] || wait $!
done
wait
as vera banger daemon stop >/dev/null 2>&1
conclude
echo "vm: kernels ${kernels[*]}, ${#parts[@]} parts, $((SECONDS - begin)) s"
summary
