#!/bin/sh
# Packs a vmlinux into a bzImage as the kernel's build does (scripts/Makefile.lib,
# arch/x86/boot): pack.sh FORMAT VMLINUX OUT [LEVEL [RELEASE]]
# FORMAT: gzip bzip2 lzma xz lzo lz4 zstd. LEVEL: the compressor's, default the build's own.
# RELEASE: the kernel's, that its modules are of.
set -eu
format=$1 vmlinux=$2 out=$3 level=${4:-} release=${5:-6.1.0-packed}
case $format in
gzip) gzip -n -f "-${level:-9}" -c "$vmlinux" ;;
bzip2) bzip2 "-${level:-9}" -c "$vmlinux" ;;
lzma) xz --format=lzma "-${level:-9}" -c "$vmlinux" ;;
xz) xz --check=crc32 --x86 "--lzma2=preset=${level:-6},dict=32MiB" -c "$vmlinux" ;;
lzo) lzop "-${level:-9}" -c "$vmlinux" ;;
lz4) lz4 -q -l "-${level:-9}" - - <"$vmlinux" ;;
zstd) zstd -q "-${level:-22}" --ultra -c - <"$vmlinux" ;;
esac >"$out.payload"
python3 - "$format" "$vmlinux" "$out" "$release" <<'PY'
import os, struct, sys
format, vmlinux, out, release = sys.argv[1:]
payload = open(out + ".payload", "rb").read()
if format != "gzip":  # gzip ends with the size itself
    payload += struct.pack("<I", os.path.getsize(vmlinux))
setup = bytearray(2 * 512)
setup[0:2] = b"MZ"  # an EFI stub begins so
setup[0x1f1] = 1  # sectors after the boot sector
struct.pack_into("<H", setup, 0x1fe, 0xaa55)
setup[0x202:0x206] = b"HdrS"
struct.pack_into("<H", setup, 0x206, 0x020f)  # protocol
struct.pack_into("<H", setup, 0x20e, 0x100)  # version text, less 0x200
text = release.encode() + b" (somebody) #1\0\0"
setup[0x300:0x300 + len(text)] = text
struct.pack_into("<II", setup, 0x248, 100, len(payload))
open(out, "wb").write(bytes(setup) + bytes(100) + payload + bytes(4096))
PY
rm -f "$out.payload"
