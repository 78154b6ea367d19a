# The world of the scale suites: account scott, whose VMs run idle_vmm in the real jail with
# real taps and disks; an image of 32 MiB with 8 MiB in it.
# shellcheck shell=bash
scott() { (cd /home/scott && exec runuser -u scott -- env -i HOME=/home/scott USER=scott LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin "$@"); }
scale_leave() {
    scott banger daemon stop >/dev/null 2>&1
    ps -u scott -o pid=,comm= | awk '$2 ~ /banger|idle_vmm/ {print $1}' | xargs -r kill -9 2>/dev/null
}
trap scale_leave EXIT

ip link add uplink type veth peer name far
ip address add 192.0.2.1/24 dev uplink
ip link set far up; ip link set uplink up
ip route add default via 192.0.2.254

gcc -O2 -static -D_GNU_SOURCE -o /usr/local/libexec/idle_vmm tests/scale/idle_vmm.c
sed -i 's|^slots .*|slots 1000|; s|^vmm qemu .*|vmm qemu /usr/local/libexec/idle_vmm|' /etc/banger/policy.conf
useradd --uid 1520 --create-home --shell /bin/bash --groups banger scott
head -c 64K /dev/urandom >"$WORLD/payload"
gcc -nostdlib -static -no-pie -Wl,-Ttext=0x1000000,--build-id=none -DPAYLOAD="\"$WORLD/payload\"" -o "$WORLD/vmlinux" tests/kernel/vmlinux.S
tests/kernel/pack.sh gzip "$WORLD/vmlinux" "$WORLD/bzImage" 1
mkdir "$WORLD/tree" "$WORLD/tree/root"
head -c 8M /dev/urandom >"$WORLD/tree/data"
mke2fs -q -t ext4 -d "$WORLD/tree" /home/scott/idle.ext4 32M
cp "$WORLD/bzImage" /home/scott/
chown -R scott: /home/scott
scott banger image register --name r --rootfs idle.ext4 --kernel bzImage --quiet && scott banger image promote r --quiet ||
    { not_ok "the image of the scale suites"; summary; exit 1; }
