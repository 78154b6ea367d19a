#!/bin/bash
# In a guest: one part, as root. inside.sh PART
set -u
cd "$(dirname "$0")/../.." || exit 1
export PATH=$PWD/tests/vm/shim:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root
. tests/lib.sh

# as ACCOUNT COMMAND...
as() {
    local account=$1
    shift
    (cd "/home/$account" && exec runuser -u "$account" -- env -i HOME="/home/$account" USER="$account" LANG=C.UTF-8 PATH=/usr/bin:/bin "$@")
}
ann() { as ann banger "$@"; }
# capture COMMAND...: sets out, err and status.
capture() {
    local file
    file=$(mktemp)
    out=$("$@" 2>"$file")
    status=$?
    err=$(cat "$file")
    rm "$file"
}
# suite SCRIPT [ARG...]: a suite of the tree that prints its own lines and summary.
suite() {
    if [ ! -e "$1" ]; then
        not_ok "$1 is there"
        summary
        exit 1
    fi
    exec "$@"
}
# shellcheck disable=SC2034 # the parts'
out='' err='' status=0
part=tests/vm/parts/${1:?which part}.sh
[ -e "$part" ] || { not_ok "$part is there"; summary; exit 1; }
# Whatever a part leaves of ann's, the next one begins without.
leave() {
    local name
    for name in $(ann vm list --json 2>/dev/null | jq -r '.vms[].name'); do
        ann vm delete -f "$name"
    done
    ann daemon stop
} >/dev/null 2>&1
trap leave EXIT
# shellcheck disable=SC1090
. "$part"
summary
