# kill -9 of each process in turn: the VM goes on, or is marked and cleaned up.
# shellcheck shell=bash

pid_of() { alice daemon status --json | jq -r ".$1"; }
alive() { [ "$(alice vm exec crash -- echo yes 2>/dev/null)" = yes ]; }
alice vm create --name crash --memory 512M >/dev/null 2>&1
check "a VM to crash around" alive

kill -9 "$(pid_of pid)"
check "engine killed: the monitor starts another, the VM goes on" until_true 20 alive
kill -9 "$(pid_of helper_pid)"
check "helper killed: the VM goes on" until_true 10 alive
capture alice vm create --name second --memory 512M
equal "helper killed: a new one serves the next create" "$status" 0
alice vm delete -f second >/dev/null
kill -9 "$(pid_of monitor_pid)"
check "monitor killed: the next call starts a daemon, the VM goes on" until_true 20 alive
kill -9 "$(pid_of monitor_pid)" "$(pid_of pid)"
check "both killed at once: the same" until_true 20 alive
kill -9 "$(alice vm show crash --json | jq -r .pid)"
check "VMM killed: the VM is marked stopped" until_true 10 sh -c 'runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm show crash --json | jq -e ".state != \"running\""'
alice vm start crash >/dev/null 2>&1
check "and starts again" alive
kill -9 "$(pid_of monitor_pid)" "$(alice vm show crash --json | jq -r .pid)"
check "VMM and daemon killed: found out at the next start" until_true 20 sh -c 'runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm show crash --json | jq -e ".state != \"running\""'
alice vm delete -f crash >/dev/null
check "nothing is left" until_true 10 nothing_left alice
