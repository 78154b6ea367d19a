#!/bin/bash
# `make audit`: the figures an auditor asks for, each measured on what is built and
# installed: the program's map, its debug information, the kernel's own answers while it
# runs. A figure that has not been measured here is short.
#   tests/world.sh tests/audit/run.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
BUILD=${BUILD:-build}
account=aida
useradd --uid 1541 --create-home --groups banger $account
daemon() { (cd / && runuser -u $account -- env -i HOME=/home/$account PATH=/usr/local/bin:/usr/bin:/bin banger daemon "$1" >/dev/null); }
trap 'daemon stop' EXIT
short=0

# row NAME VALUE AIM: AIM is an operator and a number.
row() {
    local verdict=short
    [[ $2 =~ ^[0-9.]+$ ]] && awk "BEGIN {exit !($2 $3)}" && verdict=ok
    [ $verdict = ok ] || short=$((short + 1))
    printf 'audit %-16s value=%-12s aim=%-7s %s\n' "$1" "$2" "${3// /}" $verdict
}

# --- capabilities ------------------------------------------------------------------
row caps_ever "$(getcap -r /usr/local/libexec/banger | sed 's/^[^ ]* //; s/=.*//' | tr , '\n' | sort -u | wc -l)" "<= 3"
daemon status
running=$WORLD/running
banger doctor --privileges --json --user $account >"$running"
most() { jq "[.processes[] | select(.name == \"banger-helper\") | .capabilities.$1 | if . == \"none\" then 0 else split(\",\") | length end] | max" "$running"; }
row caps_process "$(most permitted)" "<= 2"
row caps_idle "$(most effective)" "<= 0"

# --- lines ----------------------------------------------------------------------------
# Sources that have code or data in the program (the linker's map, after --gc-sections),
# and the headers of ours that these include. Without comments and blanks.
linked_sources() {
    sed -n '/^Linker script and memory map/,$p' "$BUILD/banger-helper.map" |
        awk -v build="$BUILD" '
            /^ \.(text|rodata|data|bss|tbss|preinit_array)/ {section = 1}
            section && match($0, /0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]+\.o\)?$/) {
                n = split(substr($0, RSTART, RLENGTH), word, / +/)
                if (word[2] != "0x0" && index(word[3], build "/") == 1) print word[3]
                section = 0
            }' |
        sed -E "s|^$BUILD/obj/||; s|^$BUILD/common\.a\((.*)\)|common/\1|; s|\.o\$|.c|" | sort -u
}
count() { gcc -fpreprocessed -dD -E -P "$1" 2>/dev/null | grep -cv '^[[:space:]]*$'; }
mapfile -t sources < <(linked_sources)
mapfile -t headers < <(gcc -MM -D_GNU_SOURCE -isystem /usr/include/libnl3 -DBANGER_POLICY='""' -DBANGER_LIBEXECDIR='""' "${sources[@]}" |
    tr -d '\\' | tr ' ' '\n' | grep '\.h$' | xargs realpath --relative-to=. | sort -u)
lines=0
for file in "${sources[@]}" "${headers[@]}"; do
    n=$(count "$file")
    printf '  %5d %s\n' "$n" "$file"
    lines=$((lines + n))
done
row lines $lines "<= 1500"

# --- system calls: out of the filters that the kernel holds ------------------------------
for worker in net disk; do
    row syscalls_$worker "$(jq -r ".processes[] | select(.worker == \"$worker\") | .calls | length" "$running")" "<= 25"
done

# --- strings: members of a request, and of what it is made of, that are text or pointers ---
member_types() {
    llvm-dwarfdump --name="$1" --show-children "$BUILD/banger-helper" |
        sed -nE 's/.*DW_AT_type[^"]*"(.*)"\)$/\1/p' | sort -u
}
request=$(member_types wire_request)
parts=$(for part in $(grep -oE 'wire_[a-z_]+' <<<"$request" | sort -u); do member_types "$part"; done)
if [ -n "$request" ]; then
    row strings "$(printf '%s\n' "$request" "$parts" | grep -cE 'char|\*')" "<= 0"
else
    row strings not-measured "<= 0"
fi

# --- fuzz targets of what the helper and the jail read --------------------------------------
targets=$(grep -lE '#include "\.\./(priv-helper/|policy/|unpriv/vmm/jail/|common/(wire|fdpass|jailargs|chain|log)\.h)' fuzz/fuzz_*.c |
    xargs -n 1 basename -s .c)
printf '  %s\n' $targets
row fuzz_targets "$(wc -w <<<"$targets")" ">= 7"

# --- measured elsewhere, when they were ---------------------------------------------------------
coverage() { sed -n "s/^$1=//p" "$BUILD/coverage/summary" 2>/dev/null | grep . || echo not-measured; }
row coverage_lines "$(coverage lines)" ">= 100"
row coverage_branches "$(coverage branches)" ">= 95"
times=$(grep -rhoE '^audit net_up_snap_up +value=[0-9.]+' "$BUILD/vm/audit" 2>/dev/null | tail -n 1 | sed 's/.*=//')
row net_up_snap_up "${times:-not-measured}" ">= 15"
[ $short -eq 0 ] || echo "$short short (coverage: \`make coverage\`; net_up_snap_up: \`make vm-check\`)"
