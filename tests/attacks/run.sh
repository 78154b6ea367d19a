#!/bin/bash
# Every line of the attack list against the installed helper, from plain accounts.
#   tests/world.sh tests/attacks/run.sh [--list] [LINE | LINE.NUMBER]...
# MUST_WORK=1 (CI): what is skipped counts as failed. ATTACK_TIMES=1 shows each one's time.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
here=tests/attacks
build=${WORLD:-$(mktemp -d)}
[ -n "${WORLD:-}" ] || trap 'rm -rf "$build"' EXIT

. $here/daemon.sh # the shell's own attacks

flags=(-std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror '-DBANGER_POLICY="/etc/banger/policy.conf"')
files=()
# No clang-format: on
for file in "$here"/*.c; do
    [ "$file" = $here/vmm.c ] || files+=("$file")
done
driver=${ATTACK_DRIVER:-$build/attacks} # who runs many worlds builds it once
[ -n "${ATTACK_DRIVER:-}" ] ||
    gcc "${flags[@]}" -o "$driver" "${files[@]}" tests/netns/lab.c common/{fdpass,io}.c || exit 1

if [ "${1:-}" = --list ]; then
    { "$driver" "$@"; shell_attacks --list "${@:2}"; } | sort -s -t. -k1.6n
    exit 0
fi
: "${WORLD:?run it inside tests/world.sh}"

# As the helper is installed, but for the group's number, which the driver knows.
if [ "$(getent group banger | cut -d: -f3)" != 61999 ]; then
    groupmod -g 61999 banger
    .make/install.sh install || exit 1
fi
gcc "${flags[@]}" -static -s -o /usr/local/libexec/banger/attack-vmm $here/vmm.c || exit 1

# A /dev of this world's own: its log is listened to, its nodes are used and removed.
mkdir "$WORLD/dev" "$WORLD/attack"
mount -t tmpfs -o mode=0755 tmpfs "$WORLD/dev"
mkdir "$WORLD/dev/"{net,pts,shm,mapper}
for node in null zero full random urandom tty kvm net/tun loop-control mapper/control kmsg; do
    [ -e "/dev/$node" ] && cp -a "/dev/$node" "$WORLD/dev/$node"
done
for n in 0 1 2 3 4 5 6 7; do
    [ -b /dev/loop$n ] && cp -a /dev/loop$n "$WORLD/dev/"
done
ln -s pts/ptmx "$WORLD/dev/ptmx"
ln -s /proc/self/fd "$WORLD/dev/fd"
mount --move "$WORLD/dev" /dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp

chmod 755 "$WORLD/attack"
export ATTACK_FOLDER="$WORLD/attack/vm"
"$driver" "$@" | tee "$WORLD/attacks.log"
shell_attacks "$@"
if ! read -r p _ f _ s _ < <(grep -E '^[0-9]+ passed, ' "$WORLD/attacks.log"); then
    p=0 f=1 s=0
    echo "not ok the attacks came to no end"
fi
passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
if [ "${MUST_WORK:-}" = 1 ] && [ "$skipped" -gt 0 ]; then
    not_ok "MUST_WORK=1: $skipped skipped"
fi
summary
