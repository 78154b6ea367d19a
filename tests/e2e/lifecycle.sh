# create, stop, start, kill, delete; what disks keep; names; logs; help.
# shellcheck shell=bash

capture alice vm create --name life --memory 512M --no-start --root-disk copy # a file, for e2fsck
equal "create --no-start" "$status/$(alice vm show life --json | jq -r .state)" 0/stopped
capture alice vm create --name life
check "a taken name is refused" test "$status" -ne 0
contains "and says so" "$err" life
alice vm start life >/dev/null 2>&1
boot=$(alice vm exec life -- cat /proc/sys/kernel/random/boot_id)
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
alice daemon stop >/dev/null
equal "VMs outlive the daemon" "$(alice vm exec life -- echo still)" still
capture alice vm kill life
equal "kill" "$status" 0
check "a killed VM is stopped" until_true 5 sh -c 'runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm list --json | jq -e ".vms[0].state == \"stopped\""'
capture as alice banger image delete debian-bookworm
check "an image in use is not deleted" test "$status" -ne 0
contains "and names the VM" "$err" life
alice vm delete -f life >/dev/null
check "nothing is left" until_true 10 nothing_left alice

contains "vm run --help shows resolved defaults" "$(alice vm run --help)" debian-bookworm
contains "--version" "$(alice --version)" "$(sed -n 's/^VERSION := //p' Makefile)"
capture alice vm show nobody
equal "a VM that is not there" "$status" 1
contains "and how to list them" "$err" "banger vm list"
check "doctor --json" sh -c "runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger doctor --json | jq -e '.checks | length > 5'"
