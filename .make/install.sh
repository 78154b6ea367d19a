#!/bin/sh
# Installs build/ into $DESTDIR$PREFIX. Usage: install.sh install|uninstall
# Environment: PREFIX DESTDIR BUILD POLICY. With DESTDIR (packaging) the group, the
# capabilities, the policy and the log folder are left to the package's own scripts.
set -eu
: "${PREFIX:=/usr/local}" "${DESTDIR:=}" "${BUILD:=build}" "${POLICY:=/etc/banger/policy.conf}"
cd "$(dirname "$0")/.."
. .make/setup.sh
[ -n "$DESTDIR" ] || [ "$(id -u)" -eq 0 ] || {
    echo "make $1 sets file capabilities and the group of the helper, so it runs as root; nothing else of banger does" >&2
    exit 1
}
own=$([ "$(id -u)" -ne 0 ] || echo -o root -g root)

# put MODE FILE... FOLDER, and folders DIR...: root's whatever the folder they are in says.
put() {
    mode=$1
    shift
    # shellcheck disable=SC2086
    install $own -m "$mode" "$@"
}
folders() {
    put 0755 -d "$@"
}
# fill TEMPLATE TARGET: with this installation's paths.
fill() {
    sed -e "s|@BINDIR@|$bin|g" -e "s|@DATADIR@|$data|g" -e "s|@LIBEXECDIR@|$libexec|g" -e "s|@PROFILE@|${profile##*/}|g" "$1" >"$2.new"
    chmod 0644 "$2.new"
    mv "$2.new" "$2"
}

# Under another name first: a running helper keeps its own file, and what cannot be
# right here is found before anything is replaced.
install_helper() {
    put 0700 "$BUILD/banger-helper" "$DESTDIR$helper.new"
    if [ -z "$DESTDIR" ]; then
        check_file_system "$helper.new"
        setup_group
        setup_helper "$helper.new"
    fi
    mv -f "$DESTDIR$helper.new" "$DESTDIR$helper"
}

install_files() {
    folders "$DESTDIR$bin" "$DESTDIR$libexec" "$DESTDIR$data"
    install_helper
    put 0755 "$BUILD/banger" "$BUILD/bangerd" "$DESTDIR$bin/"
    put 0755 "$BUILD/banger-jail" "$BUILD/banger-import" "$BUILD/banger-fetch" "$BUILD/banger-dns" "$BUILD/banger-metrics" "$BUILD/banger-resolve" \
        "$BUILD/banger-forward" "$BUILD/banger-agent" "$DESTDIR$libexec/"
    put 0755 unpriv/dns/route-names "$DESTDIR$libexec/"
    put 0644 policy/policy.conf.in docs/dns-routing.md "$DESTDIR$data/"
    rm -rf "$DESTDIR$data/images"
    cp -R guest/images "$DESTDIR$data/images"
    chmod -R u=rwX,go=rX "$DESTDIR$data/images"
    for page in docs/*.[1-8]; do
        folders "$DESTDIR$PREFIX/share/man/man${page##*.}"
        put 0644 "$page" "$DESTDIR$PREFIX/share/man/man${page##*.}/"
    done
    folders "$DESTDIR$PREFIX/lib/systemd/user" "$DESTDIR$PREFIX/lib/systemd/system"
    fill policy/bangerd.service.in "$DESTDIR$PREFIX/lib/systemd/user/bangerd.service"
    fill unpriv/dns/banger-names.service.in "$DESTDIR$PREFIX/lib/systemd/system/banger-names.service"
    # The profile is the package's: an installation for trying things out has none.
    [ -n "$DESTDIR" ] || return 0
    folders "$DESTDIR/etc/apparmor.d"
    fill policy/apparmor.in "$DESTDIR$profile"
}

remove_files() {
    rm -f "$DESTDIR$bin/banger" "$DESTDIR$bin/bangerd" "$DESTDIR$profile" \
        "$DESTDIR$PREFIX/lib/systemd/user/bangerd.service" "$DESTDIR$PREFIX/lib/systemd/system/banger-names.service" \
        "$DESTDIR$PREFIX/share/man/man8/banger-helper.8" "$DESTDIR$PREFIX/share/man/man5/banger-policy.5" \
        "$DESTDIR$PREFIX/share/man/man5/banger.toml.5" "$DESTDIR$PREFIX/share/man/man5/banger-catalog.5"
    rm -rf "$DESTDIR$libexec" "$DESTDIR$data"
    rmdir "$DESTDIR$PREFIX/lib/systemd/user" "$DESTDIR$PREFIX/lib/systemd/system" "$DESTDIR$PREFIX/lib/systemd" 2>/dev/null || true
}

# Nothing stays of an installation that did not come to its end, but what was there before.
undo() {
    status=$?
    [ $status -eq 0 ] && return
    rm -f "$DESTDIR$helper.new"
    [ -n "$was_there" ] || remove_files
    [ -n "$had_group" ] || ! getent group banger >/dev/null || groupdel banger
    # shellcheck disable=SC2086
    [ -z "$made" ] || rmdir $made 2>/dev/null || true
    say "nothing was installed"
}

do_install() {
    was_there=$(find "$DESTDIR$bin/banger" "$DESTDIR$libexec" -maxdepth 0 2>/dev/null || true)
    had_group=$(getent group banger || true)
    made=
    for folder in "$DESTDIR$libexec" "$DESTDIR$data" "$DESTDIR$bin"; do
        missing=
        while [ ! -e "$folder" ]; do
            missing="$missing $folder"
            folder=${folder%/*}
        done
        made="$missing $made"
    done
    trap undo EXIT
    install_files
    [ -n "$DESTDIR" ] && return
    setup_policy
    setup_logs
    setup_apparmor
    setup_names
    setup_check
}

# Removes what install wrote and made. Keeps each account's data, and the records.
do_uninstall() {
    if [ -z "$DESTDIR" ]; then
        take_down
        forget_policy_and_group
    fi
    remove_files
    [ -n "$DESTDIR" ] && return
    rmdir "$logs" 2>/dev/null || true
    echo "kept: each account's images, VMs and settings, in ~/.local/state/banger, ~/.config/banger and ~/.cache/banger"
    [ ! -d "$logs" ] || echo "kept: the records of what the helper did, in $logs"
}

"do_$1"
