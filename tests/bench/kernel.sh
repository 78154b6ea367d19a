#!/bin/bash
# The kernel of guest/kernel against Debian's cloud kernel, interleaved, medians: bare QEMU
# with banger's argument vector from its start to the agent's WELCOME, and what the guest's
# kernel says of when it started /init.
#
#   make guest-kernel && tests/world.sh tests/bench/kernel.sh      ROUNDS=7, KERNEL=FILE
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
. tests/e2e/setup.sh
rounds=${ROUNDS:-7}
cp "${KERNEL:-build/guest-kernel/bzImage}" "$WORLD/bzImage"
chmod a+r "$WORLD/bzImage"
alice kernel import own --from "$WORLD/bzImage" || exit 1
modules() { grep -aoE 'modules/[0-9]{2}-' "$(alice kernel show "$1" --json | jq -r .initrd)" | wc -l; }

median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
kernels=(debian-cloud own)
alice vm create --quiet --name model --memory 512M --vcpu 1 --no-start
folder=$(state alice)/vms/$(printf %03x "$(alice vm show model --json | jq -r .slot)")
alice vm start --quiet model
pid=$(ps -u alice -o pid=,comm= | awk '/qemu/ {print $1; exit}')
cat "/proc/$pid/cmdline" >"$WORLD/argv"
alice vm stop model >/dev/null 2>&1
gcc -O2 -D_GNU_SOURCE -o "$WORLD/boot_bench" tests/bench/boot_bench.c build/common.a
for _ in $(seq "$rounds"); do
    for kernel in "${kernels[@]}"; do
        cp --sparse=always "$(alice image show debian-bookworm --json | jq -r .path)" "$WORLD/root.ext4"
        cp --sparse=always "$folder/work.ext4" "$WORLD/work.ext4"
        (cd "$WORLD" && ./boot_bench argv "$(alice kernel show "$kernel" --json | jq -r .vmlinux)" \
            "$(alice kernel show "$kernel" --json | jq -r .initrd)" root.ext4 work.ext4) >>"$WORLD/$kernel.welcome"
        alice vm run --rm --quiet --kernel "$kernel" --memory 512M --vcpu 1 -- dmesg |
            sed -nE 's/^\[ *([0-9.]+)\] Run \/init .*/\1/p' >>"$WORLD/$kernel.init"
    done
done
for kernel in "${kernels[@]}"; do
    echo "kernel $kernel: WELCOME after $(median <"$WORLD/$kernel.welcome") ms, /init after $(median <"$WORLD/$kernel.init") s," \
        "vmlinux $(stat -c %s "$(alice kernel show "$kernel" --json | jq -r .vmlinux)") bytes, initrd $(stat -c %s "$(alice kernel show "$kernel" --json | jq -r .initrd)") bytes with $(modules "$kernel") modules"
    echo "  all: $(tr '\n' ' ' <"$WORLD/$kernel.welcome")ms; $(tr '\n' ' ' <"$WORLD/$kernel.init")s"
done
