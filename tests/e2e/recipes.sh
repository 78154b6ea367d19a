# The Alpine and Void recipes' last step on roots of the same make, out of Debian's packages:
# busybox as the userland, its init with OpenRC, or runit.
# shellcheck shell=bash

packages=$WORLD/packages
mkdir -p "$packages"
chmod 0777 "$packages"
(cd "$packages" && nsenter --net="$WORLD_HOST_NET" apt-get download openrc librc1 libeinfo1 runit runit-init) >"$WORLD/err" 2>&1
equal "packages of OpenRC and runit" "$(find "$packages" -name '*.deb' | wc -l)" 5

# base_root FOLDER PACKAGE...: busybox, a C library, and the packages' files.
base_root() {
    local root=$1
    shift
    mkdir -p "$root"/{bin,sbin,etc,lib,lib64,usr/bin,usr/sbin,var/log,root,tmp}
    for package; do
        dpkg-deb -x "$packages/${package}"_*.deb "$root"
    done
    mkdir -p "$root/lib/x86_64-linux-gnu"
    cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
    find "$root/sbin" "$root/lib/rc" "$root/lib/runit" "$root/usr/bin" -type f -perm -100 2>/dev/null | LD_LIBRARY_PATH=$root/lib/x86_64-linux-gnu xargs -r ldd 2>/dev/null |
        awk '$2 == "=>" && $3 ~ /^\// && index($3, "'"$root"'") != 1 {print $3}' | sort -u | xargs -r cp -L -t "$root/lib/x86_64-linux-gnu"
    : >"$root/etc/insserv.conf"
    cp /usr/bin/busybox "$root/bin/busybox"
    for name in $(busybox --list | grep -vx -e busybox -e init -e runsv -e runsvdir -e sv -e poweroff); do
        [ -e "$root/bin/$name" ] || [ -e "$root/sbin/$name" ] || [ -e "$root/usr/bin/$name" ] || ln -s /bin/busybox "$root/bin/$name"
    done
    echo 'root:!:19000:0:::::' >"$root/etc/shadow"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
}
keep_root() { tar -C "$2" --numeric-owner -c . | (exec runuser -u alice -- env -i HOME=/home/alice python3 "$WORLD/import.py" "$1" '{}'); }

# guest_of NAME INIT: it boots through its own init, a service of it runs, and it powers off by itself.
guest_of() {
    local guest=$1 disk before
    alice vm create --name "$guest" --image "$guest" --memory 256M >/dev/null 2>&1
    equal "$guest: vm create" "$(alice vm show "$guest" --json | jq -r .state)" running
    service_runs() { [ "$(alice vm exec "$guest" -- cat /run/service-runs 2>/dev/null)" = yes ]; }
    check "$guest: its init starts its service" until_true 60 service_runs
    equal "$guest: process 1" "$(alice vm exec "$guest" -- readlink /proc/1/exe)" "$2"
    alice vm exec "$guest" -- sh -c 'echo written >/root/file; echo written >/file'
    disk=$(state alice)/vms/$(printf %03x "$(alice vm show "$guest" --json | jq -r .slot)")
    before=$SECONDS
    alice vm stop "$guest" --grace 60 >/dev/null 2>&1
    check "$guest: it powers itself off" [ $((SECONDS - before)) -lt 25 ]
    check "$guest: root disk is clean" e2fsck -fn "$disk/root.ext4"
    check "$guest: work disk is clean" e2fsck -fn "$disk/work.ext4"
    alice vm start "$guest" >/dev/null 2>&1
    equal "$guest: what was written is there" "$(alice vm exec "$guest" -- cat /file /root/file)" "written
written"
    alice vm delete -f "$guest" >/dev/null
}

alice daemon status >/dev/null
like_alpine=$WORLD/like-alpine
base_root "$like_alpine" openrc librc1 libeinfo1
ln -s /bin/busybox "$like_alpine/sbin/init"
ln -s /bin/busybox "$like_alpine/sbin/poweroff"
cat >"$like_alpine/etc/init.d/sshd" <<'SH'
#!/sbin/openrc-run
description="stands for sshd"
start() { ebegin "service"; echo yes >/run/service-runs; eend 0; }
stop() { ebegin "service"; eend 0; }
SH
chmod 0755 "$like_alpine/etc/init.d/sshd"
check "alpine: finish" guest/images/alpine/finish "$like_alpine"
check "alpine: it is kept" keep_root like-alpine "$like_alpine"
guest_of like-alpine /bin/busybox

like_void=$WORLD/like-void
base_root "$like_void" runit runit-init
mkdir -p "$like_void/etc/sv/sshd"
printf '#!/bin/sh\necho yes >/run/service-runs\nexec sleep 1000000\n' >"$like_void/etc/sv/sshd/run"
chmod 0755 "$like_void/etc/sv/sshd/run"
check "void: finish" guest/images/void/finish "$like_void"
guest/images/guest/oci.sh "$like_void" >"$WORLD/void.tar"
chmod 0644 "$WORLD/void.tar"
check "void: as an OCI archive, which image load takes" alice image load --quiet --name like-void "$WORLD/void.tar"
guest_of like-void /sbin/runit
