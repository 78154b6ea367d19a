#!/bin/bash
# .vm through a real systemd-resolved, as banger-names.service sets it up; and that whoever takes the DNS
# port, while banger is not there, can lie about .vm and about nothing else.
#   tests/world.sh tests/netns/names.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
: "${WORLD:?run it inside tests/world.sh}"

# Out of its package, not installed: that would change this machine's own resolver.
mkdir "$WORLD/packages"
(cd "$WORLD/packages" && nsenter --net="$WORLD_HOST_NET" apt-get -q download systemd systemd-resolved >apt.log 2>&1 &&
    for package in *.deb; do dpkg-deb -x "$package" root; done)
root=$WORLD/packages/root
[ -x "$root/lib/systemd/systemd-resolved" ] || { not_ok "systemd-resolved's package" "$(cat "$WORLD/packages/apt.log")"; summary; exit 1; }
libraries=$root/usr/lib/x86_64-linux-gnu/systemd:$root/lib/x86_64-linux-gnu/systemd
cat >/usr/local/bin/resolvectl <<END
#!/bin/sh
LD_LIBRARY_PATH=$libraries exec $root/usr/bin/resolvectl "\$@"
END
chmod 755 /usr/local/bin/resolvectl
chmod 755 "$WORLD/packages"
id systemd-resolve >/dev/null 2>&1 || useradd --system systemd-resolve
cp "$root/usr/share/dbus-1/system.d/org.freedesktop.resolve1.conf" /etc/dbus-1/system.d/
install -d -o systemd-resolve -g systemd-resolve /run/systemd/resolve
mkdir -p /run/dbus
dbus-daemon --system --fork --print-pid >"$WORLD/dbus.pid"

useradd --uid 1551 --create-home --groups banger ann
useradd --uid 1552 --create-home eve
sed -i 's/^pool .*/pool 172.16.0.0\/12 1551/' /etc/banger/policy.conf
ann() { (cd / && exec runuser -u ann -- env -i HOME=/home/ann PATH=/usr/local/bin:/usr/bin:/bin banger "$@"); }
ann daemon status >/dev/null

# An uplink with a server that knows the Internet: example.org, and that there is nothing else.
ip link add up0 type veth peer name up1
ip addr add 198.51.100.1/24 dev up0
ip addr add 198.51.100.53/32 dev lo
ip link set up1 up
ip link set up0 up
ip route add default via 198.51.100.2
serve() { dnsmasq --keep-in-foreground --user=root --no-hosts --no-resolv --bind-interfaces --conf-file=/dev/null --pid-file= "$@" & }
serve --listen-address=198.51.100.53 --address=/example.org/192.0.2.1 --address=/missing.example/
internet=$!
rm -f /etc/resolv.conf /etc/systemd/resolved.conf
echo 'nameserver 127.0.0.53' >/etc/resolv.conf
mkdir -p /etc/systemd
printf '[Resolve]\nLLMNR=no\nMulticastDNS=no\nFallbackDNS=\n' >/etc/systemd/resolved.conf
LD_LIBRARY_PATH=$libraries "$root/lib/systemd/systemd-resolved" >"$WORLD/resolved.log" 2>&1 &
resolved=$!
check "systemd-resolved runs" until_true 10 sh -c 'resolvectl status >/dev/null 2>&1'

# `make install` starts this by the service, where systemd is. A kernel without dummies gets a pair.
route=/usr/local/libexec/banger/route-names
check "it is a script that says how it is used" sh -c "! $route 2>/dev/null"
ip link add banger-dns type dummy 2>/dev/null || { ip link add banger-dns type veth peer name banger-peer && ip link set banger-peer up; }
mkdir "$WORLD/cut"
# shellcheck disable=SC2016 # the shim's own
printf '#!/bin/sh\n[ "$1" != "$CUT" ] && exec /usr/local/bin/resolvectl "$@"\n' >"$WORLD/cut/resolvectl"
chmod 755 "$WORLD/cut/resolvectl"
for step in domain default-route llmnr mdns dnssec dns; do
    check "cut off at $step it fails" sh -c "! CUT=$step PATH=$WORLD/cut:\$PATH $route up 2>/dev/null"
    check "and asks nobody for any name" sh -c '! resolvectl dns banger-dns | grep -q 127.0.0.1'
    resolvectl revert banger-dns
done
check "route-names up" $route up
check "a second time" $route up

asked() { dig @127.0.0.53 +tries=1 +time=4 +short "$1" 2>/dev/null; }
is() { [ "$(asked "$1")" = "$2" ]; }
names() { ann doctor --json | jq -r '.checks[] | select(.name == "names") | .status'; }
answers() { [ "$(ann daemon status --json | jq -r .dns_pid)" != 0 ]; }
for uplink in "domain up0 ~." "default-route up0 yes"; do
    resolvectl revert up0
    resolvectl dns up0 198.51.100.53
    # shellcheck disable=SC2086
    resolvectl $uplink
    ann daemon status >/dev/null
    until_true 10 answers
    check "$uplink: names in .vm are banger's" until_true 10 is _dns.vm 127.0.0.1
    equal "$uplink: doctor says so" "$(names)" PASS
    check "$uplink: others are not" until_true 5 is example.org 192.0.2.1
    contains "$uplink: what is not there" "$(dig @127.0.0.53 none.vm)" NXDOMAIN
    ann daemon stop >/dev/null
    check "$uplink: banger-dns goes with its daemon" until_true 5 sh -c '! ss -Hlntu "sport = :42069" | grep -q .'
    resolvectl flush-caches
    check "$uplink: without a daemon the others are still there" is a.example.org 192.0.2.1
    (cd / && exec setpriv --reuid eve --regid eve --clear-groups dnsmasq --keep-in-foreground --no-hosts --no-resolv --bind-interfaces \
        --conf-file=/dev/null --pid-file= --listen-address=127.0.0.1 --port=42069 '--address=/#/6.6.6.6') &
    eve=$!
    until_true 5 sh -c 'dig @127.0.0.1 -p 42069 +tries=1 +time=1 +short x | grep -q 6.6.6.6'
    resolvectl flush-caches
    check "$uplink: eve, who took the port, lies about .vm" until_true 5 is x.vm 6.6.6.6
    lies=
    for i in 1 2 3 4 5 6; do
        lies=$lies$(asked "b$i.example.org" | grep -v '^192.0.2.1$')$(asked "b$i.missing.example")
    done
    equal "$uplink: and about nothing else" "$lies" ""
    kill $eve
    wait $eve 2>/dev/null
done
check "route-names down" $route down
check "nothing is left of it" sh -c '! ip link show banger-dns 2>/dev/null'
check "a second time" $route down
kill $resolved $internet "$(cat "$WORLD/dbus.pid")"
ann daemon stop >/dev/null 2>&1
summary
