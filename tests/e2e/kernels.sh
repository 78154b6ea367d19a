# Kernels: the real vmlinux in the kernel build's compressions, folders, packages, refusals;
# guests booted from an xz and a zstd bzImage.
# shellcheck shell=bash

# Debian's own kernel: its vmlinux is what `kernel pull` took out of it.
release=$(alice kernel show debian-cloud --json | jq -r .release)
mkdir "$WORLD/k"
cp "$(alice kernel show debian-cloud --json | jq -r .vmlinux)" "$WORLD/k/vmlinux"
dpkg-deb -x /home/alice/.cache/banger/kernels/debian-cloud "$WORLD/k/tree"
chmod -R a+rX "$WORLD/k"
modules=$WORLD/k/tree/lib/modules/$release
same() { cmp -s "$WORLD/k/vmlinux" "$(alice kernel show "$1" --json | jq -r .vmlinux)"; }

# A root as a distribution with packed modules leaves it; its kernel repacked.
pack_tree() { # FORMAT PACKER...
    tests/kernel/pack.sh "$1" "$WORLD/k/vmlinux" "$WORLD/k/tree/boot/vmlinuz-$release" 1 "$release"
    shift
    find "$modules" -name '*.ko' | grep -E '/(virtio|ext4|failover|net_failover|evdev|button)[^/]*$' | xargs "$@"
}
pack_tree xz xz -q
capture alice kernel import boxed --from "$WORLD/k/tree"
equal "a root with an xz kernel and .ko.xz modules: status" "$status" 0
check "it is the same vmlinux" same boxed
capture alice vm run --rm --quiet --kernel boxed --memory 512M -- uname -r
equal "a guest boots the xz kernel" "$status/$out" "0/$release"
find "$modules" -name '*.ko.xz' -exec unxz -q {} +
pack_tree zstd zstd -q --rm
capture alice kernel import boxed --from "$WORLD/k/tree"
contains "a name that is taken is kept" "$status/$err" "1/banger: kernel boxed already exists"
capture alice kernel import boxed --force --from "$WORLD/k/tree"
equal "--force replaces it, from zstd: status" "$status" 0
check "it is the same vmlinux" same boxed
capture alice vm create --quiet --name kept --kernel boxed --memory 512M
capture alice vm exec kept -- uname -r
equal "a guest boots the zstd kernel" "$status/$out" "0/$release"
capture alice kernel rm boxed
contains "a kernel that a VM uses stays" "$status/$err" "1/"
contains "and the VM is named" "$err" kept
alice vm delete -f kept >/dev/null
capture alice kernel rm boxed
equal "kernel rm" "$status/$(alice kernel list --json | jq '[.kernels[] | select(.name == "boxed")] | length')" 0/0

# One that is removed while another comes into its place leaves nothing.
alice kernel import gone --quiet --from "$WORLD/k/tree" 2>"$WORLD/err"
contains "a kernel that is removed before it is replaced" "$(tar cC "$WORLD/k/tree" boot lib | as alice python3 "$WORLD/replace.py" gone)" "was deleted meanwhile"
equal "leaves nothing" "$(ls "$(state alice)/kernels")" "$(alice kernel list --json | jq -r '.kernels[].id')"

# A download that is interrupted leaves nothing either.
install -d -o alice -g alice /home/alice/bin
printf '#!/bin/sh\nexit 1\n' >/home/alice/bin/apt-cache
printf '#!/bin/sh\ntouch half.deb ~/asked\nexec sleep 60\n' >/home/alice/bin/apt-get
chmod 755 /home/alice/bin/*
start alice env PATH=/home/alice/bin:/usr/local/bin:/usr/bin:/bin setsid banger kernel import half --from linux-image-half
check "a package is being downloaded" until_true 20 test -e /home/alice/asked
kill -INT -- -$client
wait $client
equal "the download is interrupted" $? 130
packages() { find /home/alice/.cache/banger -name 'package.*'; }
equal "and leaves nothing" "$(packages)" ""
rm /home/alice/asked
start alice env PATH=/home/alice/bin:/usr/local/bin:/usr/bin:/bin setsid banger kernel import half --from linux-image-half
check "another is being downloaded" until_true 20 test -e /home/alice/asked
kill -KILL -- -$client
wait $client 2>/dev/null
equal "killed, it leaves its folder" "$(packages | wc -l)" 1
printf '#!/bin/sh\nls ~/.cache/banger >~/seen\nexit 1\n' >/home/alice/bin/apt-get
capture as alice env PATH=/home/alice/bin:/usr/local/bin:/usr/bin:/bin banger kernel import half --from linux-image-half
equal "which the next removes before it downloads" "$status/$(grep -c '^package' /home/alice/seen)/$(packages)" "1/1/"
rm -r /home/alice/bin /home/alice/asked /home/alice/seen

# Others (bzip2 and lzma, which are slow at this size, have unit tests).
for format in gzip lzo lz4; do
    tests/kernel/pack.sh $format "$WORLD/k/vmlinux" "$WORLD/k/tree/boot/vmlinuz-$release" 1 "$release"
    alice kernel import "in-$format" --force --quiet --from "$WORLD/k/tree" 2>"$WORLD/err"
    check "the real vmlinux in $format" same "in-$format"
    alice kernel rm "in-$format" >/dev/null
done

# A folder may not lead out of itself.
mkdir -p "$WORLD/k/escape/boot" "$WORLD/k/escape/lib"
ln -s /etc/shadow "$WORLD/k/escape/boot/vmlinuz-1.0"
ln -s ../../../../../../../.. "$WORLD/k/escape/lib/modules"
capture alice kernel import out --from "$WORLD/k/escape"
equal "a link out of the folder is not followed" "$status" 1
contains "and what is missing is named" "$err" "vmlinuz-1.0"
cp "$WORLD/k/tree/boot/vmlinuz-$release" "$WORLD/k/tree/boot/vmlinuz-9.9"
capture alice kernel import out --from "$WORLD/k/tree"
contains "two kernels in a folder are named" "$status/$err" "1/"
contains "two kernels in a folder are named" "$err" 9.9
capture alice kernel import out --from "$WORLD/k/tree/boot/vmlinuz-9.9"
contains "a modular kernel alone: what it lacks" "$status/$err" "1/"
contains "a modular kernel alone: what it lacks" "$err" "virtio"
equal "nothing is left of what was refused" "$(alice kernel list --json | jq -c '[.kernels[].name]')" '["debian-cloud"]'
rm -rf "$WORLD/k"
