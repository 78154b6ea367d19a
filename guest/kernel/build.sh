#!/bin/sh
# Builds the microVM kernel from Debian's kernel source package, as any account:
#
#   build.sh OUT            leaves OUT/bzImage and OUT/config
#
# SOURCE is the source's archive (default: the newest of /usr/src/linux-source-*.tar.xz,
# put there by the package), WORK the folder to build in (default OUT/work, removed at the
# end), JOBS the number of compilers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: build.sh OUT" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=${WORK:-$out/work}
# shellcheck disable=SC2012
source=${SOURCE:-$(ls -v /usr/src/linux-source-*.tar.xz 2>/dev/null | tail -n 1)}
[ -n "$source" ] && [ -r "$source" ] || {
    echo "there is no kernel source: have the administrator run \`apt-get install linux-source-6.1\`, or set SOURCE" >&2
    exit 1
}
for tool in gcc make flex bison bc zstd perl xz; do
    command -v "$tool" >/dev/null || { echo "a kernel is built with $tool, which is not here: install it" >&2; exit 1; }
done
[ -e /usr/include/gelf.h ] || { echo "a kernel is built with libelf: have libelf-dev installed" >&2; exit 1; }

# What the kernel says of itself is the same wherever, whenever and by whomever it is built.
export LC_ALL=C TZ=UTC KBUILD_BUILD_USER=banger KBUILD_BUILD_HOST=banger KBUILD_BUILD_VERSION=1
unset MAKEFLAGS MAKELEVEL MFLAGS
rm -rf "$work"
mkdir -p "$work/src" "$work/obj"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
echo "unpacking $source"
tar -xJf "$source" -C "$work/src" --strip-components=1
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$(stat -c %Y "$work/src/Makefile")")
SOURCE_DATE_EPOCH=$(stat -c %Y "$work/src/Makefile")
export KBUILD_BUILD_TIMESTAMP SOURCE_DATE_EPOCH

build() { make -C "$work/src" O="$work/obj" ARCH=x86_64 -j"${JOBS:-$(nproc)}" -s "$@"; }
build KCONFIG_ALLCONFIG="$here/config" allnoconfig
# An option that this source does not know or allow is told, and is an error.
missing=$(sed -n '/^CONFIG_.*=[^n]/p' "$here/config" | grep -vxFf "$work/obj/.config") || true
[ -z "$missing" ] || { echo "this source does not take: $missing" >&2; exit 1; }
echo "building $(build kernelrelease)"
build bzImage
cp "$work/obj/arch/x86/boot/bzImage" "$work/obj/.config" "$out/"
mv "$out/.config" "$out/config"
echo "$out/bzImage: import it with \`banger kernel import NAME --from $out/bzImage\`"
