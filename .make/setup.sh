# What an installation is beside its files, and how to check it: shared by install.sh
# and the Debian package's scripts (.make/deb/build.sh writes it into each of them).
# Needs PREFIX and POLICY.
# shellcheck shell=sh
bin=$PREFIX/bin
libexec=$PREFIX/libexec/banger
data=$PREFIX/share/banger
logs=/var/log/banger
helper=$libexec/banger-helper
helper_caps=cap_net_admin,cap_sys_admin,cap_mknod=p
# The profile's name says where the program is, so that two installations have one each.
profile=/etc/apparmor.d/$(echo "${helper#/}" | tr / .)

say() {
    echo "banger: $*" >&2
}

# A file system that ignores or loses file capabilities, found before anything is
# replaced. $1: a file on it.
check_file_system() {
    for option in $(findmnt --noheadings --output OPTIONS --target "$1" | tr , ' '); do
        case $option in
        nosuid | noexec)
            say "$libexec is on a file system mounted $option, where the helper's capabilities do not count: install with PREFIX= elsewhere, or mount it without $option"
            return 1
            ;;
        esac
    done
    setcap "$helper_caps" "$1" 2>/dev/null || true
    has_caps "$1" || {
        say "cannot give $1 its capabilities: its file system keeps no extended attributes, or this root may not set them (a container?); install with PREFIX= elsewhere"
        return 1
    }
}

has_caps() {
    [ "$(getcap "$1" 2>/dev/null)" = "$1 $helper_caps" ]
}

setup_group() {
    getent group banger >/dev/null || groupadd --system banger
}

# $1: the helper, or what will be it. In this order: chown takes capabilities away.
setup_helper() {
    chown root:banger "$1"
    chmod 0750 "$1"
    setcap "$helper_caps" "$1"
}

# The policy is the administrator's: made where there is none, never changed.
setup_policy() {
    [ -e "$POLICY" ] && return
    install -d -o root -g root -m 0755 "${POLICY%/*}"
    sed "s/@GID@/$(getent group banger | cut -d: -f3)/" "$data/policy.conf.in" >"$POLICY.new"
    chmod 0644 "$POLICY.new"
    mv "$POLICY.new" "$POLICY"
}

setup_logs() {
    install -d -o root -g root -m 0700 "$logs"
}

apparmor_is_on() {
    [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && command -v apparmor_parser >/dev/null
}
setup_apparmor() {
    [ ! -e "$profile" ] || ! apparmor_is_on || apparmor_parser --replace --write-cache "$profile" ||
        say "AppArmor did not take $profile: the helper runs without its profile"
}
remove_apparmor() {
    [ ! -e "$profile" ] || ! apparmor_is_on || apparmor_parser --remove "$profile" 2>/dev/null || true
}

# .vm names through systemd-resolved, where it runs; docs/dns-routing.md has the others.
setup_names() {
    systemctl --quiet is-active systemd-resolved 2>/dev/null || return 0
    systemctl daemon-reload && systemctl --quiet enable banger-names && systemctl restart banger-names ||
        say "systemd-resolved does not ask banger for .vm names: see \`systemctl status banger-names\`"
}
remove_names() {
    systemctl --quiet disable --now banger-names 2>/dev/null || true
    ip link delete banger-dns 2>/dev/null || true
}

# has PATH OWNER:GROUP MODE
has() {
    found=$(stat -c '%U:%G %a' "$1" 2>/dev/null) || found=missing
    [ "$found" = "$2 $3" ] || {
        say "$1 is $found, not $2 $3"
        return 1
    }
}

# Everything that an installation must be. Says all that is wrong. The policy is the
# administrator's own matter: that it will not be believed is said, and no more.
setup_check() {
    wrong=
    for file in "$bin/banger" "$bin/bangerd" "$libexec" "$libexec/banger-jail" "$libexec/banger-import" "$libexec/banger-fetch" \
        "$libexec/banger-dns" "$libexec/banger-metrics" "$libexec/banger-resolve" "$libexec/banger-forward" "$libexec/route-names" "$libexec/banger-agent"; do
        has "$file" root:root 755 || wrong=1
    done
    has "$helper" root:banger 750 || wrong=1
    has_caps "$helper" || { say "$helper has capabilities '$(getcap "$helper" | cut -d' ' -f2-)', not $helper_caps"; wrong=1; }
    has "$logs" root:root 700 || wrong=1
    for file in "${POLICY%/*}" "$POLICY"; do
        [ -n "$(find "$file" -maxdepth 0 -user root ! -perm /022 2>/dev/null)" ] || {
            say "warning: $file is missing or not root's alone, so the helper does not believe it and allows nothing"
        }
    done
    [ -z "$wrong" ]
}

# --- taking away ---------------------------------------------------------------

# Pids whose program is one of the given paths, also when the file was replaced since.
# In a jail the program has the path it has there.
pids_of() {
    for exe in /proc/[0-9]*/exe; do
        path=$(readlink "$exe" 2>/dev/null) || continue
        for wanted in "$@"; do
            case $path in "$wanted" | "$wanted.new" | "$wanted (deleted)" | "$wanted.new (deleted)")
                pid=${exe#/proc/}
                echo "${pid%/exe}"
                ;;
            esac
        done
    done
}

# one_lives PID...
one_lives() {
    for pid; do
        ! kill -0 "$pid" 2>/dev/null || return 0
    done
    return 1
}

# end_pids PID...: TERM, KILL for who is there after five seconds, and five more for the
# kernel to take them away: what they held is free afterwards.
end_pids() {
    for signal in TERM KILL; do
        for pid; do
            kill -$signal "$pid" 2>/dev/null || true
        done
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
            one_lives "$@" || return 0
            sleep 0.2
        done
    done
    say "of the processes $* one does not end: see /proc/PID/stack of it"
}

# By SIGTERM, which leaves VMs alone; the next command starts a daemon again.
stop_daemons() {
    # shellcheck disable=SC2046
    end_pids $(pids_of "$bin/bangerd" "$helper")
}

# The name in the VMM's command line, or nothing. $1: pid of its jail.
vm_name() {
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        tr '\0' '\n' <"/proc/$child/cmdline" 2>/dev/null | grep -x -A1 -e -name | sed -n 's/^banger-\([A-Za-z0-9-]*\).*/\1/p'
    done
}

# VMs end with their jails. What they run is cut off as by a power cut; their disks stay.
end_vms() {
    jails=$(pids_of "$libexec/banger-jail" /banger-jail)
    for pid in $jails; do
        name=$(vm_name "$pid")
        say "VM ${name:-of} ${name:+of }account $(stat -c %U "/proc/$pid" 2>/dev/null) still runs (pid $pid): it is ended without a shutdown; its disks stay"
    done
    # shellcheck disable=SC2086
    end_pids $jails
}

# Forwarding that NET_UP switched on for an uplink outlives the VMs. Where the host
# forwards on its own it is left alone.
stop_forwarding() {
    [ -e "$POLICY" ] && [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ] || return 0
    for uplink in $(sed -n 's/^[[:blank:]]*uplink[[:blank:]]\{1,\}\([^[:blank:]#]*\).*/\1/p' "$POLICY"); do
        [ "$uplink" != default ] || uplink=$(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
        [ ! -e "/proc/sys/net/ipv4/conf/$uplink/forwarding" ] || echo 0 >"/proc/sys/net/ipv4/conf/$uplink/forwarding"
    done
}

# What the kernel may hold of any account's, by the names that only banger gives:
# bridges, taps, rules, snapshots. Loop devices go with their snapshot.
remove_kernel_objects() {
    for name in $(ip -o link | sed -nE 's/^[0-9]+: (bgr[0-9a-f]{8}|bt[0-9a-f]{11})[:@].*/\1/p'); do
        ip link delete "$name" 2>/dev/null || ! ip link show "$name" >/dev/null 2>&1 ||
            say "cannot remove the interface $name: run \`ip link delete $name\`"
    done
    stop_forwarding
    for family in inet bridge; do
        ! nft list table $family banger >/dev/null 2>&1 || nft delete table $family banger ||
            say "cannot remove the rules: run \`nft delete table $family banger\`"
    done
    for device in /sys/block/dm-*/dm/name; do
        name=$(cat "$device" 2>/dev/null) || continue
        case $name in banger-*)
            # Without udev's word, which may never come; one that went by itself meanwhile is as good.
            timeout 20 dmsetup remove --noudevsync --retry "$name" 2>/dev/null || [ ! -e "$device" ] ||
                say "cannot remove the snapshot $name: end what has it open, then run \`dmsetup remove $name\`"
            ;;
        esac
    done
}

# In this order: whoever could make something new goes first.
take_down() {
    chmod 0 "$helper" 2>/dev/null || true
    stop_daemons
    end_vms
    remove_kernel_objects
    remove_names
    remove_apparmor
}

forget_policy_and_group() {
    rm -f "$POLICY"
    rmdir "${POLICY%/*}" 2>/dev/null || true
    ! getent group banger >/dev/null || groupdel banger
}
