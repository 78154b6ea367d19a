#!/bin/sh
# Makes a Void image with runit and sshd: void.sh ARCH > void.tar, ARCH being x86_64 or
# x86_64-musl; the archive is one for `banger image load`.
#
#   BANGER_VOID_MIRROR    URL of a mirror's top folder, the one with current/
#   BANGER_VOID_KEYS      folder with the keys that its packages are signed with (xbps' var/db/xbps/keys)
#   BANGER_XBPS           xbps-install of the static xbps, xbps-install otherwise
#   BANGER_VOID_PACKAGES  further packages
#
# It runs as the calling account, in a user namespace of its own (newuidmap, /etc/subuid).
set -eu

die() {
    printf 'void.sh: %s\n' "$1" >&2
    exit 1
}

if [ "${1:-}" != --inside ]; then
    [ $# -eq 1 ] || die 'usage: BANGER_VOID_MIRROR=URL BANGER_VOID_KEYS=FOLDER void.sh x86_64|x86_64-musl > void.tar'
    case $1 in x86_64 | x86_64-musl) ;; *) die "\"$1\" is none of x86_64 and x86_64-musl" ;; esac
    [ -n "${BANGER_VOID_MIRROR:-}" ] || die 'set BANGER_VOID_MIRROR to the URL of a mirror of Void'
    [ -d "${BANGER_VOID_KEYS:-}" ] || die 'set BANGER_VOID_KEYS to the folder with the keys that the packages are signed with'
    command -v "${BANGER_XBPS:-xbps-install}" > /dev/null || die 'xbps-install is not here: set BANGER_XBPS to the one of the static xbps'
    exec unshare --user --map-root-user --map-auto --mount --fork -- "$0" --inside "$1"
fi

here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d /var/tmp/banger-void.XXXXXX)
trap 'rm -rf "$root"' EXIT
repository=$BANGER_VOID_MIRROR/current
[ "$2" = x86_64 ] || repository=$repository/musl
mkdir -p "$root/var/db/xbps"
cp -R "$BANGER_VOID_KEYS" "$root/var/db/xbps/keys"
# shellcheck disable=SC2086 # one word a package
XBPS_ARCH=$2 "${BANGER_XBPS:-xbps-install}" -S -y -r "$root" -R "$repository" \
    base-files runit-void xbps util-linux iproute2 openssh bash git curl jq ca-certificates ${BANGER_VOID_PACKAGES:-} >&2
"$here/finish" "$root" >&2
"$here/../guest/oci.sh" "$root"
