#!/bin/sh
# Makes the jail test's kernel and initramfs: make.sh OUT [PACKAGE]
# OUT/vmlinux from Debian's cloud kernel package, OUT/initrd with jail_guest.c as /init.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
cd "$out"
package=${2:-$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')}
ls ./linux-image-*.deb >/dev/null 2>&1 || apt-get download -q "$package" 2>/dev/null
[ -d package ] || dpkg -x ./linux-image-*.deb package

if [ ! -e vmlinux ]; then
    image=$(ls package/boot/vmlinuz-*)
    # Linux x86 boot protocol: setup_sects at 0x1f1, payload_offset and _length at 0x248.
    sectors=$(od -An -tu1 -j 497 -N 1 "$image" | tr -d ' ')
    offset=$(od -An -tu4 -j 584 -N 4 "$image" | tr -d ' ')
    length=$(od -An -tu4 -j 588 -N 4 "$image" | tr -d ' ')
    tail -c +$(((sectors + 1) * 512 + offset + 1)) "$image" | head -c "$length" > payload
    case $(od -An -tx1 -N 4 payload | tr -d ' ') in
    02214c18) lz4 -dc payload > vmlinux.new 2>/dev/null || true ;;
    fd377a58) xz -dc payload > vmlinux.new 2>/dev/null || true ;;
    28b52ffd) zstd -dc payload > vmlinux.new 2>/dev/null || true ;;
    1f8b*) gzip -dc payload > vmlinux.new 2>/dev/null || true ;;
    esac
    rm payload
    [ "$(head -c 4 vmlinux.new | od -An -tx1 | tr -d ' ')" = 7f454c46 ]
    mv vmlinux.new vmlinux
fi

rm -rf tree && mkdir tree
${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static -s -o tree/init "$here/jail_guest.c"
modules=$(ls -d package/lib/modules/*)
: > tree/modules
for name in virtio_ring virtio virtio_mmio failover net_failover virtio_blk virtio_net virtio_console \
    rng-core virtio-rng button evdev; do
    file=$(find "$modules" -name "$name.ko" -o -name "$name.ko.xz" | head -n 1)
    case $file in
    '') continue ;;
    *.xz) xz -dc "$file" > "tree/$name.ko" ;;
    *) cp "$file" tree/ ;;
    esac
    echo "/$name.ko" >> tree/modules
done
# The newc format (Documentation/driver-api/early-userspace/buffer-format.rst): hex headers, padding to 4.
entry() { # NAME MODE SIZE [RDEV_MAJOR RDEV_MINOR]
    length=$((${#1} + 1))
    printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\0' \
        $((inode += 1)) "$2" 0 0 1 0 "$3" 0 0 "${4:-0}" "${5:-0}" "$length" 0 "$1"
    pad $((110 + length))
}
pad() {
    head -c $(((4 - $1 % 4) % 4)) /dev/zero
}
inode=0
{
    for folder in dev proc sys; do
        entry $folder 0x41ed 0
    done
    entry dev/console 0x2180 0 5 1
    for file in init modules $(cd tree && echo ./*.ko); do
        size=$(stat -c %s "tree/$file")
        entry "$file" 0x81ed "$size"
        cat "tree/$file"
        pad "$size"
    done
    entry 'TRAILER!!!' 0 0
} > initrd
