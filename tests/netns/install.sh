#!/bin/bash
# make install and make uninstall: what they set is what stat and getcap find, what cannot
# be right is refused in one sentence, and what goes leaves nothing behind.
#   tests/world.sh tests/netns/install.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
: "${WORLD:?run it inside tests/world.sh}"
caps=cap_net_admin,cap_sys_admin,cap_mknod=p
helper=/usr/local/libexec/banger/banger-helper
policy=/etc/banger/policy.conf
account=ines
useradd --uid 1531 --create-home $account

run() {
    out=$("$@" 2>&1)
    status=$?
    err=$out
}
tree() { find /usr/local /etc -xdev \( -path '/etc/*-' -o -name .pwd.lock -o -name '*shadow' -o -name ld.so.cache \) -prune -o -printf '%p %M %u:%g\n' | sort; }
# What the kernel has of ours.
objects() {
    ip -o link | grep -oE '^[0-9]+: (bgr|bt)[0-9a-f]+'
    nft list tables | grep -w banger
    cat /sys/block/dm-*/dm/name 2>/dev/null | grep '^banger-'
    losetup --list --noheadings --output BACK-FILE | grep "$WORLD"
}
processes() { readlink /proc/[0-9]*/exe | grep -E '/(banger[a-z-]*|qemu-system-x86_64)( \(deleted\))?$'; }

run make -s uninstall
equal "uninstall" $status 0
before=$(tree)
check "no group is left" test -z "$(getent group banger)"

# --- install ----------------------------------------------------------------------
run make -s install
equal "install says nothing" "$status$out" 0
for program in bin/banger bin/bangerd libexec/banger/banger-{jail,import,agent} libexec/banger; do
    equal "$program is root's" "$(stat -c '%U:%G %a' /usr/local/$program)" "root:root 755"
done
equal "the helper is the group's" "$(stat -c '%U:%G %a' $helper)" "root:banger 750"
equal "its capabilities" "$(getcap $helper)" "$helper $caps"
equal "nothing else has any" "$(getcap -r /usr/local /etc | wc -l)" 1
equal "the log folder" "$(stat -c '%U:%G %a' /var/log/banger)" "root:root 700"
equal "the policy" "$(stat -c '%U:%G %a' $policy /etc/banger | paste -sd' ')" "root:root 644 root:root 755"
check "the policy names the group" grep -q "^allow gid $(getent group banger | cut -d: -f3) " $policy
equal "nothing anyone may write" "$(find /usr/local/bin/banger* /usr/local/libexec/banger /usr/local/share/banger -perm /022 ! -type l)" ""
echo "deny uid 4242" >> $policy
was=$(cat $policy)
run make -s install
equal "again: the policy is the administrator's" "$(cat $policy)" "$was"

# --- what is wrong is found, and mended ---------------------------------------------------
usermod --append --groups banger $account
doctor() { runuser -u $account -- env -i HOME=/home/$account PATH=/usr/local/bin:/usr/bin:/bin banger doctor --json | jq -r ".checks[] | select(.name == \"$1\") | .status + \" \" + .text" | head -n 1; }
# mends NAME CHECK TEXT COMMAND...: doctor finds it, make install mends it.
mends() {
    local name=$1 which=$2 text=$3
    shift 3
    "$@"
    contains "doctor finds $name" "$(doctor "$which")" "$text"
    run make -s install
    equal "make install mends it" "$status $(stat -c '%U:%G %a' $helper) $(getcap $helper)" "0 root:banger 750 $helper $caps"
}
mends "a mode" helper "mode 0755 instead of 0750" chmod 755 $helper
mends "a set-id bit" helper "mode 4750 instead of 0750" chmod 4750 $helper
mends "an owner" helper "not root:banger" chown $account $helper
mends "no capabilities" helper "missing or wrong" setcap -r $helper
mends "one capability too many" helper "missing or wrong" setcap ${caps%=p},cap_setuid=p $helper
mends "effective capabilities" helper "missing or wrong" setcap ${caps%=p}=ep $helper
contains "doctor is content then" "$(doctor helper)" "PASS"
chmod g+w $policy
contains "doctor finds a policy that others may write" "$(doctor policy)" "FAIL"
run make -s install
contains "make install says so, and leaves it" "$status $out $(stat -c %a $policy)" "not root's alone"
chmod g-w $policy

# --- where it cannot be right ---------------------------------------------------------------
run make -s uninstall
equal "uninstalled: nothing that was not there before" "$(diff <(echo "$before") <(tree))" ""
mkdir "$WORLD/fs"
# refused NAME SENTENCE TYPE OPTIONS
refused() {
    mount -t "$3" -o "$4" fs "$WORLD/fs"
    run .make/install.sh install
    contains "$1 is refused" "$status $out" "$2"
    equal "in one sentence" "$(grep -c '^banger: ' <<<"$out")" 2
    equal "and nothing stays there" "$(find "$WORLD/fs" -mindepth 1; getent group banger)" ""
    umount "$WORLD/fs"
}
export PREFIX=$WORLD/fs/banger
refused "a nosuid file system" "1 banger: $PREFIX/libexec/banger is on a file system mounted nosuid" tmpfs nosuid
refused "a noexec file system" "mounted noexec" tmpfs noexec
refused "a file system without extended attributes" "keeps no extended attributes" ramfs mode=755
unset PREFIX
run setpriv --bounding-set -setfcap make -s install
contains "a root that may not set capabilities is told so" "$status $out" "cannot give"
equal "and nothing stays" "$(diff <(echo "$before") <(tree))" ""
run setpriv --reuid $account --regid $account --clear-groups .make/install.sh install
contains "an account is refused" "$status $out" "runs as root"

# --- uninstall while an account is at work ----------------------------------------------------
run make -s install
gcc -nostdlib -static -no-pie -Wl,-Ttext=0x100000 -Wl,--build-id=none -o "$WORLD/guest" tests/netns/install_guest.S -Wl,-e,start || exit 1
make -s build/common.a || exit 1
gcc -std=gnu17 -D_GNU_SOURCE -O1 -g -Wall -Wextra '-DBANGER_LIBEXECDIR="/usr/local/libexec/banger"' "-DBANGER_POLICY=\"$policy\"" \
    -o "$WORLD/install-test" tests/netns/{install_main,jail_world}.c unpriv/vmm/{qemu,qmp,args,tsc}.c build/common.a -lcjson || exit 1
usermod --append --groups banger $account
mkdir "$WORLD/account"
chown $account: "$WORLD/account"
ip link add up0 type bridge
ip addr add 192.0.2.1/24 dev up0
ip link set up0 up
ip route add default via 192.0.2.254
"$WORLD/install-test" 1531 1531 "$WORLD/account" "$WORLD/guest" >"$WORLD/said" &
driver=$!
until_true 20 test -s "$WORLD/said"
contains "an account has a VM" "$(cat "$WORLD/said")" "up "
(cd / && runuser -u $account -- env -i HOME=/home/$account PATH=/usr/local/bin:/usr/bin:/bin banger daemon status >/dev/null)
check "its QEMU runs" pgrep -U $account qemu-system
equal "its bridge, two taps and the rules are there" "$(objects | wc -l)" 5
equal "the uplink forwards" "$(cat /proc/sys/net/ipv4/conf/up0/forwarding)" 1
run make -s uninstall
equal "uninstall goes on" $status 0
contains "it says which VM it ends" "$out" "VM vm0 of account $account still runs"
contains "and what it keeps" "$out" "kept: each account's images"
equal "no bridge, tap, rule, snapshot or loop device" "$(objects)" ""
equal "no process" "$(processes)" ""
equal "the uplink forwards no more" "$(cat /proc/sys/net/ipv4/conf/up0/forwarding)" 0
equal "no group" "$(getent group banger)" ""
equal "no file" "$(diff <(echo "$before") <(tree))" ""
check "the VM's disk stays" test -s "$WORLD/account/000/root.img"
kill $driver 2>/dev/null
wait $driver 2>/dev/null
run make -s uninstall
equal "uninstall again has nothing to do" $status 0

# --- another PREFIX -------------------------------------------------------------------------------
elsewhere=(BUILD="$WORLD/build" PREFIX=/usr/local/else/where)
run make -s -j2 "${elsewhere[@]}" install
equal "another PREFIX" "$status$out" 0
equal "the helper is there" "$(getcap -r /usr/local)" "/usr/local/else/where/libexec/banger/banger-helper $caps"
usermod --append --groups banger $account
equal "and the programs know it" "$(runuser -u $account -- env -i HOME=/home/$account PATH=/usr/bin:/bin \
    /usr/local/else/where/bin/banger doctor --json | jq -r '[.checks[] | select(.name == "helper") | .status] | join(" ")')" "PASS PASS"
run make -s "${elsewhere[@]}" uninstall
find /usr/local/else -depth -type d -empty -delete
equal "it leaves nothing either" "$status$(processes)$(diff <(echo "$before") <(tree))" 0
summary
