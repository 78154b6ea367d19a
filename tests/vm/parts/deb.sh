# The Debian package: installed, upgraded over itself under a running VM, removed under
# one, installed again, purged; afterwards the machine is as it was before.
# shellcheck shell=bash
helper=/usr/libexec/banger/banger-helper
package=$(echo build/banger_*.deb)

# What a machine has, without what changes by itself and the accounts' own data.
machine() {
    find / -xdev \( -path /opt -o -path /home -o -path /root -o -path /tmp -o -path /var/tmp -o -path /var/cache -o -path /var/lib/dpkg \
        -o -path /var/log/journal -o -path /var/lib/systemd \) -prune -o -printf '%p %u:%g %m\n'
    getcap -r /usr
    getent passwd
    getent group
    nft list tables
    ip -o link | sed -n 's/^[0-9]*: \([^:]*\):.*/link \1/p'
    dmsetup ls
    losetup --list --noheadings --output NAME,BACK-FILE
    sed 's/ .*//' /sys/kernel/security/apparmor/profiles
    cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding
}
right() {
    equal "$1: helper's owner and mode" "$(stat -c '%U:%G %a' $helper)" "root:banger 750"
    equal "$1: its capabilities, permitted only" "$(getcap $helper)" "$helper cap_net_admin,cap_sys_admin,cap_mknod=p"
    equal "$1: no other program of the package has any" "$(getcap -r /usr/bin /usr/libexec | grep -c banger)" 1
    equal "$1: the policy is root's alone" "$(stat -c '%U:%G %a' /etc/banger /etc/banger/policy.conf | tr '\n' ' ')" "root:root 755 root:root 644 "
    equal "$1: the audit's folder is root's alone" "$(stat -c '%U:%G %a' /var/log/banger)" "root:root 700"
    equal "$1: no set-id program" "$(dpkg -L banger | xargs stat -c '%a %F %n' 2>/dev/null | grep -E '^[2467][0-7]{3} regular')" ""
    equal "$1: dpkg finds its files unchanged" "$(dpkg --verify banger | grep -v -e ' c /etc/' -e 'missing .*/usr/share/')" ""
}
no_objects() {
    [ -z "$(ip -o link | grep -E '[ :](bgr[0-9a-f]{8}|bt[0-9a-f]{11})[:@]')$(nft list tables | grep banger)$(dmsetup ls | grep banger)$(pgrep -f 'banger-helper|bangerd|qemu-system')" ]
}

userdel_from_group() { gpasswd --delete ann banger >/dev/null 2>&1; }
userdel_from_group
dpkg --purge banger >/dev/null 2>&1
machine | sort >/tmp/before

check "install" dpkg --install "$package"
right "after install"
equal "cat, outside of the group, may not run the helper" "$(as cat $helper 2>&1 | grep -c 'ermission denied')" 1
usermod --append --groups banger ann
capture ann vm create --quiet --name kept --memory 512M
equal "ann's VM starts" "$status" 0

check "upgrade over itself" dpkg --install "$package"
right "after upgrade"
equal "the VM runs on through it" "$(ann vm exec kept -- echo alive)" alive

echo "# the administrator's own line" >>/etc/banger/policy.conf
check "remove" dpkg --remove banger
check "remove ends VMs and leaves no process, bridge, tap, rule or snapshot" until_true 20 no_objects
equal "remove keeps the policy" "$(tail -n 1 /etc/banger/policy.conf)" "# the administrator's own line"
check "install again" dpkg --install "$package"
equal "and the policy is the administrator's still" "$(tail -n 1 /etc/banger/policy.conf)" "# the administrator's own line"
right "after the second install"
usermod --append --groups banger ann
capture ann vm start kept
equal "ann's VM has its disks still" "$status" 0
userdel_from_group
check "purge" dpkg --purge banger
check "purge leaves no process, bridge, tap, rule or snapshot" until_true 20 no_objects
machine | sort >/tmp/after
equal "purge leaves the machine as it was" "$(diff /tmp/before /tmp/after)" ""

check "and for what comes next" dpkg --install "$package"
usermod --append --groups banger ann
usermod --append --groups banger ben
