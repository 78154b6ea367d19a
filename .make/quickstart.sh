#!/bin/sh
# From a fresh Debian 12 machine to the first guest. Usage: quickstart.sh
#
# As root: packages, build, install, an account; then the job itself as that
# account, never as root. As a normal user on a machine where banger is
# installed: only the job. Whatever is done already is not done again.
set -eu
: "${PREFIX:=/usr/local}" "${QUICKSTART_USER:=}" "${MAKE:=make}"
cd "$(dirname "$0")/.."
banger=$PREFIX/bin/banger
times=
started=$(date +%s%N)

fail() {
    echo "quickstart: $*" >&2
    exit 1
}

# stage NAME COMMAND...: runs it, and keeps how long it took.
stage() {
    name=$1
    shift
    echo "--- $name"
    from=$(date +%s%N)
    "$@"
    times="$times
$(printf '  %-10s %7.1f s' "$name" "$(seconds_since "$from")")"
}

seconds_since() {
    echo "$(( ($(date +%s%N) - $1) / 100000000 ))" | sed 's/\(.\)$/.\1/; s/^\./0./'
}

# Up to date when every installed program is the one in build/.
install_if_new() {
    for program in banger bangerd; do
        cmp -s "build/$program" "$PREFIX/bin/$program" || { "$MAKE" -s install; return; }
    done
    for program in helper jail import fetch agent; do
        cmp -s "build/banger-$program" "$PREFIX/libexec/banger/banger-$program" || { "$MAKE" -s install; return; }
    done
    [ -e /etc/banger/policy.conf ] || "$MAKE" -s install
}

# An account that may use banger: it exists, is in the group, and has a range of
# subordinate ids (for mmdebstrap).
account() {
    : "${QUICKSTART_USER:=banger-demo}"
    [ "$QUICKSTART_USER" != root ] || fail "QUICKSTART_USER must be a normal account; banger never runs as root"
    getent passwd "$QUICKSTART_USER" >/dev/null || useradd --create-home --shell /bin/bash "$QUICKSTART_USER"
    id -nG "$QUICKSTART_USER" | tr ' ' '\n' | grep -qx banger || usermod --append --groups banger "$QUICKSTART_USER"
    grep -q "^$QUICKSTART_USER:" /etc/subuid 2>/dev/null || {
        next=$(awk -F: '{e=$2+$3; if (e>m) m=e} END {print m>100000 ? m : 100000}' /etc/subuid /etc/subgid 2>/dev/null)
        usermod --add-subuids "$next-$((next + 65535))" --add-subgids "$next-$((next + 65535))" "$QUICKSTART_USER"
    }
}

# as_user COMMAND...: runs it as the account, with that account's own environment.
as_user() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec runuser -u "$QUICKSTART_USER" -- env -i HOME="$(getent passwd "$QUICKSTART_USER" | cut -d: -f6)" \
            PATH="$PREFIX/bin:/usr/bin:/bin" TERM="${TERM:-dumb}" LANG="${LANG:-C.UTF-8}" \
            ${BANGER_DEBIAN_MIRROR:+BANGER_DEBIAN_MIRROR="$BANGER_DEBIAN_MIRROR"} "$@")
    else
        "$@"
    fi
}

image() {
    as_user "$banger" image show debian-bookworm >/dev/null 2>&1 || as_user "$banger" image pull debian-bookworm
}
kernel() {
    as_user "$banger" kernel show debian-cloud >/dev/null 2>&1 || as_user "$banger" kernel pull debian-cloud
}
job() {
    as_user "$banger" vm run --rm -- uname -a
}

if [ "$(id -u)" -eq 0 ]; then
    stage packages .make/deps.sh build run recommend
    stage build "$MAKE" -s build
    stage install install_if_new
    stage account account
else
    [ -x "$banger" ] || fail "banger is not installed here: an administrator runs \`make quickstart\` or \`make install\` once, as root"
    QUICKSTART_USER=$(id -un)
    id -nG | tr ' ' '\n' | grep -qx banger ||
        fail "$QUICKSTART_USER is not in group banger: an administrator runs \`usermod -aG banger $QUICKSTART_USER\`, then log in again"
    echo "not root: packages, build and install are left as they are"
fi
stage image image
stage kernel kernel
stage job job
printf '\nEach stage took:%s\n  %-10s %7.1f s\n' "$times" total "$(seconds_since "$started")"
echo "Next: log in as $QUICKSTART_USER and type  banger vm run"
