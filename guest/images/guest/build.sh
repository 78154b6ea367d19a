# `image build`: [--docker] [--packages A,B] [--script] (from standard input), then cleaned up.
# shellcheck shell=sh
set -eu

docker=0 packages='' script=''
while [ $# -gt 0 ]; do
    case $1 in
    --docker) docker=1 ;;
    --packages)
        packages=$(printf %s "$2" | tr ',' ' ')
        shift
        ;;
    --script)
        script=/run/banger-build
        cat > "$script"
        chmod 0700 "$script"
        ;;
    esac
    shift
done

# Overlays stand for all that docker needs of a kernel: a distribution's has it in modules, one made for guests built in.
has_modules() { modprobe -q overlay 2> /dev/null || grep -qw overlay /proc/filesystems; }
# Those of Debian's kernels are in their packages.
container_modules() {
    [ "$(manager || true)" = apt-get ] || return 0
    install_packages kmod
    kernel_modules "linux-image-$(uname -r)" < /dev/null ||
        die "docker wants modules of the kernel $(uname -r), whose package apt-get could not fetch: \`banger kernel pull NAME --force\` brings the release that mirrors have now, and \`make guest-kernel\` makes a kernel that needs none"
}
docker_answers() {
    for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
        docker info > /dev/null 2>&1 && return 0
        [ "$try" -lt 12 ] && sleep 5
    done
    docker info
}

if [ -n "$packages" ]; then
    # shellcheck disable=SC2086 # one word a package
    install_packages $packages
fi
if [ "$docker" -eq 1 ]; then
    has_modules || container_modules
    case $(manager || true) in
    apt-get) install_packages docker.io apparmor ;; # which Debian's kernels have on, and docker then asks for
    dnf | microdnf | yum) install_packages moby-engine ;;
    *) install_packages docker ;;
    esac
    { service docker 'dockerd > /var/log/docker.log 2>&1 &' && docker_answers; } ||
        die "docker was installed but does not run on the kernel $(uname -r), which may lack overlays, bridges or netfilter: --kernel names another, and \`make guest-kernel\` makes one that has them"
    rm -f /etc/docker/key.json /var/lib/docker/engine-id # which docker this is
fi
if [ -n "$script" ]; then
    cd /root
    status=0
    if head -c 2 "$script" | grep -q '^#!'; then
        "$script" < /dev/null || status=$?
    else
        sh "$script" < /dev/null || status=$?
    fi
    rm -f "$script"
    [ "$status" -eq 0 ] || exit "$status"
fi

# What belongs to this guest, or can be had again. sshd's keys are made at the next boot: by the
# recipe's own service, by the services of OpenRC and runit, else by this.
case $(manager || true) in
apt-get)
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
    ;;
apk) rm -rf /var/cache/apk/* ;;
xbps-install) rm -rf /var/cache/xbps/* ;;
dnf | microdnf | yum | zypper) rm -rf /var/cache/dnf /var/cache/yum /var/cache/zypp ;;
pacman) rm -rf /var/cache/pacman/pkg/* ;;
esac
if [ "$(init_name)" = systemd ] && [ ! -e /usr/local/sbin/banger-ssh-keys ]; then
    for unit in ssh sshd; do
        mkdir -p "/etc/systemd/system/$unit.service.d"
        printf '[Service]\nExecStartPre=\nExecStartPre=+/usr/bin/ssh-keygen -A\nExecStartPre=+/bin/mkdir -p /run/sshd\n' > "/etc/systemd/system/$unit.service.d/banger.conf"
    done
fi
rm -f /etc/ssh/ssh_host_*key /etc/ssh/ssh_host_*key.pub
[ ! -e /etc/machine-id ] || : > /etc/machine-id
[ -L /var/lib/dbus/machine-id ] || rm -f /var/lib/dbus/machine-id
rm -f /var/lib/systemd/random-seed /var/lib/seedrng/seed.* /root/.bash_history /root/.ash_history /root/.sh_history /root/.viminfo
find /var/log -type f 2> /dev/null | while read -r file; do : > "$file"; done
rm -rf /var/log/journal/* /tmp/* /var/tmp/* /var/cache/debconf/*-old
sync
