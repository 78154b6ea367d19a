# `--with-ssh`: sshd for root's key, installed where it is missing, running now and after each boot.
# shellcheck shell=sh
# shellcheck disable=SC3044 # follows packages.sh
set -eu
exec 1>&2

find_sshd() {
    for path in /usr/sbin/sshd /usr/bin/sshd /sbin/sshd; do
        [ ! -x "$path" ] || { echo "$path"; return 0; }
    done
    return 1
}

if ! find_sshd > /dev/null; then
    say 'installing sshd'
    case $(manager || true) in
    apk | xbps-install | zypper | pacman) install_packages openssh ;;
    *) install_packages openssh-server ;;
    esac
fi
sshd=$(find_sshd) || die 'sshd is not where it is looked for (/usr/sbin, /usr/bin, /sbin)'

# By key only; what stands first in the file holds. A package's own script may have started sshd without it.
if ! grep -qs '^# banger' /etc/ssh/sshd_config; then
    mkdir -p /etc/ssh
    [ ! -f /etc/ssh/sshd_config ] || mv /etc/ssh/sshd_config /etc/ssh/sshd_config.image
    {
        printf '# banger\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n'
        [ ! -f /etc/ssh/sshd_config.image ] || cat /etc/ssh/sshd_config.image
    } > /etc/ssh/sshd_config
    rm -f /etc/ssh/sshd_config.image
    again=1
fi
# An account that is locked ("!") has no login at all, one without a password ("*") has.
[ ! -f /etc/shadow ] || sed -i 's/^root:!*\**:/root:*:/' /etc/shadow
mkdir -p /var/empty /run/sshd
ssh-keygen -A

if [ "$(init_name)" = systemd ]; then
    unit=ssh
    [ -e /lib/systemd/system/ssh.service ] || [ -e /usr/lib/systemd/system/ssh.service ] || unit=sshd
    service "$unit" "$sshd"
else
    service sshd "mkdir -p /run/sshd; ssh-keygen -A; $sshd"
fi || die "sshd was installed but does not start: see its messages with vm exec"
