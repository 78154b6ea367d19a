#!/bin/bash
# VMM_SPAWN through the installed helper, up to a real guest: jail_main.c.
#   tests/world.sh tests/netns/jail.sh
# JAIL_KERNEL: a folder that guest/make.sh filled (default: build/jail-guest).
# JAIL_PART: one row of jail_main.c's table. JAIL_FAULT_TIMES=N: of a system call that is made
# often, only the first N are failed.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
guest=${JAIL_KERNEL:-build/jail-guest}
account=jailtest
libexec=/usr/local/libexec/banger
folder=$WORLD/jail
mkdir -p "$folder"

if [ "${JAIL_PART:-guest}" != guest ]; then
    touch "$folder/vmlinux" "$folder/initrd"
elif [ -n "${JAIL_KERNEL:-}" ] ||
    nsenter --net="$WORLD_HOST_NET" tests/netns/guest/make.sh "$guest" > build/jail-guest.log 2>&1; then
    cp "$guest/vmlinux" "$guest/initrd" "$folder/"
else
    cat build/jail-guest.log
    echo "not ok jail: cannot make its guest"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
make -s build/common.a || exit 1
flags=(-std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror '-DBANGER_LIBEXECDIR="/usr/local/libexec/banger"'
    '-DBANGER_POLICY="/etc/banger/policy.conf"')
for name in probe named hog; do
    gcc "${flags[@]}" -static -s -o $libexec/jail-$name tests/netns/guest/jail_"$name".c tests/netns/guest/jail_try.c || exit 1
done
gcc "${flags[@]}" -o "$WORLD/jail-test" tests/netns/jail_*.c unpriv/vmm/{qemu,qmp,args,tsc,kvm}.c \
    unpriv/priv/{priv,sentence}.c unpriv/daemon/cgroup.c policy/policy.c build/common.a -lcjson -lpthread || exit 1

id "$account" >/dev/null 2>&1 || useradd --no-create-home --uid 1717 --groups banger "$account"
cat >> /etc/banger/policy.conf << END
vmm probe $libexec/jail-probe /usr /usr/local
vmm firecracker $libexec/jail-named
vmm hog $libexec/jail-hog
END
chown -R "$account": "$folder"
"$WORLD/jail-test" "$(id -u "$account")" "$(id -g "$account")" "$folder" "$folder/vmlinux" "$folder/initrd" ${JAIL_PART:-}
status=$?
userdel "$account" 2>/dev/null
exit $status
