#!/bin/bash
# Runs a command as root in a world of its own: private mount, pid, network and ipc
# namespaces, /etc and /usr/local overlaid (accounts, policy and the installed
# banger are this world's alone), empty /run, /home, /var/log and /dev/shm. Nothing it does
# is seen outside, and it is gone with its last process.
#
#   tests/world.sh COMMAND [ARG...]
#
# The command finds WORLD (a scratch folder on disk, removed at the end) and
# WORLD_HOST_NET (the outer network namespace, for `nsenter --net=`).
set -eu
cd "$(dirname "$0")/.."

case ${1:-} in
--mounted) # the outer network stays reachable by a name that only this world has
    shift
    touch "$WORLD/host-net"
    mount --bind /proc/self/ns/net "$WORLD/host-net"
    exec unshare --net --ipc --pid --fork --kill-child --mount-proc "$0" --inside "$@"
    ;;
--inside) shift ;;
*)
    [ "$(id -u)" -eq 0 ] || { echo "tests/world.sh needs root (namespaces and overlays); run the unit tests alone with: make unit" >&2; exit 1; }
    WORLD=$(mktemp -d /var/tmp/banger-world.XXXXXX)
    chmod 0711 "$WORLD"
    trap 'rm -rf "$WORLD"' EXIT
    export WORLD WORLD_HOST_NET="$WORLD/host-net"
    status=0
    unshare --mount --propagation private "$0" --mounted "$@" || status=$?
    exit $status
    ;;
esac

overlay() {
    mkdir -p "$WORLD/up$1" "$WORLD/work$1"
    mount -t overlay -o "lowerdir=$1,upperdir=$WORLD/up$1,workdir=$WORLD/work$1" overlay "$1"
}
mkdir "$WORLD/log"
mount --bind "$WORLD/log" /var/log
overlay /etc
overlay /usr/local
mkdir "$WORLD/home"
mount --bind "$WORLD/home" /home
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /var/log
# Of an installation outside nothing is to be seen here.
rm -rf /etc/banger /usr/local/libexec/banger /usr/local/share/banger
ip link set lo up
[ -n "${BUILD:-}" ] || make -s build # whoever names a build has made it
.make/install.sh install
exec "$@"
