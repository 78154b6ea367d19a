#!/bin/bash
# The Debian package of a build made with PREFIX=/usr.
# Usage: .make/deb/build.sh BUILD-DIR VERSION OUT.deb
# Everything in it follows from the commit: the same commit gives the same bytes.
set -eu
build=$1 version=$2 out=$3
cd "$(dirname "$0")/../.."
here=.make/deb
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH
root=$build/root
rm -rf "$root"
mkdir -p "$root/DEBIAN" "$root/usr/share/doc/banger" "$root/usr/share/lintian/overrides"
chmod -R u=rwX,go=rX "$root"

DESTDIR=$PWD/$root PREFIX=/usr BUILD=$build .make/install.sh install
mapfile -t programs < <(grep -laP '\A\x7fELF' "$root/usr/bin/"* "$root/usr/libexec/banger/"*) # not the scripts
strip --strip-unneeded --remove-section=.comment --remove-section=.note "${programs[@]}"

install -m 0644 $here/copyright "$root/usr/share/doc/banger/copyright"
install -m 0644 $here/lintian-overrides "$root/usr/share/lintian/overrides/banger"
sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$(date -u -R -d "@$SOURCE_DATE_EPOCH")/" $here/changelog |
    gzip -9n > "$root/usr/share/doc/banger/changelog.gz"
find "$root/usr/share/man" -type f -exec gzip -9n {} + 2>/dev/null || true

# The scripts carry what they share with install.sh: when the last one runs the
# package's files are gone.
for script in postinst prerm postrm; do
    {
        sed -n '1p' $here/$script
        echo 'PREFIX=/usr POLICY=/etc/banger/policy.conf'
        cat .make/setup.sh
        sed '1d' $here/$script
    } > "$root/DEBIAN/$script"
    chmod 0755 "$root/DEBIAN/$script"
done
if [ -d "$root/etc" ]; then
    (cd "$root" && find etc -type f -printf '/%p\n' | LC_ALL=C sort) > "$root/DEBIAN/conffiles"
fi

# dpkg-shlibdeps wants to stand beside a debian/control.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debian"
printf 'Source: banger\n\nPackage: banger\nArchitecture: amd64\n' > "$work/debian/control"
libraries=$(for p in "${programs[@]}"; do realpath "$p"; done | (cd "$work" && xargs dpkg-shlibdeps -O 2> "$work/warnings")) ||
    { cat "$work/warnings" >&2; exit 1; }
packages() { sed -n "s/^$1 //p" .make/packages | paste -sd, | sed 's/,/, /g'; }
sed -e "s/@VERSION@/$version/" -e "s/@LIBRARIES@/${libraries#shlibs:Depends=}/" -e "s/@RUN@/$(packages run)/" \
    -e "s/@RECOMMEND@/$(packages recommend)/" \
    -e "s/@SIZE@/$(du -k --apparent-size -s --exclude=DEBIAN "$root" | cut -f1)/" $here/control > "$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
chmod 0644 "$root/DEBIAN/"{control,md5sums} "$root/DEBIAN/conffiles" 2>/dev/null || true
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$out" > /dev/null
rm -rf "$root"
echo "$out"
