#!/bin/bash
# Real guests through the installed banger, from plain accounts. Runs inside
# tests/world.sh; `tests/world.sh tests/e2e/run.sh lifecycle crash` runs only those parts, and
# `tests/world.sh tests/e2e/run.sh -hostile` all but that one.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
. tests/e2e/setup.sh

parts=(refusals config headline exec workspace anyimage build apt recipes kernels lifecycle session copy idle disks registered network dns egress publish hostile cancel crash recover seeing firecracker)
case ${1:-} in
-*) mapfile -t parts < <(printf '%s\n' "${parts[@]}" | grep -vxF -e "${1#-}") ;;
?*) parts=("$@") ;;
esac
for part in "${parts[@]}"; do
    echo "--- $part (at $SECONDS s)"
    # shellcheck disable=SC1090
    . "tests/e2e/$part.sh"
done
leave
summary
