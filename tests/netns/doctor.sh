#!/bin/bash
# What `banger doctor` says of the network and of names, and that its remedies are ones: the routing of
# .vm is set up with dnsmasq as it says, alone and as NetworkManager starts it.
#   tests/world.sh tests/netns/doctor.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
: "${WORLD:?run it inside tests/world.sh}"

as() {
    local account=$1
    shift
    (cd / && exec runuser -u "$account" -- env -i HOME="/home/$account" PATH=/usr/local/bin:/usr/bin:/bin "$@")
}
uid=1541
for account in ann ben; do
    useradd --uid $uid --create-home --groups banger "$account"
    uid=$((uid + 1))
done
sed -i 's/^pool .*/pool 172.16.0.0\/12 1541/' /etc/banger/policy.conf
# says ACCOUNT CHECK [FIELD]
says() { as "$1" banger doctor --json | jq -r ".checks[] | select(.name == \"$2\") | ${3:-.status + \" \" + .text}"; }
answers() { [ "$(as "$1" banger daemon status --json | jq -r .dns_pid)" != 0 ]; }
check "ann's names are answered" until_true 10 answers ann
check "and ben's" until_true 10 answers ben

# --- an installation over a daemon that runs -------------------------------------------------------
equal "the daemon" "$(says ann daemon)" "PASS bangerd answers, and is the one installed"
equal "its status, without a word" "$(as ann banger daemon status 2>&1 >/dev/null)" ""
check "make install, once more" .make/install.sh install
equal "is said to come before it" "$(says ann daemon)" "WARN bangerd and its helper were started before banger was installed anew"
contains "also in its status" "$(as ann banger daemon status 2>&1 >/dev/null)" "installed anew: run \`banger daemon stop\`"
check "its end, as doctor says" as ann banger daemon stop
equal "the next one is the one installed" "$(says ann daemon)" "PASS bangerd answers, and is the one installed"
check "ann's names are answered again" until_true 10 answers ann

# --- the way out, and the subnet -----------------------------------------------------------------
contains "no default route" "$(says ann 'way out')" "WARN there is no IPv4 default route"
ip link add up0 type veth peer name up1
ip addr add 198.51.100.1/24 dev up0
ip link set up1 up
ip link set up0 up
ip route add default via 198.51.100.2
equal "an ordinary one" "$(says ann 'way out')" "PASS guests with --nat leave by up0"
ip tuntap add tun7 mode tun
ip addr add 10.8.0.2/24 dev tun7
ip link set tun7 up
ip route add 0.0.0.0/1 dev tun7
ip route add 128.0.0.0/1 dev tun7
contains "a VPN's halves of everything" "$(says ann 'way out')" "WARN the default route is a tunnel's (tun7)"
equal "which claim no subnet" "$(says ann subnet)" "PASS nothing else has 172.16.0.0/22"
cp /etc/banger/policy.conf "$WORLD/policy"
sed -i 's/^uplink .*/uplink up9/' /etc/banger/policy.conf
contains "a way that the policy does not name" "$(says ann 'way out')" "WARN packets leave by tun7, which no uplink line"
contains "and what would" "$(says ann 'way out' .remedy)" "\`uplink tun7\`"
sed -i 's/^nat .*/nat no/' /etc/banger/policy.conf
contains "a policy without NAT" "$(says ann 'way out')" "PASS the policy has no guest reach"
cp "$WORLD/policy" /etc/banger/policy.conf
ip link delete tun7
ip route add 172.16.0.0/12 dev up0
contains "a wider route" "$(says ann subnet)" "WARN 172.16.0.0/22 is for VMs, and 172.16.0.0/12 is routed to up0"
ip route add 172.16.2.0/24 dev up0
contains "a narrower one" "$(says ann subnet)" "FAIL 172.16.0.0/22 is for VMs, but 172.16.2.0/24 is routed to up0"
contains "of another account's subnet it is none" "$(says ben subnet)" "WARN 172.16.4.0/22"
ip route delete 172.16.2.0/24
ip route delete 172.16.0.0/12
ip addr add 172.16.3.9/32 dev up0
contains "an address" "$(says ann subnet)" "FAIL 172.16.0.0/22 is for VMs, but up0 has the address 172.16.3.9"
ip addr delete 172.16.3.9/32 dev up0
equal "nothing" "$(says ann subnet)" "PASS nothing else has 172.16.0.0/22"

# --- IPv6 ----------------------------------------------------------------------------------------
contains "IPv6 on a host that forwards none" "$(says ann ipv6)" "PASS by IPv6 guests with --ipv6 reach each other, and this account them: this host"
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
contains "on one that does" "$(says ann ipv6)" "PASS guests with --ipv6 and --nat reach"
echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
contains "and where it is off" "$(says ann ipv6)" "PASS this host has IPv6 switched off"
echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6

# --- Docker --------------------------------------------------------------------------------------
contains "no Docker" "$(says ann docker)" "PASS no Docker"
ip link add docker0 type bridge
contains "Docker's bridge" "$(says ann docker)" "WARN Docker is here"
contains "and the rules that let ann's guests pass" "$(says ann docker .remedy)" "iptables -I DOCKER-USER -i bgr$(printf %08x 1541) -j ACCEPT"
ip link delete docker0

# --- names ---------------------------------------------------------------------------------------
printf 'nameserver 198.51.100.53\n' >"$WORLD/resolv.conf"
rm -f /etc/resolv.conf
cp "$WORLD/resolv.conf" /etc/resolv.conf
rm -rf /etc/dnsmasq.d /etc/dnsmasq.conf
contains "a resolver elsewhere" "$(says ann names)" "WARN this system does not ask 127.0.0.1 for names in vm"
contains "has no remedy but ssh-config" "$(says ann names .remedy)" "banger ssh-config --install"
echo 'nameserver 127.0.0.53' >/etc/resolv.conf
contains "systemd-resolved" "$(says ann names .remedy)" "systemctl enable --now banger-names"
mkdir -p /etc/dnsmasq.d
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
# follow ACCOUNT: does what doctor says, and starts dnsmasq with the ARGUMENTs instead of its service.
follow() {
    local account=$1 line file
    shift
    line=$(says "$account" names .remedy | sed -n 's/.*write `\([^`]*\)` to .*/\1/p')
    file=$(says "$account" names .remedy | sed -n 's/.*` to \([^ ]*\) and run.*/\1/p')
    mkdir -p "$(dirname "$file")"
    echo "$line" >>"$file"
    [ -z "${dnsmasq:-}" ] || { kill "$dnsmasq"; wait "$dnsmasq"; } 2>/dev/null
    dnsmasq --keep-in-foreground --user=root --no-hosts --listen-address=127.0.0.1 --bind-interfaces --no-resolv --cache-size=400 \
        --clear-on-reload --pid-file= --conf-file=/dev/null "--conf-dir=$(dirname "$file")" "$@" &
    dnsmasq=$!
}
asked() { [ "$(says "$1" names)" = "PASS this system asks $2 for names in $3" ]; }
follow ann
check "dnsmasq, as doctor says: ann's names" until_true 5 asked ann 127.0.0.1 vm
contains "ben's are others" "$(says ben names)" "WARN this system does not ask 127.42.1.1 for names in ben.vm"
follow ben
check "and ben's" until_true 5 asked ben 127.42.1.1 ben.vm
check "and still ann's" asked ann 127.0.0.1 vm
equal "dig through dnsmasq" "$(dig @127.0.0.1 +short _dns.ben.vm)" 127.42.1.1
contains "a name that is not there" "$(dig @127.0.0.1 none.vm)" NXDOMAIN
rm -rf /etc/dnsmasq.d
mkdir -p /etc/NetworkManager
printf '[main]\ndns=dnsmasq\n' >/etc/NetworkManager/NetworkManager.conf
kill "$dnsmasq" && wait "$dnsmasq" 2>/dev/null
dnsmasq=
follow ann --proxy-dnssec
check "NetworkManager's dnsmasq, as doctor says" until_true 5 asked ann 127.0.0.1 vm
check "by a file of NetworkManager's" test -s /etc/NetworkManager/dnsmasq.d/banger.conf
kill "$dnsmasq"

# --- ssh -----------------------------------------------------------------------------------------
contains "ssh-config is not there" "$(says ann ssh-config)" "PASS \`banger vm ssh\` alone"
as ann banger ssh-config --install
contains "installed" "$(says ann ssh-config)" "PASS \`ssh NAME.vm\` is set up in /home/ann/.ssh/config"
sed -i 1d /home/ann/.ssh/config
contains "broken" "$(says ann ssh-config)" "WARN /home/ann/.ssh/config: line 2 ends a part of banger's"
for account in ann ben; do
    as $account banger daemon stop >/dev/null
done
summary
