# systemd: bangerd as ann's service without a login, its cgroup delegated, ceilings on
# each VMM that the kernel itself holds.
# shellcheck shell=bash
uid=$(id -u ann)
manager=user@$uid.service
slice=/sys/fs/cgroup/user.slice/user-$uid.slice/$manager
uann() { as ann env XDG_RUNTIME_DIR="/run/user/$uid" "$@"; }
# group_of PID: its cgroup's folder.
group_of() { echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$1/cgroup")"; }

ann daemon stop >/dev/null 2>&1
check "loginctl enable-linger" loginctl enable-linger ann
check "ann's service manager runs without a login" until_true 60 systemctl is-active --quiet "$manager"
contains "it was given the memory controller" "$(cat "$slice/cgroup.controllers")" memory
contains "and the one of pids" "$(cat "$slice/cgroup.controllers")" pids
check "bangerd.service starts" uann systemctl --user start bangerd.service
check "and is running" until_true 30 uann systemctl --user is-active --quiet bangerd.service
equal "the CLI meets that daemon" "$(group_of "$(uann banger daemon status --json | jq -r .monitor_pid)")" "$slice/app.slice/bangerd.service/daemon"

capture uann banger vm create --quiet --name ceiling --memory 512M --vcpu 2
equal "vm create: status" "$status" 0
vmm=$(uann banger vm show ceiling --json | jq -r .pid)
group=$(group_of "$vmm")
contains "the VMM is in a cgroup of its own, below the service" "$group" "$slice/app.slice/bangerd.service/vm-"
most=$(grep -xE "[0-9]+" "$group/memory.max" || echo 0)
check "memory.max is the guest's memory and a headroom (it is $most)" test "$((most >> 20))" -ge 512 -a "$((most >> 20))" -le 1536
tasks=$(grep -xE "[0-9]+" "$group/pids.max" || echo 0)
check "pids.max is a number (it is $tasks)" test "$tasks" -ge 16 -a "$tasks" -le 1024
check "the kernel counts the VMM's memory there" test "$(cat "$group/memory.current")" -gt $((64 << 20))
# What it has used never gets less, so what is said lies between two looks at it; what it holds goes up and down.
used() { sed -n 's/^usage_usec //p' "$group/cpu.stat"; }
used_before=$(used) held_before=$(cat "$group/memory.current")
stats=$(uann banger vm stats ceiling --json)
used_after=$(used) held_after=$(cat "$group/memory.current")
cpu=$(jq -r .vmm.cpu_ms <<<"$stats") held=$(jq -r .vmm.memory <<<"$stats")
equal "vm stats counts by that cgroup" "$(jq -r .vmm.counted_by <<<"$stats")" cgroup
check "its processor time is the kernel's ($used_before us, $cpu ms, $used_after us)" \
    test "$cpu" -ge $((used_before / 1000)) -a "$cpu" -le $((used_after / 1000))
check "its memory is the kernel's ($held_before, $held, $held_after)" \
    test "$((held * 2))" -ge "$held_before" -a "$held" -le $((held_after * 2))
# KVM of 6.1 puts a thread of the kernel's own there, once a VM has run for a while.
equal "none but the jail and the VMM are in it" "$(for p in $(cat "$group/cgroup.procs"); do cat "/proc/$p/comm"; done | grep -v '^kvm-nx-lpage' | sort -u | tr '\n' ' ')" "banger-jail qemu-system-x86 "
equal "the VMM sees no cgroup but its own" "$(nsenter --cgroup="/proc/$vmm/ns/cgroup" sed -n 's/^0:://p' "/proc/$vmm/cgroup")" /
equal "ann cannot raise the service's own ceiling above it" "$(uann sh -c "echo max > $slice/pids.max" 2>&1 | grep -c 'denied')" 1

check "bangerd.service stops" uann systemctl --user stop bangerd.service
check "its VM goes on" test -d "/proc/$vmm"
check "bangerd.service starts again" uann systemctl --user start bangerd.service
equal "and finds the VM" "$(uann banger vm exec ceiling -- echo alive)" alive
stats=$(uann banger vm stats ceiling --json)
equal "and its cgroup" "$(jq -r .vmm.counted_by <<<"$stats")" cgroup
check "which has counted on" test "$(jq -r .vmm.cpu_ms <<<"$stats")" -ge "$cpu"
uann banger vm delete -f ceiling >/dev/null
check "the VM's cgroup went with it" until_true 10 sh -c "! [ -e $group/cgroup.procs ]"
uann systemctl --user stop bangerd.service
check "nothing of the service is left" until_true 20 sh -c "! pgrep -u ann -f 'bangerd|banger-helper'"
loginctl disable-linger ann
