# KVM's yes: ann is not in group kvm, the node is root's, and her guests run with KVM.
# shellcheck shell=bash
check "the processor offers nested virtualisation" grep -qw svm /proc/cpuinfo
equal "/dev/kvm is closed to ann" "$(as ann sh -c 'exec 3<>/dev/kvm && echo open' 2>/dev/null)" ""
equal "ann is in group banger and no other" "$(id -Gn ann)" "ann banger"
capture ann doctor --json
equal "doctor: the trial of KVM comes out true" "$(jq -r '.checks[] | select(.name == "kvm") | .status' <<<"$out")" PASS
capture ann vm run --rm --memory 512M -- uname -a
equal "vm run --rm -- uname -a: status" "$status" 0
contains "vm run: the inner guest answers" "$out" "-cloud-amd64"
equal "vm run: no word of emulation" "$(grep -c emulation <<<"$err")" 0
capture ann vm create --name inner --memory 512M --vcpu 2
equal "vm create: status" "$status" 0
equal "vm show says kvm" "$(ann vm show inner --json | jq -r .accel)" kvm
pid=$(pgrep -u ann -f '^/usr/bin/qemu-system' | head -n 1)
contains "QEMU runs with KVM" "$(tr '\0' ' ' <"/proc/$pid/cmdline")" "-accel kvm"
contains "and has its own kvm node open" "$(ls -l "/proc/$pid/fd")" "/dev/kvm"
equal "without a capability" "$(awk '/^Cap(Prm|Eff|Inh|Amb)/ && $2 != "0000000000000000"' "/proc/$pid/status")" ""
equal "with a filter, for good" "$(awk '/^(Seccomp|NoNewPrivs):/ {printf "%s ", $2}' "/proc/$pid/status")" "1 2 "
equal "two virtual processors" "$(ann vm exec inner -- nproc)" 2
contains "whose processor is the host's" "$(ann vm exec inner -- cat /sys/devices/system/clocksource/clocksource0/available_clocksource)" kvm-clock
equal "a megabyte through the inner disk" "$(ann vm exec inner -- sh -c 'dd if=/dev/urandom of=/root/x bs=1M count=8 2>/dev/null; sync; stat -c %s /root/x')" 8388608
check "the inner guest answers on the network" as ann ping -c 1 -W 5 "$(ann vm show inner --json | jq -r .address)"
capture ann vm stop inner
equal "vm stop: status" "$status" 0
capture ann vm start inner
equal "vm start: status" "$status" 0
equal "and its disk is as it was" "$(ann vm exec inner -- stat -c %s /root/x)" 8388608
ann vm delete -f inner >/dev/null
check "nothing is left" until_true 20 sh -c '[ -z "$(pgrep -u ann -f qemu-system)$(ip -o link | grep -E " (bgr|bt)")" ]'
