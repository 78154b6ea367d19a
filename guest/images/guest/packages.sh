# Functions for what banger runs in a guest as root: the image's package manager, its init.
# shellcheck shell=sh

say() { printf 'banger: %s\n' "$1" >&2; }
die() {
    say "$1"
    exit 1
}

manager() {
    for name in apt-get apk xbps-install dnf microdnf yum zypper pacman; do
        if command -v "$name" > /dev/null 2>&1; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

install_packages() {
    with=$(manager) ||
        die 'this image has no package manager that banger knows (apt, apk, xbps, dnf, microdnf, yum, zypper, pacman): use an image that has one, or what you need'
    case $with in
    apt-get) apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" ;;
    apk) apk add --no-cache "$@" ;;
    xbps-install) xbps-install -Sy "$@" ;;
    dnf | microdnf | yum) "$with" -y install "$@" ;;
    zypper) zypper --non-interactive install "$@" ;;
    pacman) pacman -Sy --noconfirm --needed "$@" ;;
    esac < /dev/null || die "$with could not install $*: it says why above; a guest reaches package mirrors with --nat"
}

# What process 1 is: systemd, openrc, runit, or none of them.
init_name() {
    case $(cat /proc/1/comm) in
    systemd) echo systemd ;;
    banger-init) echo none ;;
    runit*) echo runit ;;
    *) if command -v rc-update > /dev/null 2>&1; then echo openrc; else echo none; fi ;;
    esac
}

# service NAME COMMAND...: NAME runs now and after each boot; COMMAND starts it where no init does.
service() {
    name=$1
    shift
    case $(init_name) in
    systemd)
        systemctl enable "$name" || return 1
        for try in 1 2 3 4 5 6 7 8 9 10; do # it may still be booting
            systemctl start "$name" && return 0
            [ "$try" -lt 10 ] && sleep 3
        done
        return 1
        ;;
    openrc) rc-update add "$name" default && rc-service "$name" start ;;
    runit)
        for folder in /etc/runit/runsvdir/default /etc/service; do
            [ ! -d "$folder" ] || ln -sfn "/etc/sv/$name" "$folder/$name"
        done
        ;;
    none)
        mkdir -p /etc/banger
        [ -e /etc/banger/boot ] || printf '#!/bin/sh\n' > /etc/banger/boot
        chmod 0755 /etc/banger/boot
        grep -qxF "$*" /etc/banger/boot || printf '%s\n' "$*" >> /etc/banger/boot
        sh -c "$*" < /dev/null > /dev/null 2>&1
        ;;
    esac
}
