#!/bin/bash
# Each system call of each operation of the helper failed and killed (main.c).
#   tests/world.sh tests/faults/run.sh [OPERATION...]
# FAULTS_DRIVER: a driver built elsewhere.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
driver=${FAULTS_DRIVER:-$WORLD/faults}
[ -x "$driver" ] || gcc -std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -o "$driver" tests/faults/*.c common/fdpass.c common/io.c || exit 1
useradd --no-create-home --uid 1718 --groups banger faultstest
folder=$WORLD/faults.d
mkdir -p "$folder"
chown faultstest: "$folder"
ip link set lo up
ip link add up0 type veth peer name up1 && ip addr add 192.0.2.1/24 dev up0 && ip link set up0 up && ip link set up1 up
ip route add default via 192.0.2.2 dev up0 metric 5
ip route add default metric 6 nexthop via 192.0.2.2 dev up0 nexthop via 192.0.2.3 dev up0
ip route add default via 192.0.2.4 dev up0
ip route add unreachable default metric 9
ip route add default via 192.0.2.2 dev up0 table 77
sed -i '/^vmm/d; /^uplink/d' /etc/banger/policy.conf
cat >>/etc/banger/policy.conf <<'P'
uplink none0
uplink up0
uplink default
vmm true /usr/local/true /usr /usr/local /usr/local/t
vmm firecracker /usr/bin/true /usr/bin/true /usr
P
mkdir /usr/local/t && cp /usr/bin/true /usr/local/
ip tuntap add mode tap name tapwithlongname
"$driver" "$(id -u faultstest)" "$(id -g faultstest)" "$(getent group banger | cut -d: -f3)" "$folder" "$@"
status=$?
userdel faultstest
exit $status
