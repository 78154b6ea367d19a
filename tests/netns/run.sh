#!/bin/sh
# The network through the real helper: usage tests/netns/run.sh [BUILD-DIR] [bench|packet|publish [N]].
# Root only. Everything happens in a network and mount namespace of its own: the policy,
# the installed helper and /dev are tmpfs mounts there, the accounts are bare numbers.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "${1:-${BUILD:-$here/build}}" && pwd)
mode=${2:-test}
[ "$(id -u)" = 0 ] || { echo "SKIP netns needs root"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
work=$(mktemp -d)
made=
for d in /etc/banger /usr/local/libexec/banger; do
    [ -d "$d" ] || { mkdir -p "$d"; made="$made $d"; }
done
trap 'rm -rf "$work"; for d in $made; do rmdir "$d" 2>/dev/null || :; done' EXIT INT TERM

case $mode in
bench) source=tests/bench/net_bench.c ;;
packet) source=tests/bench/packet_bench.c ;;
publish) source=tests/bench/publish_bench.c ;;
*) source="tests/netns/net_main.c tests/netns/net_world.c tests/netns/net_more.c tests/netns/matrix.c tests/netns/ipv6.c tests/netns/upgrade.c" ;;
esac
cd "$here"
${CC:-gcc} -std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -o "$work/driver" $source \
    tests/netns/lab.c common/fdpass.c common/io.c
chmod 755 "$work"
unshare --net --mount --propagation private sh -eu -c '
    build=$1 work=$2
    shift 2
    # As the helper is installed: its own folder, group and capabilities.
    mount -t tmpfs -o mode=0755 tmpfs /usr/local/libexec/banger
    install -o root -g 61999 -m 0750 "$build/banger-helper" /usr/local/libexec/banger/
    install -m 0755 "$build/banger-jail" /usr/local/libexec/banger/ 2>/dev/null ||
        touch /usr/local/libexec/banger/banger-jail
    install -m 0755 "$build/banger-forward" /usr/local/libexec/banger/
    setcap cap_net_admin,cap_sys_admin,cap_mknod=p /usr/local/libexec/banger/banger-helper
    mount -t tmpfs -o mode=0755 tmpfs /etc/banger
    mount -t tmpfs -o mode=0755 tmpfs /dev
    mknod -m 0666 /dev/null c 1 3
    mknod -m 0666 /dev/urandom c 1 9
    mkdir /dev/net
    mknod -m 0600 /dev/net/tun c 10 200
    ip link set lo up
    exec "$work/driver" "$@"
' netns "$build" "$work" "$mode" "${3:-}"
