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

# It tells of a list that it could not fetch only when asked to, and goes on with those that it has. Its progress
# is for a terminal's owner.
apt_install() {
    apt-get -o APT::Update::Error-Mode=any update ||
        hint='; it did not reach all of its sources, and a guest without --nat reaches none'
    DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"
}

install_packages() {
    hint='; a guest reaches package mirrors with --nat'
    with=$(manager) ||
        die 'this image has no package manager that banger knows (apt, apk, xbps, dnf, microdnf, yum, zypper, pacman): use an image that has one, or what you need'
    case $with in
    apt-get)
        hint=
        apt_install "$@"
        ;;
    apk) apk add --no-cache "$@" ;;
    xbps-install) xbps-install -Sy "$@" ;;
    dnf | microdnf | yum) "$with" -y install "$@" ;;
    zypper) zypper --non-interactive install "$@" ;;
    pacman) pacman -Sy --noconfirm --needed "$@" ;;
    esac < /dev/null || die "$with could not install $*: it says why above$hint"
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

# service NAME COMMAND...: NAME runs now (anew, where $again is set) and after each boot; COMMAND starts it where no
# init does, and returns.
again=
service() {
    name=$1
    shift
    case $(init_name) in
    systemd)
        systemctl enable "$name" || return 1
        for try in 1 2 3 4 5 6 7 8 9 10; do # it may still be booting
            systemctl "${again:+re}start" "$name" && return 0
            [ "$try" -lt 10 ] && sleep 3
        done
        return 1
        ;;
    openrc) rc-update add "$name" default && rc-service "$name" "${again:+re}start" ;;
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
