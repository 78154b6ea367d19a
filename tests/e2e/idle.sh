# auto_stop_stale_after: VMs that nobody uses are stopped, those in use are not.
# shellcheck shell=bash

config=/home/alice/.config/banger/config.toml
as alice mkdir -p /home/alice/.config/banger
use() { alice vm show idle --json | jq -r ".$1"; }
is_stopped() { [ "$(use state)" = stopped ]; }

alice vm create --name idle --memory 512M >/dev/null 2>&1
equal "without the setting no VM is to be stopped" "$(use stops)" null
echo 'auto_stop_stale_after = "8s"' | as alice tee "$config" >/dev/null
check "vm show says when it is stopped" test "$(use stops)" != null
start alice banger vm exec idle -- sleep 18
sleep 14
equal "a command under way is use" "$(use state)" running
equal "and then no end is in sight" "$(use stops)" null
wait "$client"
# A session is use; and a guest that does not answer when it is asked for them has that time twice.
alice vm session start idle --name kept -q -- sleep 1000 >/dev/null
begun=$(use stops)
renewed() { [ "$(use stops)" != "$begun" ]; }
check "a session is use" until_true 20 renewed
vmm=$(tr -d ' ' <"/proc/$(use pid)/task/$(use pid)/children")
kill -STOP "$vmm"
sleep 12
equal "a guest that does not answer is not stopped at once" "$(use state)/$(alice events --json | grep -c '"vm.stale"')" running/0
kill -CONT "$vmm"
alice vm session kill idle kept >/dev/null
start alice banger vm exec idle -- sleep 18
sleep 2
kill -9 "$(alice daemon status --json | jq -r .pid)"
wait "$client" 2>/dev/null
check "not used any longer, over a restart of the engine: stopped" until_true 40 is_stopped
contains "and events say why" "$(alice events --json)" '"vm.stale"'
echo 'auto_stop_stale_after = "soon"' | as alice tee "$config" >/dev/null
capture alice vm create --name other --no-start
contains "a bad value: file and line" "$err" "$config:1: auto_stop_stale_after must be a time"
rm "$config"
alice vm delete -f idle >/dev/null
check "nothing is left" until_true 10 nothing_left alice
