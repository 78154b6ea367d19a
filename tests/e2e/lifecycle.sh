# create, set, stop, start, restart, kill, delete, prune; what disks keep; several names at
# once; names; logs; help.
# shellcheck shell=bash

state_of() { alice vm show "$1" --json | jq -r .state; }

capture alice vm create --name life --memory 512M --no-start --root-disk copy --system-overlay-size 1G # a file, for e2fsck
equal "create --no-start" "$status/$(alice vm show life --json | jq -r .state)" 0/stopped
capture alice vm create --name life
check "a taken name is refused" test "$status" -ne 0
contains "and says so" "$err" life
alice vm set life --memory 640M --vcpu 2 --disk-size 20G >/dev/null
equal "set on a stopped VM" "$(alice vm show life --json | jq -r '"\(.memory_mib) \(.vcpus) \(.disk)"')" "640 2 21474836480"
capture alice vm set life --disk-size 10G
contains "set: a disk only grows" "$status $err" "1 banger: the disk of VM life has 21474836480 bytes and only grows"
capture alice vm set life
equal "set: of nothing" "$status" 2
alice vm set life --vcpu 1 >/dev/null # emulated processors race (docs/architecture.md)
alice vm start life >/dev/null 2>&1
equal "set: the guest has the memory and the grown disk" \
    "$(alice vm exec life -- sh -c 'awk "/MemTotal/ {print (\$2 > 540000 && \$2 < 655360)}" /proc/meminfo; df --output=size -BG /root | tail -n 1' | tr -d ' \n')" 120G
capture alice vm set life --memory 512M
contains "set: not while it runs" "$status $err" "1 banger: VM life is running"
boot=$(alice vm exec life -- cat /proc/sys/kernel/random/boot_id)
image=$(alice image show debian-bookworm --json | jq -r .size)
more=$(($(alice vm exec life -- df --output=size -B1 / | tail -n 1) - image))
check "--system-overlay-size: / is that much larger than the image" test "$more" -gt $((950 << 20)) -a "$more" -le $((1 << 30))
alice vm exec life -- sh -c 'echo kept > /root/work; echo kept > /var/root; sync'
settled() { case $(alice vm exec life -- systemctl is-system-running 2>/dev/null) in running | degraded) ;; *) false ;; esac; }
until_true 90 settled
equal "systemd is up with nothing failed" "$(alice vm exec life -- systemctl is-system-running)" running
capture alice vm stop life
equal "stop" "$status/$(alice vm show life --json | jq -r .state)" 0/stopped
folder=$(state alice)/vms/$(printf %03x "$(alice vm show life --json | jq -r .slot)")
check "root disk is clean after stop" e2fsck -fn "$folder/root.ext4"
check "work disk is clean after stop" e2fsck -fn "$folder/work.ext4"
capture alice vm stop life
check "stop of a stopped VM says so" test -n "$err"
alice vm start life >/dev/null 2>&1
equal "both disks keep what was written" "$(alice vm exec life -- cat /root/work /var/root | tr '\n' ' ')" "kept kept "
check "a start is a new boot" test "$boot" != "$(alice vm exec life -- cat /proc/sys/kernel/random/boot_id)"
boot=$(alice vm exec life -- cat /proc/sys/kernel/random/boot_id)
capture alice vm restart life --grace 60
equal "restart" "$status/$(state_of life)" 0/running
check "a restart is a new boot" test "$boot" != "$(alice vm exec life -- cat /proc/sys/kernel/random/boot_id)"
equal "and keeps both disks" "$(alice vm exec life -- cat /root/work /var/root | tr '\n' ' ')" "kept kept "
alice daemon stop >/dev/null
equal "VMs outlive the daemon" "$(alice vm exec life -- echo still)" still
alice vm create --name second --memory 512M --no-start >/dev/null
capture alice vm start nobody second
equal "start of several: a bad one is said, the others are done" "$status/$err/$out/$(state_of second)" \
    "1/banger: no VM is named nobody; \`banger vm list\` shows what exists/second: running/running"
equal "list --filter" "$(alice vm list --filter 'name=s*' --filter state=running --json | jq -r '.vms[].name')" second
equal "ps --filter: nothing fits" "$(alice ps --filter name=s | wc -l)" 1
capture alice vm list --filter nam=x
contains "list --filter: no such member" "$status $err" "2 banger: --filter nam=x: a VM has no nam: did you mean name?"
capture alice vm kill life second
equal "kill of several" "$status/$(sort <<<"$out" | tr '\n' ' ')" "0/life: signalled second: signalled "
check "a killed VM is stopped" until_true 5 sh -c 'runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm list --json | jq -e "[.vms[].state] == [\"stopped\", \"stopped\"]"'
capture as alice banger image delete debian-bookworm
check "an image in use is not deleted" test "$status" -ne 0
contains "and names the VM" "$err" life
capture alice vm prune </dev/null
contains "prune asks, or says why it cannot" "$status $err" "1 banger: 2 VMs would be deleted, and there is no terminal"
alice vm start second >/dev/null 2>&1
capture alice vm prune -f
equal "prune deletes what does not run" "$status/$(alice vm list --json | jq -r '.vms[].name')" 0/second
contains "and says what" "$out" "life: deleted, "
contains "and how much is free again" "$(tail -n 1 <<<"$out")" "MiB freed"
equal "prune: nothing to do" "$(alice vm prune </dev/null)" "no VM is stopped: nothing to delete"
alice vm stop second >/dev/null 2>&1
contains "prune asks on a terminal" "$(echo n | as alice script -qec 'banger vm prune' /dev/null)" "nothing was deleted"
alice vm delete second second </dev/null >/dev/null
check "nothing is left" until_true 10 nothing_left alice

contains "vm run --help shows resolved defaults" "$(alice vm run --help)" debian-bookworm
contains "--version" "$(alice --version)" "$(sed -n 's/^VERSION := //p' Makefile)"
capture alice vm show nobody
equal "a VM that is not there" "$status" 1
contains "and how to list them" "$err" "banger vm list"
check "doctor --json" sh -c "runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger doctor --json | jq -e '.checks | length > 5'"
