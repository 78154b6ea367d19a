# `image build --packages` and `--with-ssh` with the Debian image's own apt, out of a real mirror (mirror.sh).
# shellcheck shell=bash
. tests/e2e/mirror.sh

debugfs -R "dump /var/lib/dpkg/status $WORLD/dpkg-status" "$image_file" 2>/dev/null
# The image is to have no sshd, so what it knows to be installed has none either.
sed -i '/^Package: openssh-server$/,/^$/d' "$WORLD/dpkg-status"
check "a mirror of what apt would fetch" mirror_take "$WORLD/dpkg-status" jq openssh-server
check "its signed index" mirror_index
mirror_serve
# Of its host keys it has the one that takes long under emulation.
check "a Debian image without sshd that knows the mirror" mirror_image /home/alice/bare.ext4 \
    'dpkg --purge openssh-server && rm -f /etc/ssh/sshd_config /etc/ssh/sshd_config.d/banger.conf && ! command -v sshd jq &&
        ssh-keygen -q -t rsa -N "" -f /etc/ssh/ssh_host_rsa_key'
capture alice image register --name bare --rootfs bare.ext4 --kernel-ref debian-cloud
equal "it is an image" "$status" 0

before=$SECONDS
capture alice image build --name tools --from-image bare --packages jq
echo "image build with apt in $((SECONDS - before)) s"
equal "--packages: apt-get installs from the mirror" "$status" 0
contains "--packages: its output is shown" "$out" "Setting up jq"
equal "--packages: each package was fetched once" "$(mirror_asked pool/jq_)" 1

# Two guests at once: one that fails, one that is kept.
(
    alice image build --name none --from-image bare --packages no-such-package >/dev/null 2>"$WORLD/none"
    echo $? >"$WORLD/none.status"
) &
failing=$!
before=$SECONDS
capture alice vm create --name web --image tools --nat --with-ssh
echo "vm create --with-ssh with apt in $((SECONDS - before)) s"
equal "--with-ssh: openssh-server is installed from the mirror" "$status" 0
equal "--with-ssh: and fetched once" "$(mirror_asked pool/openssh-server_)" 1
equal "the VM has the image's package" "$(echo '{"a": [1, 2]}' | alice vm exec web -- jq -c .a)" "[1,2]"
equal "sshd runs, and will at the next boot" "$(alice vm exec web -- systemctl is-active ssh)/$(alice vm exec web -- systemctl is-enabled ssh)" active/enabled
equal "host keys are made" "$(alice vm exec web -- sh -c 'ls /etc/ssh/ssh_host_*_key | wc -l')" 3
capture alice vm ssh web -- true
equal "vm ssh" "$status" 0
capture as alice ssh -o PreferredAuthentications=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    "root@$(alice vm show web --json | jq -r .address)" true
contains "by key alone" "$err" "Permission denied (publickey)."
equal "nothing that failed is left of the installation" "$(alice vm exec web -- systemctl --failed --plain --no-legend)" ""
alice vm delete -f web >/dev/null

wait "$failing"
equal "a package that is not there: status" "$(cat "$WORLD/none.status")" 1
equal "a package that is not there: apt's words and banger's" "$(sed -n '/^E:/,$p' "$WORLD/none")" \
    "E: Unable to locate package no-such-package
banger: apt-get could not install no-such-package: it says why above
banger: image none is not made: what ran in the guest ended with status 1, see above"
check "no image is left of it" [ -z "$(alice image list --json | jq -r '.images[].name' | grep -x none)" ]
check "alice has nothing left" until_true 10 nothing_left alice
alice image delete tools bare >/dev/null
rm /home/alice/bare.ext4
mirror_end
