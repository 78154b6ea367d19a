#!/bin/bash
# In a guest, once: modules, the Debian package, accounts, and from standard input (a
# tar of zstd) the image and kernel that ann's own guests use.
set -eu
cd "$(dirname "$0")/../.."
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# udev is off in banger's image, and nearly every Debian machine has it.
systemctl unmask --quiet systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket
systemctl start systemd-udevd.service
for module in dm_snapshot loop tun bridge br_netfilter nf_tables nft_masq overlay veth 8021q kvm_amd; do
    modprobe "$module"
done
dpkg --install build/banger_*.deb >/var/log/banger-package.log 2>&1 || { cat /var/log/banger-package.log; exit 1; }
# ann may ask banger; nobody here is in group kvm.
useradd --uid 1501 --create-home --shell /bin/bash --groups banger ann
useradd --uid 1502 --create-home --shell /bin/bash --groups banger ben
useradd --uid 1503 --create-home --shell /bin/bash cat
if [ -e build/coverage/counters ]; then # every account counts there
    counters=$(cat build/coverage/counters)
    mkdir -p "$counters"
    (umask 0 && build/banger-helper --version)
    chmod -R a+rw "$counters"
fi
zstd -qd | tar xSC /home/ann
chown -R ann: /home/ann
