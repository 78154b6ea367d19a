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

cannot() { ! patience=3 "$@"; }
in_guest() { as alice banger vm exec box -- "$@"; }
# Debian's image has no curl: the shell's own TCP says as much.
reaches() { in_guest timeout "${patience:-10}" bash -c "exec 3<>/dev/tcp/$1/80 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && grep -q hello <&3" 2>/dev/null; }

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

# --- names ------------------------------------------------------------------------------
# The host's name server: a real one beyond the uplink, of short-lived names.
hosts=$WORLD/names
cat >"$hosts" <<END
203.0.113.7 www.example.org cdn.example.org
203.0.113.8 other.example.org
10.77.0.1 inside.example.org
127.0.0.1 loop.example.org
198.51.100.1 host.example.org
169.254.169.254 meta.example.org
203.0.113.9 half.example.org
10.77.0.1 half.example.org
2001:db8::7 www.example.org
END
ip netns exec world dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --addn-hosts="$hosts" \
    --local-ttl=2 --listen-address=198.51.100.2 --bind-interfaces --cname=alias.example.org,www.example.org \
    --txt-record=www.example.org,hello --local=/example.org/ --pid-file= 2>"$WORLD/dnsmasq.log" &
dnsmasq=$!
echo "nameserver 198.51.100.2" >/etc/resolv.conf
addresses() { in_guest getent ahostsv4 "$1" 2>/dev/null | awk '{print $1}' | sort -u | tr '\n' ' '; }
listed() { nft -j list set inet banger listed | grep -c "$1"; }
open_now() { [ "$(listed "$1")" != 0 ]; }
listed_both() { open_now 203.0.113.7 && open_now 203.0.113.8; }
none_open() { ! open_now '203\.0\.113'; }

capture alice vm create --name box --memory 512M --egress 'allow=www.example.org,alias.example.org,cdn.example.org,inside.example.org,loop.example.org,host.example.org,meta.example.org,half.example.org'
equal "a VM with names" "$status" 0
check "an address that no lookup has opened is closed" cannot reaches 203.0.113.7
equal "a name of the list is looked up" "$(addresses www.example.org)" "203.0.113.7 "
check "and reached" reaches www.example.org
check "its address, for a time, not for ever" grep -q timeout <<<"$(nft list set inet banger listed | grep 203.0.113.7)"
equal "an alias of it stands for the same" "$(addresses alias.example.org)" "203.0.113.7 "
equal "a name that is not listed does not exist" "$(addresses other.example.org)" ""
check "nor is its address open" cannot reaches 203.0.113.8
for name in inside loop host meta; do
    equal "$name.example.org, which stands for a local address, has none" "$(addresses $name.example.org)" ""
done
equal "of several addresses the public ones are told" "$(addresses half.example.org)" "203.0.113.9 "
equal "none of the others was opened" "$(listed '10.77.0.1\|127.0.0.1\|198.51.100.1\|169.254')" 0
equal "nothing of IPv6 is told" "$(in_guest getent ahostsv6 www.example.org | grep -v ::ffff:)" ""
sed -i 's/203.0.113.7 www.example.org cdn.example.org/203.0.113.8 www.example.org cdn.example.org/' "$hosts"
kill -HUP $dnsmasq
equal "a name whose address has changed (CDN) has the new one" "$(addresses www.example.org)" "203.0.113.8 "
check "which is reached" reaches www.example.org
check "as the old one still is" reaches 203.0.113.7
equal "the account's own VMs have names" "$(addresses box.vm)" "$(alice vm show box --json | jq -r .address) "
shown=$(alice vm egress box --json)
equal "vm egress tells what was allowed" "$(jq -r '[.asked[] | select(.allowed) | .name] | unique | join(" ")' <<<"$shown")" "alias.example.org box.vm half.example.org www.example.org"
equal "and what was not" "$(jq -r '[.asked[] | select(.allowed | not) | .name] | unique | join(" ")' <<<"$shown")" "host.example.org inside.example.org loop.example.org meta.example.org other.example.org"
equal "and how often" "$(jq -r '.lookups | (.allowed > 3) and (.refused > 4) and .dropped == 0' <<<"$shown")" true
contains "metrics count the same" "$(alice metrics)" "banger_vm_lookups_total{vm=\"box\",id=\"$(alice vm show box --json | jq -r .id)\",decision=\"refused\"} $(jq .lookups.refused <<<"$shown")"
contains "and a list that would allow it" "$(jq -r .allow_asked <<<"$shown")" ",other.example.org"
check "the list can be given as it is" alice vm set box --egress "$(jq -r .allow_asked <<<"$shown")"
equal "and does what it says" "$(addresses other.example.org)" "203.0.113.8 "

# A name server of the guest's own, beside the agent's. own ADDRESS OPTIONS: it has port 53 while a name is looked up.
# shellcheck disable=SC2016
own() { in_guest perl -MIO::Socket::INET -e 'my ($at, $reuse, @held) = @ARGV; for my $p ("udp", "tcp") { push @held, IO::Socket::INET->new(LocalAddr => "$at:53", Proto => $p, ReusePort => $reuse, $p eq "tcp" ? (Listen => 5) : ()) or die "$p: $@" } system("getent ahostsv4 www.example.org")' "$@" 2>&1 | awk 'NR == 1 {print $1}'; }
equal "a guest can have a name server of its own at 127.0.0.1" "$(own 127.0.0.1 0)" 203.0.113.8
equal "and at all addresses" "$(own 0.0.0.0 1)" 203.0.113.8

# The engine dies: rules and names go on.
engine=$(alice daemon status --json | jq -r .pid)
kill -9 "$engine"
alice vm list >/dev/null
check "after the engine's death an open address is open" reaches 203.0.113.8
check "and names are answered" until_true 15 reaches www.example.org
contains "what was asked before is known" "$(alice vm egress box --json | jq -r '[.asked[].name] | join(" ")')" inside.example.org
alice vm set box --egress nat
equal "nat: any name" "$(addresses other.example.org)" "203.0.113.8 "
check "and any address" reaches 203.0.113.7
alice vm set box --egress none
equal "none: no name" "$(addresses www.example.org)" ""
check "and no address" cannot reaches 203.0.113.7
equal "but the account's own VMs" "$(addresses box.vm)" "$(alice vm show box --json | jq -r .address) "

# IPv6: a guest that has given itself an address gets no frame past its own tap.
alice vm set box --egress nat
uid=$(printf %08x "$(id -u alice)")
tap=$(ip -o link | grep -oE "bt$uid[0-9a-f]{3}" | head -n 1)
frames() { python3 tests/egress/frames.py 6 "$tap" "bgr$uid" up0; }
frames >"$WORLD/frames" &
sniffer=$!
sleep 1
in_guest sh -c 'ip link set eth0 up; echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip -6 addr add 2001:db8::2/64 dev eth0 nodad; ip -6 route add default via 2001:db8::1
    ping -6 -c 2 -W 1 2001:db8::1; ping -6 -c 2 -W 1 ff02::1%eth0; ping -6 -c 1 -W 1 2001:db8:1::1' >/dev/null 2>&1
wait $sniffer
check "the guest sends IPv6 frames" test "$(awk -v i="$tap" '$1 == i {print $2}' "$WORLD/frames")" -gt 0
equal "none is on the bridge or the uplink" "$(awk -v i="$tap" '$1 != i {n += $2} END {print n + 0}' "$WORLD/frames")" 0

# Floods and garbage from a guest: the link goes on, and so do names.
alice vm set box --egress 'allow=www.example.org'
alice vm exec box -- timeout 4 bash -c 'exec 3<>/dev/udp/127.0.0.42/53; while :; do printf "%s" "$RANDOM-garbage-$RANDOM" >&3; printf "\022\064\001\000\000\001\000\000\000\000\000\000\003www\007example\003org\000\000\001\000\001" >&3; done' 2>/dev/null &
flood=$!
sleep 1
check "while a guest floods its resolver commands run" in_guest true
wait $flood
check "what was dropped of it is counted" test "$(alice vm egress box --json | jq .lookups.dropped)" -gt 10
check "and names are answered after it" until_true 15 reaches www.example.org

# Connections that live long: a daemon with which an address ends 6 s after its lookup, a name is looked up again each
# second, and that for 15 s after the guest has asked for it last.
programs=${BUILD:-build}
daemon() { alice daemon stop >/dev/null && install -m 0755 "$programs/$1" /usr/local/bin/bangerd; }
make -s "BUILD=$programs" "$programs/bangerd-brief"
daemon bangerd-brief
ip netns exec world python3 - <<'PY' &
import socket, threading, time
def speak(s):
    try:
        while True:
            s.sendall(b"tick\n")
            time.sleep(0.5)
    except OSError:
        pass
listener = socket.create_server(("", 81))
while True:
    threading.Thread(target=speak, args=(listener.accept()[0],), daemon=True).start()
PY
ticker=$!
ticks() { ip netns exec world ss -lnt | grep -q ':81 '; }
until_true 20 ticks
printf '203.0.113.7 www.example.org\n203.0.113.8 other.example.org\n' >"$hosts"
kill -HUP $dnsmasq
alice vm set box --egress 'allow=www.example.org,other.example.org'
check "another daemon answers for names" until_true 15 reaches www.example.org
# lives NAME: how many seconds a connection to it could be read from.
lives() { in_guest bash -c "exec 3<>/dev/tcp/$1/81 || exit; SECONDS=0; while read -r -t 3 <&3; do end=\$SECONDS; done; echo \$end"; }
lives www.example.org >"$WORLD/www-lived" &
www=$!
lives other.example.org >"$WORLD/other-lived" &
other=$!
check "both names' addresses are open" until_true 10 listed_both
sed -i 's/203.0.113.8/203.0.113.9/' "$hosts"
kill -HUP $dnsmasq
check "what a name stands for now is open though the guest has not asked again" until_true 10 open_now 203.0.113.9
wait $other
check "a connection to what it stands for no longer ends" test "$(cat "$WORLD/other-lived")" -lt 14
wait $www
check "one whose name stands for it lives on" test "$(cat "$WORLD/www-lived")" -ge 13
check "but not for ever without a lookup" test "$(cat "$WORLD/www-lived")" -lt 40
check "and then nothing is open" until_true 20 none_open
kill $ticker
daemon bangerd

alice vm delete -f box >/dev/null
check "nothing of it is left" until_true 10 nothing_left alice
kill $web $dnsmasq
ip netns del world
