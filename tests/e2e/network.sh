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

alice vm create --name one --memory 512M --nat --ipv6 >/dev/null 2>"$WORLD/one.err" &
bob vm create --name other --memory 512M --ipv6 >/dev/null 2>&1
wait $!
alice vm create --name two --memory 512M --no-start >/dev/null 2>&1
alice vm set two --ipv6
alice vm start two >/dev/null 2>&1
address() { as "$1" banger vm show "$2" --json | jq -r .address; }
one=$(address alice one) two=$(address alice two) other=$(address bob other)
pings() { as "$1" banger vm exec "$2" -- ping -c 1 -W 2 "$3" >/dev/null 2>&1; }
cannot() { ! "$@"; }
host_pings() { "$@" >/dev/null; }

check "one account's guests reach each other" pings alice one "$two"
check "another account's guest is out of reach" cannot pings alice one "$other"
check "and the other way round" cannot pings bob other "$one"
gateway=$(echo "$one" | sed 's/\.[0-9]*$/.1/')
check "a guest does not reach the host" cannot pings alice one "$gateway"
check "nor the host's other addresses" cannot pings alice one 198.51.100.1
check "with --nat a guest reaches the world" pings alice one 203.0.113.7
check "but no private address of it" cannot pings alice one 10.77.0.1
check "without it does not" cannot pings alice two 203.0.113.7
# The same by IPv6, where a guest was made with it.
six() { as "$1" banger vm show "$2" --json | jq -r .address6; }
one6=$(six alice one) two6=$(six alice two) other6=$(six bob other)
contains "who makes a VM hears how far its IPv6 goes" "$(cat "$WORLD/one.err")" "IPv6 ends at this host"
equal "a guest has its IPv6 address and no other" \
    "$(alice vm exec one -- ip -6 -o addr show dev eth0 | awk '{print $4}')" "$one6/118"
names=$(alice daemon status --json | jq -r .dns)
equal "IPv6: its name has that address too" "$(dig "@${names%:*}" -p "${names#*:}" +short one.vm AAAA)" "$one6"
check "IPv6: one account's guests reach each other" pings alice one "$two6"
check "IPv6: another account's guest is out of reach" cannot pings alice one "$other6"
check "IPv6: alice's host processes reach her guest" host_pings as alice ping -6 -c 1 -W 2 "$one6"
check "IPv6: bob's do not" cannot host_pings as bob ping -6 -c 1 -W 2 "$one6"
check "IPv6: a guest does not reach the host" cannot pings alice one "${one6%:*}:1"
ip -n world -6 addr add fe80::1/64 dev w0 nodad
ip -n world -6 addr add 2a02:2e8:1::1/64 dev w0 nodad
ip -n world -6 addr add 2a02:2e8:7::7/128 dev lo nodad
ip -6 addr add 2a02:2e8:1::2/64 dev up0 nodad
ip -6 route add default via fe80::1 dev up0
check "IPv6: no way out of a host that forwards none" cannot pings alice one 2a02:2e8:7::7
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
check "IPv6: with --nat a guest reaches the world where the host forwards" pings alice one 2a02:2e8:7::7
check "IPv6: but no neighbour of the host" cannot pings alice one 2a02:2e8:1::1
check "IPv6: without it does not" cannot pings alice two 2a02:2e8:7::7
check "IPv6: the world does not reach a guest" cannot host_pings ip netns exec world ping -6 -c 1 -W 2 "$one6"
echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
capture alice vm set one --no-ipv6
contains "IPv6: it stays while a VM runs" "$err" "VM one is running"
# What Docker makes of FORWARD, and what doctor says to do about it, in nft's words.
nft 'table ip filter { chain DOCKER-USER { }; chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }; }'
check "a FORWARD policy like Docker's cuts a guest off" cannot pings alice one 203.0.113.7
bridge=$(printf 'bgr%08x' "$(id -u alice)")
nft insert rule ip filter DOCKER-USER iifname "$bridge" accept
nft insert rule ip filter DOCKER-USER oifname "$bridge" ct state related,established accept
check "with doctor's two rules it is out again" pings alice one 203.0.113.7
check "and reaches no private address all the same" cannot pings alice one 10.77.0.1
nft delete table ip filter
alice vm set two --nat >/dev/null
check "vm set --nat opens the way of one that runs" pings alice two 203.0.113.7
alice vm set two --no-nat >/dev/null
check "vm set --no-nat closes it" cannot pings alice two 203.0.113.7
check "the world does not reach a guest" cannot host_pings ip netns exec world ping -c 1 -W 2 "$one"
equal "forwarding is not switched on host-wide" "$(cat /proc/sys/net/ipv4/conf/default/forwarding)" 0
check "alice's host processes reach her guest" host_pings as alice ping -c 1 -W 2 "$one"
check "bob's do not" cannot host_pings as bob ping -c 1 -W 2 "$one"
# The rules are gone and with them every helper that knew them: the engine's next one is
# told again what each guest may reach.
kill_helper() { ps -u alice -o pid=,comm= | awk '$2 == "banger-helper" {print $1}' | xargs kill -9 2>/dev/null; }
kill_helper
nft flush ruleset
alice vm list >/dev/null
check "helper killed and rules flushed: a guest with --nat reaches the world again" until_true 15 pings alice one 203.0.113.7
check "and no private address of it" cannot pings alice one 10.77.0.1
check "a guest without does not" cannot pings alice two 203.0.113.7
check "nor does one reach the host" cannot pings alice two "$gateway"
alice vm delete -f two >/dev/null
engine=$(alice daemon status --json | jq -r .pid)
kill_helper
kill -9 "$engine"
nft flush ruleset
check "the same with the engine killed too" until_true 20 pings alice one 203.0.113.7
alice vm create --name two --memory 512M >/dev/null 2>&1
check "a new guest in a used place does not reach it" cannot pings alice two 203.0.113.7
check "but its sister" pings alice two "$one"
two=$(address alice two)
check "and its sister it" pings alice one "$two"
equal "a VM that did not ask has no IPv6 address" "$(alice vm show two --json | jq -c '[.ipv6, .address6]')" "[false,null]"
alice vm exec one -- sh -c 'ip addr add 172.16.3.77/22 dev eth0 2>/dev/null; ip link set eth0 address 02:62:aa:bb:cc:dd' >/dev/null 2>&1
check "a guest that changes its MAC is cut off" cannot pings alice one "$two"
alice vm delete -f one two >/dev/null
bob vm delete -f other >/dev/null
check "alice has nothing left" until_true 10 nothing_left alice
check "bob has nothing left" until_true 10 nothing_left bob
ip netns del world
