# `image build --docker` on the Debian image, out of a real mirror: docker runs at the next boot and runs containers, on
# the kernel that VMs have by default. 90 MB of packages and minutes under emulation, so it is no part of the rest:
# `make docker`.
# shellcheck shell=bash
. tests/e2e/mirror.sh

debugfs -R "dump /var/lib/dpkg/status $WORLD/dpkg-status" "$image_file" 2>/dev/null
release=$(alice kernel show debian-cloud --json | jq -r .release)
check "a mirror of docker and what it wants" mirror_take "$WORLD/dpkg-status" docker.io apparmor kmod
check "the mirror has the kernel's package" mirror_add "linux-image-$release"
check "its signed index" mirror_index
mirror_serve
check "a Debian image that knows the mirror" mirror_image /home/alice/plain.ext4
alice image register --name plain --rootfs plain.ext4 --kernel-ref debian-cloud >/dev/null

before=$SECONDS
capture alice image build --name docked --from-image plain --docker
echo "image build --docker in $((SECONDS - before)) s"
equal "--docker: status" "$status" 0
[ "$status" = 0 ] || printf '%s\n' "$out" "$err"
alice vm create --name box --image docked --nat --memory 1G >/dev/null 2>&1
docker() { alice vm exec box -- docker "$@"; }
answers() { docker info >/dev/null 2>&1; }
check "docker is there at the next boot" until_true 120 answers
contains "docker version: the server's" "$(docker version --format '{{.Server.Version}}')" .
equal "docker info: images lie on overlays" "$(docker info --format '{{.Driver}}')" overlay2
equal "nothing failed at boot" "$(alice vm exec box -- systemctl --failed --plain --no-legend)" ""

mkdir -p "$WORLD/rootfs/bin" "$WORLD/rootfs/www"
cp /usr/bin/busybox "$WORLD/rootfs/bin/busybox"
for name in sh wget ip httpd uname; do ln -s busybox "$WORLD/rootfs/bin/$name"; done
echo served >"$WORLD/rootfs/www/index.html"
capture docker import - tiny < <(tar -C "$WORLD/rootfs" --owner=0 --group=0 -c .)
equal "docker import" "$status" 0
capture docker run --rm tiny uname -r
equal "docker run" "$status/$out" "0/$release"
capture docker run --rm tiny wget -q -O - http://203.0.113.7/Release
contains "a container reaches what the guest reaches" "$out" "Origin: test"
capture docker run --detach --name web --publish 8000:80 tiny httpd -f -h /www
equal "a container that serves" "$status" 0
serves() { [ "$(as alice curl -s --max-time 5 "http://$(alice vm show box --json | jq -r .address):8000/")" = served ]; }
check "its published port is reached from the host" until_true 60 serves
alice vm delete -f box >/dev/null

rm "$mirror"/pool/linux-image-*
check "a mirror that has another release of the kernel" mirror_index
capture alice image build --name none --from-image plain --docker
equal "the modules cannot be had: status" "$status" 1
contains "the modules cannot be had: a sentence" "$err" \
    "banger: docker wants modules of the kernel $release, whose package apt-get could not fetch"
check "no image is left of it" [ -z "$(alice image list --json | jq -r '.images[].name' | grep -x none)" ]
check "alice has nothing left" until_true 10 nothing_left alice
alice image delete docked plain >/dev/null
rm /home/alice/plain.ext4
mirror_end
