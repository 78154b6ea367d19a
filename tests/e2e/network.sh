# Who reaches whom: guests of one account, of two, the host, and the world by NAT.
# shellcheck shell=bash

# The world outside: a namespace behind a veth, which is this network's default route.
ip netns add world
ip link add up0 type veth peer name w0 netns world
ip addr add 198.51.100.1/24 dev up0
ip link set up0 up
ip -n world addr add 198.51.100.2/24 dev w0
ip -n world link set w0 up
ip -n world link set lo up
ip -n world addr add 203.0.113.7/32 dev lo
ip -n world addr add 10.77.0.1/32 dev lo
ip -n world route add default via 198.51.100.1
ip route add default via 198.51.100.2

alice vm create --name one --memory 512M --nat >/dev/null 2>&1 &
bob vm create --name other --memory 512M >/dev/null 2>&1
wait $!
alice vm create --name two --memory 512M >/dev/null 2>&1
address() { as "$1" banger vm show "$2" --json | jq -r .address; }
one=$(address alice one) two=$(address alice two) other=$(address bob other)
pings() { as "$1" banger vm exec "$2" -- ping -c 1 -W 2 "$3" >/dev/null 2>&1; }
cannot() { ! "$@"; }

check "one account's guests reach each other" pings alice one "$two"
check "another account's guest is out of reach" cannot pings alice one "$other"
check "and the other way round" cannot pings bob other "$one"
gateway=$(echo "$one" | sed 's/\.[0-9]*$/.1/')
check "a guest does not reach the host" cannot pings alice one "$gateway"
check "nor the host's other addresses" cannot pings alice one 198.51.100.1
check "with --nat a guest reaches the world" pings alice one 203.0.113.7
check "but no private address of it" cannot pings alice one 10.77.0.1
check "without it does not" cannot pings alice two 203.0.113.7
check "the world does not reach a guest" cannot ip netns exec world ping -c 1 -W 2 "$one" >/dev/null
equal "forwarding is not switched on host-wide" "$(cat /proc/sys/net/ipv4/conf/default/forwarding)" 0
check "alice's host processes reach her guest" as alice ping -c 1 -W 2 "$one" >/dev/null
check "bob's do not" cannot as bob ping -c 1 -W 2 "$one" >/dev/null
alice vm exec one -- sh -c 'ip addr add 172.16.3.77/22 dev eth0 2>/dev/null; ip link set eth0 address 02:62:aa:bb:cc:dd' >/dev/null 2>&1
check "a guest that changes its MAC is cut off" cannot pings alice one "$two"
alice vm delete -f one two >/dev/null
bob vm delete -f other >/dev/null
check "alice has nothing left" until_true 10 nothing_left alice
check "bob has nothing left" until_true 10 nothing_left bob
ip netns del world
