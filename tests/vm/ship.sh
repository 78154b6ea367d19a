#!/bin/bash
# Packs what the guests get, on the host: ship.sh FOLDER
#   FOLDER/ship.tar       this tree's programs, tests (with the programs they compile:
#                         record.sh) and the Debian package
#   FOLDER/inner.tar.zst  alice's image and kernel, for the guest's own guests
# Inside tests/world.sh, after tests/e2e/setup.sh.
set -eu
cd "$(dirname "$0")/../.."
out=$1
guest=build/jail-guest
nsenter --net="$WORLD_HOST_NET" tests/netns/guest/make.sh "$guest" >build/jail-guest.log 2>&1 || { cat build/jail-guest.log; exit 1; }
rm -rf build/vm
tests/world.sh tests/vm/record.sh build/vm/prebuilt

paths=(.make docs policy guest/images tests Makefile unpriv/dns/route-names unpriv/dns/banger-names.service.in build/vm "$guest/vmlinux" "$guest/initrd" build/banger_*.deb)
mapfile -t -O ${#paths[@]} paths < <(find build -maxdepth 1 -type f -perm -u+x -name 'banger*' ! -name '*.deb')
if [ -n "${COVERAGE:-}" ]; then # the counted helper in place of the other
    paths+=(build/coverage/{banger-helper,counters})
    tar cf "$out/ship.tar" --exclude build/banger-helper --transform 's,^build/coverage/banger-helper$,build/banger-helper,' "${paths[@]}"
else
    tar cf "$out/ship.tar" "${paths[@]}"
fi

# The kernel's initramfs must hold this build's agent: made again from its kept package.
runuser -u alice -- env -i HOME=/home/alice PATH=/usr/local/bin:/usr/bin:/bin sh -ec '
    cd
    banger kernel import debian-cloud --quiet --force --from .cache/banger/kernels/debian-cloud
    banger daemon stop'
tar cC /home/alice --zstd -Sf "$out/inner.tar.zst" .local/state/banger/images .local/state/banger/kernels .local/state/banger/banger.db
