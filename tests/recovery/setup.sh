# alice with a small image and kernel, and the VMM without a guest in QEMU's place.
# shellcheck shell=bash
alice() { (cd /home/alice && exec runuser -u alice -- env -i HOME=/home/alice LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin banger "$@"); }

useradd --uid 1501 --create-home --shell /bin/bash alice
usermod --append --groups banger alice
mkdir -p /usr/local/recovery
flags=(-std=gnu17 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE)
gcc "${flags[@]}" -static -s -o /usr/local/recovery/idle-vmm tests/scale/idle_vmm.c || exit 1
gcc "${flags[@]}" -o "$WORLD/killer" tests/recovery/killer.c || exit 1
sed -i '/^vmm/d' /etc/banger/policy.conf
echo 'vmm qemu /usr/local/recovery/idle-vmm /usr/local/recovery' >>/etc/banger/policy.conf

# A root file system with something in it; the same as `docker save` has it.
mkdir -p "$WORLD/tree/root" "$WORLD/tree/etc" "$WORLD/tree/usr/bin"
seq 50000 >"$WORLD/tree/root/numbers"
head -c 1M /dev/urandom >"$WORLD/tree/usr/bin/noise"
root=/home/alice/root.ext4
truncate -s 24M $root
mke2fs -q -t ext4 -d "$WORLD/tree" $root
mkdir "$WORLD/saved"
tar -C "$WORLD/tree" -cf "$WORLD/saved/layer.tar" .
echo "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$(sha256sum <"$WORLD/saved/layer.tar" | cut -d' ' -f1)\"]}}" >"$WORLD/saved/config.json"
echo '[{"Config":"config.json","RepoTags":["saved:latest"],"Layers":["layer.tar"]}]' >"$WORLD/saved/manifest.json"
tar -C "$WORLD/saved" -cf /home/alice/saved.tar .

# A kernel that an importer takes.
head -c 20000 /usr/local/libexec/banger/banger-agent >"$WORLD/code"
gcc -nostdlib -static -no-pie -Wl,-Ttext=0x1000000,--build-id=none -DPAYLOAD="\"$WORLD/code\"" -o "$WORLD/vmlinux" tests/kernel/vmlinux.S
strip "$WORLD/vmlinux"
tests/kernel/pack.sh gzip "$WORLD/vmlinux" /home/alice/kernel
chown -R alice: /home/alice

alice kernel import k --quiet --from kernel || exit 1
alice image register --quiet --name r --rootfs root.ext4 --kernel-ref k || exit 1
alice image promote --quiet r || exit 1
