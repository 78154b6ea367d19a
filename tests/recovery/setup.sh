# alice with a small image and kernel, a registry that has the image, a signed bundle of it and a git
# repository; and the VMM without a guest in QEMU's place.
# shellcheck shell=bash
. tests/lib.sh
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
ln -s /root/numbers "$WORLD/tree/etc/numbers" # the guest's, not the host's
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

# A repository, and a script to build an image with.
in_home() { (cd /home/alice && exec runuser -u alice -- env -i HOME=/home/alice PATH=/usr/bin:/bin "$@"); }
in_home git init -q repo
echo 'all:' >/home/alice/repo/Makefile
in_home git -C repo add .
in_home git -C repo -c user.name=a -c user.email=a@example.org commit -qm first
echo true >/home/alice/script.sh

# An uplink, which --egress nat is for.
ip link add uplink type veth peer name far
ip address add 192.0.2.1/24 dev uplink
ip link set far up
ip link set uplink up
ip route add default via 192.0.2.254

alice kernel import k --quiet --from kernel || exit 1
alice image register --quiet --name r --rootfs root.ext4 --kernel-ref k || exit 1
alice image promote --quiet r || exit 1

# The saved image in a registry on loopback.
cat >"$WORLD/registry.yml" <<YAML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $WORLD/registry}}
http: {addr: 127.0.0.1:5001}
YAML
docker-registry serve "$WORLD/registry.yml" >"$WORLD/registry.log" 2>&1 &
registry=$!
trap 'kill $registry 2>/dev/null' EXIT
if ! until_true 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/5001' 2>/dev/null ||
    ! skopeo copy -q --insecure-policy --dest-tls-verify=false docker-archive:/home/alice/saved.tar docker://127.0.0.1:5001/team/app:1; then
    cat "$WORLD/registry.log"
    exit 1
fi

# A bundle, and alice's catalog that has it.
config=/home/alice/.config/banger catalog=/home/alice/.config/banger/catalog.toml bundle=/home/alice/tools.tar.zst
in_home mkdir -p $config
in_home minisign -G -W -p $config/trusted-keys -s key >/dev/null
alice image bundle --name r --out $bundle >/dev/null 2>&1 || exit 1
in_home minisign -S -s key -m $bundle >/dev/null
cat >$catalog <<TOML
format = 1

[[image]]
name = "tools"
kind = "bundle"
kernel = "k"
text = "a test"
url = "$bundle"
size = $(stat -c %s $bundle)
sha256 = "$(sha256sum <$bundle | cut -d' ' -f1)"
signature = $(jq -Rs . <$bundle.minisig)
TOML
in_home minisign -S -s key -m $catalog >/dev/null
