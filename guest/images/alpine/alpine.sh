#!/bin/sh
# Makes an Alpine image with OpenRC and sshd: alpine.sh BRANCH > alpine.tar, as in "v3.20"; the
# archive is one for `banger image load`.
#
#   BANGER_ALPINE_MIRROR    URL of a mirror's top folder, the one with v3.20/
#   BANGER_ALPINE_KEYS      folder with the mirror's signing keys (package alpine-keys)
#   BANGER_APK              apk-tools-static's program, apk otherwise
#   BANGER_ALPINE_PACKAGES  further packages
#
# It runs as the calling account, in a user namespace of its own (newuidmap, /etc/subuid).
set -eu

die() {
    printf 'alpine.sh: %s\n' "$1" >&2
    exit 1
}

if [ "${1:-}" != --inside ]; then
    [ $# -eq 1 ] || die 'usage: BANGER_ALPINE_MIRROR=URL BANGER_ALPINE_KEYS=FOLDER alpine.sh BRANCH > alpine.tar'
    case $1 in v[0-9]*.[0-9]* | edge | latest-stable) ;; *) die "\"$1\" is no branch of Alpine; v3.20 or edge would be one" ;; esac
    [ -n "${BANGER_ALPINE_MIRROR:-}" ] || die 'set BANGER_ALPINE_MIRROR to the URL of a mirror of Alpine'
    [ -d "${BANGER_ALPINE_KEYS:-}" ] || die 'set BANGER_ALPINE_KEYS to the folder with the keys that the mirror signs with (package alpine-keys)'
    command -v "${BANGER_APK:-apk}" > /dev/null || die 'apk is not here: set BANGER_APK to the program of Alpine'\''s package apk-tools-static'
    exec unshare --user --map-root-user --map-auto --mount --fork -- "$0" --inside "$1"
fi

here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d /var/tmp/banger-alpine.XXXXXX)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/etc/apk"
cp -R "$BANGER_ALPINE_KEYS" "$root/etc/apk/keys"
printf '%s/%s/main\n%s/%s/community\n' "$BANGER_ALPINE_MIRROR" "$2" "$BANGER_ALPINE_MIRROR" "$2" > "$root/etc/apk/repositories"
# shellcheck disable=SC2086 # one word a package
"${BANGER_APK:-apk}" --root "$root" --arch x86_64 --initdb --no-cache add \
    alpine-base openrc openssh bash git curl jq ca-certificates iproute2 ${BANGER_ALPINE_PACKAGES:-} >&2
"$here/finish" "$root" >&2
"$here/../guest/oci.sh" "$root"
