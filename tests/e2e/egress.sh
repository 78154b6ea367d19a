# What a guest may reach: nothing, the Internet, or a list of addresses and names.
# shellcheck shell=bash

# The world outside: two web servers behind the uplink, and a private network.
ip netns add world
ip link add up0 type veth peer name w0 netns world
ip addr add 198.51.100.1/24 dev up0
ip link set up0 up
ip -n world addr add 198.51.100.2/24 dev w0
ip -n world link set w0 up
ip -n world link set lo up
for address in 203.0.113.7 203.0.113.8 203.0.113.9 10.77.0.1; do ip -n world addr add $address/32 dev lo; done
ip -n world route add default via 198.51.100.1
ip route add default via 198.51.100.2
mkdir -p "$WORLD/www"
echo hello >"$WORLD/www/index.html"
ip netns exec world python3 -m http.server --directory "$WORLD/www" 80 >/dev/null 2>&1 &
web=$!

cannot() { ! "$@"; }
in_guest() { as alice banger vm exec box -- "$@"; }
# Debian's image has no curl: the shell's own TCP says as much.
reaches() { in_guest timeout 3 bash -c "exec 3<>/dev/tcp/$1/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && grep -q hello <&3" 2>/dev/null; }

# --- bad lists -------------------------------------------------------------------------
said() { capture alice vm create --name bad "$@"; }
said --egress 'allow=10.1.2.3/8'
contains "a range that begins elsewhere is told how it is written" "$err" 'write 10.0.0.0/8'
equal "with the status of a wrong command line" "$status" 2
said --egress everything
contains "neither none, nat nor a list" "$err" 'it must be none, nat or allow='
said --egress 'allow=example.org' --nat
contains "both --egress and --nat" "$err" '--nat is short for --egress nat'

# --- addresses and ranges --------------------------------------------------------------
capture alice vm create --name box --memory 512M --egress 'allow=203.0.113.8,203.0.113.0/29'
equal "a VM with a list" "$status" 0
check "a range of the list is reached" reaches 203.0.113.7
check "an address of it too" reaches 203.0.113.8
check "another address is not" cannot reaches 203.0.113.9
equal "the rules are shown" "$(alice vm egress box --json | jq -r .egress)" 'allow=203.0.113.8,203.0.113.0/29'
equal "and that it has a list" "$(alice vm show box --json | jq -r .egress)" allow
alice vm set box --egress 'allow=203.0.113.9'
check "another list opens what it names while the guest runs" reaches 203.0.113.9
check "and nothing else" cannot reaches 203.0.113.7
capture alice vm set box --egress 'allow=10.77.0.1'
check "a list that the policy refuses" test "$status" -ne 0
check "changes nothing" reaches 203.0.113.9
alice vm set box --egress none
check "none closes it" cannot reaches 203.0.113.9
alice vm delete -f box >/dev/null
capture alice vm create --name box --memory 512M --egress 'allow=10.77.0.1'
contains "a private address that the policy does not allow is refused" "$err" "private"
check "and no VM is left of it" until_true 10 nothing_left alice

kill $web
ip netns del world
