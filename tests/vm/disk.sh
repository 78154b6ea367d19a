#!/bin/bash
# The disk worker against a real device-mapper, in a Debian guest.
#   tests/vm/disk.sh --build BUILD-DIR    makes BUILD-DIR/disk-test
#   tests/vm/disk.sh --inside BUILD-DIR   runs it (made there when it is missing): as root,
#                                         banger installed, modules loadable
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
mode=${1:-}
build=${2:-$here/build}
skip() {
    echo "SKIP disk: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}
case $mode in
--build)
    # Static: the guest has no compiler and perhaps another C library.
    ${CC:-gcc} -std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -static -o "$build/disk-test" \
        "$here"/tests/vm/disk_{main,lab}.c "$here"/tests/netns/lab.c "$here"/common/{fdpass,io}.c
    ;;
--inside)
    [ "$(id -u)" = 0 ] || skip "needs root"
    for m in loop dm-mod dm-snapshot; do
        modprobe "$m" 2>/dev/null || [ -d "/sys/module/${m//-/_}" ] || skip "the kernel has no $m"
    done
    command -v dmsetup >/dev/null || skip "dmsetup is missing: apt-get install dmsetup"
    [ -x "$build/disk-test" ] || "$0" --build "$build"
    exec "$build/disk-test"
    ;;
*)
    sed -n '2,5s/^# //p' "$0"
    exit 2
    ;;
esac
