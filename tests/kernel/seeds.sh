#!/bin/bash
# Makes the fuzz targets' seeds of kernels afresh: bzImages in each compression, packages, folders, initramfs.
# Needs `make build`, and the tools of the test packages.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
small() { # BYTES OUT: a vmlinux with that much code in it
    dd if=build/banger-agent of="$work/code" bs=1 skip=40000 count="$1" status=none
    gcc -nostdlib -static -no-pie -Wl,-Ttext=0x1000000,--build-id=none,-z,max-page-size=16,-z,noseparate-code \
        -DPAYLOAD="\"$work/code\"" -o "$2" tests/kernel/vmlinux.S
    strip "$2"
}
small 3000 "$work/vmlinux"
small 40000 "$work/larger"
to=fuzz/seeds/bzimage
rm -f "$to"/*
cp "$work/vmlinux" "$to/vmlinux"
for format in gzip bzip2 lzma xz lzo lz4 zstd; do
    tests/kernel/pack.sh $format "$work/vmlinux" "$work/$format"
    head -c -4096 "$work/$format" >"$to/$format"
done
tests/kernel/pack.sh lzo "$work/larger" "$work/larger.lzo"
head -c -4096 "$work/larger.lzo" >"$to/lzo-far"
tests/kernel/pack.sh lzo "$work/larger" "$work/larger.lzo" 1
head -c -4096 "$work/larger.lzo" >"$to/lzo-fast"
head -c 3000 build/banger-agent >"$work/code"
(cat "$work/vmlinux"; head -c 9000 /dev/zero; head -c 2000 /dev/urandom) >"$work/mixed"
lzop --crc32 -c "$work/mixed" >"$to/lzo-crc"
(cat "$work/code" "$work/code"; head -c 40000 /dev/zero; cat "$work/code") | lzop -c >"$to/lzo-runs"
head -c 2000 /dev/urandom >"$work/noise"
lzop -c "$work/noise" >"$to/lzo-stored"
lzop -F -c "$work/mixed" >"$to/lzo-no-sums"
python3 - "$work" "$to" <<'PY'
import struct, sys
work, to = sys.argv[1:]
image = open(work + "/vmlinux", "rb").read()
def put(name, data): open(to + "/" + name, "wb").write(bytes(data))
def changed(source, *edits):
    data = bytearray(source)
    for at, form, value in edits: struct.pack_into(form, data, at, value)
    return data
for name, edits in {"arm64": [(18, "<H", 183)], "s390-other-end": [(5, "B", 2), (18, "<H", 0x1600)], "machine-unknown": [(18, "<H", 999)],
                    "shared": [(16, "<H", 3)], "phoff": [(32, "<Q", 2**64 - 8)]}.items():
    put("elf-" + name, changed(image, *edits))
put("efi-arm64", b"MZ" + bytes(54) + b"ARM\x64" + bytes(20))
put("efi-riscv", b"MZ" + bytes(54) + b"RSC\x05" + bytes(20))
put("efi", b"MZ" + bytes(100))
put("empty", b"")
put("text", b"no kernel at all")
phoff, = struct.unpack_from("<Q", image, 32)
for i in range(struct.unpack_from("<H", image, 56)[0]):
    kind, = struct.unpack_from("<I", image, phoff + 56 * i)
    if kind == 1: put("elf-load", changed(image, (phoff + 56 * i + 32, "<Q", 2**64 - 8)))
    if kind == 4:
        at, = struct.unpack_from("<Q", image, phoff + 56 * i + 8)
        put("elf-no-pvh", changed(image, (at + 8, "<I", 17)))
        put("elf-note-cut", changed(image, (at, "<I", 0xfffffff0)))
gzip = open(to + "/gzip", "rb").read()
zstd = open(to + "/zstd", "rb").read()
put("old", changed(gzip, (0x206, "<H", 0x207)))
put("short", gzip[:-40])
put("size-none", changed(zstd, (len(zstd) - 4, "<I", 0)))
put("format-unknown", changed(zstd, (1124, "<I", 0x11111111)))
for name in "gzip", "bzip2", "lzma", "xz", "lzo", "lz4", "zstd":
    data = open(to + "/" + name, "rb").read()
    size, = struct.unpack_from("<I", data, len(data) - 4)
    put(name + "-less", changed(data, (len(data) - 4, "<I", size - 1)))
    put(name + "-damaged", changed(data, (len(data) - 300, "<Q", 0)))
    length, = struct.unpack_from("<I", data, 0x24c)
    cut = changed(data[:1124 + length // 2], (0x24c, "<I", length // 2 + 4))
    put(name + "-cut", cut + struct.pack("<I", size))
lzo = open(to + "/lzo-runs", "rb").read()
put("lzo-cut-in-the-header", lzo[:15])
put("lzo-cut-in-the-name", lzo[:36])
put("lzo-cut-in-a-block", lzo[:-700])
first = 9 + 25 + lzo[9 + 24] + 4 + 8 + 4  # the first block's bytes: header, name, sum; sizes, sum
put("lzo-literals-beyond", changed(lzo, (first, "B", 0xff), (first - 8, ">I", 200)))
put("lzo-run-beyond", lzo[:first] + bytes(len(lzo) - first))
put("lzo-distance-beyond", changed(lzo, (first, "<I", 0xffffff12), (first + 4, "<I", 0xffffffff)))
put("lzo-filtered", changed(lzo, (9 + 6, ">I", 0x800)))
put("lzo-old", lzo[:9] + b"\x09\x30" + lzo[11:13] + b"\x01" + bytes(4) + bytes(8) + b"\0" + bytes(4) + bytes(4))
PY
xz -9 -c "$work/vmlinux" >"$to/vmlinux-xz"
(xz -9 -c "$work/vmlinux" | head -c 900) >"$to/vmlinux-xz-cut"

# Packages: a leading byte 0, then the file; else one module.
to=fuzz/seeds/package
rm -f "$to"/*
tree=$work/tree release=6.1.0-small
mkdir -p "$tree/boot" "$tree/lib/modules/$release/kernel/drivers"
cp "$work/xz" "$tree/boot/vmlinuz-$release"
printf 'kernel/fs/ext4/ext4.ko\nkernel/drivers/char/hw_random/rng-core.ko\n' >"$tree/lib/modules/$release/modules.builtin"
module() { # NAME DEPENDS [PACKER]: a module in the tree
    printf '.section .modinfo, "a"\n.asciz "license=GPL"\n.asciz "depends=%s"\n' "$2" >"$work/module.S"
    gcc -c -o "$tree/lib/modules/$release/kernel/drivers/$1.ko" "$work/module.S"
    [ -z "${3:-}" ] || "$3" -q "$tree/lib/modules/$release/kernel/drivers/$1.ko"
}
module virtio ""
module virtio_ring virtio
module virtio_mmio virtio,virtio_ring xz
module virtio_blk virtio,virtio_ring gzip
module virtio_console virtio,virtio_ring
module virtio_net virtio,virtio_ring,net-failover
module net_failover failover
module failover ""
module virtio-rng virtio,rng-core
module evdev unknown-to-us
module nouveau drm
zstd -q --rm "$tree/lib/modules/$release/kernel/drivers/virtio_console.ko"
pack() { # NAME: a seed of standard input
    (printf '\0' && cat) >"$to/$1"
}
tar --format=ustar -C "$tree" -c boot lib | head -c 60000 | pack folder
for form in gz:gzip xz:xz zst:zstd; do
    rm -rf "$work/deb"
    mkdir "$work/deb"
    echo 2.0 >"$work/deb/debian-binary"
    echo no tar >"$work/deb/control.tar.${form%:*}"
    tar -C "$tree" -c . | "${form#*:}" -c >"$work/deb/data.tar.${form%:*}"
    (cd "$work/deb" && ar rcD ../deb.ar debian-binary control.tar.* data.tar.*)
    pack "deb-${form%:*}" <"$work/deb.ar"
    rm "$work/deb.ar"
done
(cd "$work/deb" && ar rcD ../deb.ar debian-binary)
pack deb-without-data <"$work/deb.ar"
head -c 700 "$to/deb-xz" | tail -c +2 | pack deb-cut
cp "$tree/boot/vmlinuz-$release" "$tree/boot/vmlinuz-other"
tar --format=ustar -C "$tree" -c boot | pack folder-two-kernels
rm "$tree/boot/vmlinuz-other"
tar --format=ustar -C "$tree" -c lib | pack folder-no-kernel
tar --format=ustar -C "$tree" -c boot | head -c 2000 | pack folder-cut
mkdir -p "$work/usr/usr/lib/modules/$release"
cp "$work/gzip" "$work/usr/usr/lib/modules/$release/vmlinuz"
(cd "$work/usr" && tar --format=ustar -c --transform 's,^,./,' usr) | pack folder-usr
(cd "$work/usr" && tar --format=ustar -c usr | head -c 1300 && head -c 9000 /dev/zero | tr '\\0' x) | pack folder-damaged
truncate -s 200K "$work/usr/usr/lib/modules/$release/vmlinuz"
tar --format=gnu -S -C "$work/usr" -c usr | pack folder-sparse
pack image <"$work/lz4"
pack nothing </dev/null
echo x | pack text
for module in virtio_mmio.ko.xz virtio_blk.ko.gz virtio_console.ko.zst virtio.ko virtio_net.ko; do
    (printf '\3' && cat "$tree/lib/modules/$release/kernel/drivers/$module") >"$to/module-$module"
done
printf '\3' >"$to/module-none"
(printf '\3' && echo no module | xz -c) >"$to/module-xz-of-a-text"
printf '\3junk that is no module' >"$to/module-junk"
printf '\3\175ELF' >"$to/module-short"
module virtio_blk "a-name-that-is-much-longer-than-any-that-a-module-of-the-kernel-has-and-so-is-refused"
(printf '\3' && cat "$tree/lib/modules/$release/kernel/drivers/virtio_blk.ko") >"$to/module-long-name"
module virtio_blk virtio,,virtio_ring
(printf '\3' && cat "$tree/lib/modules/$release/kernel/drivers/virtio_blk.ko") >"$to/module-empty-name"
module virtio_blk .ko
(printf '\3' && cat "$tree/lib/modules/$release/kernel/drivers/virtio_blk.ko") >"$to/module-no-name"
module virtio_blk virtio_blk
(printf '\3' && cat "$tree/lib/modules/$release/kernel/drivers/virtio_blk.ko") >"$to/module-itself"
(printf '\3' && sed 's/depends=virtio_blk\x00/depends=virtio_blkX/' "$tree/lib/modules/$release/kernel/drivers/virtio_blk.ko") >"$to/module-no-end"

# Initramfs: how many modules from which on, then pieces behind their sizes.
to=fuzz/seeds/cpio
mkdir -p "$to"
rm -f "$to"/*
printf '\0\0\0\4ELF!' >"$to/agent"
printf '\3\0\0\5agent\0\1a\0\2bb\0\3ccc' >"$to/three"
printf '\31\7\0\0\0\1x' >"$to/all"
