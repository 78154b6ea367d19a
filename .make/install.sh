#!/bin/sh
# Installs build/ into $DESTDIR$PREFIX. Usage: install.sh install|uninstall
# Environment: PREFIX DESTDIR BUILD POLICY. With DESTDIR (packaging) the group,
# the capabilities and the policy are left to the package's own scripts.
set -eu
: "${PREFIX:=/usr/local}" "${DESTDIR:=}" "${BUILD:=build}" "${POLICY:=/etc/banger/policy.conf}"
bin=$DESTDIR$PREFIX/bin
libexec=$DESTDIR$PREFIX/libexec/banger
data=$DESTDIR$PREFIX/share/banger

need_root() {
    [ -n "$DESTDIR" ] || [ "$(id -u)" -eq 0 ] || {
        echo "make $1 sets file capabilities and the group of the helper, so it runs as root; nothing else of banger does" >&2
        exit 1
    }
}

# The helper's owner, mode and capabilities: root:banger 0750, permitted only.
helper_rights() {
    getent group banger >/dev/null || groupadd --system banger
    chown root:banger "$libexec/banger-helper"
    chmod 0750 "$libexec/banger-helper"
    setcap cap_net_admin,cap_sys_admin,cap_mknod=p "$libexec/banger-helper"
}

default_policy() {
    [ -e "$POLICY" ] && return
    install -d -m 0755 "$(dirname "$POLICY")"
    sed "s/@GID@/$(getent group banger | cut -d: -f3)/" policy/policy.conf.in >"$POLICY.new"
    chmod 0644 "$POLICY.new"
    mv "$POLICY.new" "$POLICY"
}

do_install() {
    install -d -m 0755 "$bin" "$libexec" "$data"
    install -m 0755 "$BUILD/banger" "$BUILD/bangerd" "$bin/"
    install -m 0755 "$BUILD/banger-jail" "$BUILD/banger-import" "$BUILD/banger-agent" "$libexec/"
    # In place under another name first: a running helper keeps its own file.
    install -m 0700 "$BUILD/banger-helper" "$libexec/banger-helper.new"
    mv -f "$libexec/banger-helper.new" "$libexec/banger-helper"
    rm -rf "$data/images"
    cp -R guest/images "$data/images"
    chmod -R u=rwX,go=rX "$data/images"
    [ -n "$DESTDIR" ] && return
    helper_rights
    default_policy
}

# Daemons end by SIGTERM, which leaves VMs alone; a VM ends with `banger vm stop` before.
stop_daemons() {
    for exe in /proc/[0-9]*/exe; do
        case $(readlink "$exe" 2>/dev/null) in
        "$bin/bangerd"*)
            pid=${exe#/proc/}
            kill "${pid%/exe}" 2>/dev/null || true
            ;;
        esac
    done
}

# Bridges, taps and rules of every account, by the names that only banger gives.
remove_network() {
    if command -v ip >/dev/null; then
        for link in $(ip -o link | grep -oE '\b(bgr[0-9a-f]{8}|bt[0-9a-f]{11})\b' | sort -u); do
            ip link delete "$link" 2>/dev/null || true
        done
    fi
    if command -v nft >/dev/null; then
        nft delete table inet banger 2>/dev/null || true
        nft delete table bridge banger 2>/dev/null || true
    fi
}

# Removes what install wrote. Keeps each account's data, and says where it is.
do_uninstall() {
    if [ -z "$DESTDIR" ]; then
        stop_daemons
        remove_network
    fi
    rm -f "$bin/banger" "$bin/bangerd"
    rm -rf "$libexec" "$data"
    [ -n "$DESTDIR" ] && return
    rm -f "$POLICY"
    rmdir "$(dirname "$POLICY")" 2>/dev/null || true
    ! getent group banger >/dev/null || groupdel banger
    echo "kept: each account's images, VMs and settings, in ~/.local/state/banger, ~/.config/banger and ~/.cache/banger"
}

need_root "$1"
"do_$1"
