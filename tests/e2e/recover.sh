# Real guests: each process of banger killed at each step of what is done with a session, and a disk that grows cut off
# at each write. In `make check` a sample; `make recovery` takes all of them.
# shellcheck shell=bash

flags=(-std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE)
gcc "${flags[@]}" -o "$WORLD/killer" tests/recovery/killer.c
gcc "${flags[@]}" -o "$WORLD/logdisk" tests/recovery/logdisk.c
gcc "${flags[@]}" -o "$WORLD/grown" tests/recovery/grown.c guest/agent/grow.c guest/agent/util.c
# proof NAME SCRIPT ARG: its lines are shown, and all of its trials count as one test.
proof() { check "$1" env VMM=qemu-system-x86_64 PYTHONDONTWRITEBYTECODE=1 python3 "tests/recovery/$2.py" "$3"; }
proof "sessions, and banger's processes killed" sessions "${RECOVERY_EVERY:-1}"
proof "a disk that grows, cut off" grow "${RECOVERY_CUTS:-0}"
check "nothing is left" until_true 10 nothing_left alice
