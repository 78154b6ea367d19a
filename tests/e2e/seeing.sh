# events: a cursor that survives every kill; stats and metrics of a guest that works.
# shellcheck shell=bash

events() { alice events --json "$@"; }
last_event() { events | tail -1 | jq .id; }
kinds() { events --since "$1" | jq -r .kind | tr '\n' ' '; }
daemon_pid() { alice daemon status --json | jq -r ".$1"; }

# --- events ---------------------------------------------------------------------------
alice daemon status >/dev/null
before=$(last_event)
start alice banger events -f --since "$before" --json >"$WORLD/followed"
follower=$client
alice vm create --name seen --memory 512M >/dev/null 2>&1
equal "a VM's way leaves its events" "$(events --since "$before" | jq -r 'select(.name == "seen").kind' | tr '\n' ' ')" \
    "vm.created vm.starting vm.started vm.ready " # its kernel may have been made anew for another agent
middle=$(last_event)
capture alice events --since "$middle"
equal "after the last there is nothing" "$status/$out" 0/
capture alice events --since 999999
check "a number that lies ahead is refused" test "$status" -ne 0
contains "and says where the end is" "$err" "the last is $middle"
capture alice events --since one
equal "as is one that is none" "$status" 2

# --- stats ----------------------------------------------------------------------------
stat_of() { jq -r "$1" <<<"$2"; }
capture alice vm stats seen --json
equal "stats" "$status" 0
first=$out
equal "the guest says its processors and memory" "$(stat_of '(.guest.cpus == 1) and (.guest.memory_total | . > 400e6 and . < 600e6) and .guest.memory_available > 0' "$first")" true
equal "and its disks" "$(stat_of '.guest | .root_total > 1e8 and .root_available > 0 and .work_total > 1e8' "$first")" true
equal "the host counts its VMM" "$(stat_of '.vmm | .cpu_ms > 500 and .memory > 5e7 and .counted_by != ""' "$first")" true
folder=$(state alice)/vms/$(printf %03x "$(alice vm show seen --json | jq -r .slot)")
equal "its disks" "$(stat_of .disk.work "$first")" "$(($(stat -c %b "$folder/work.ext4") * 512))"
gateway=$(alice vm show seen --json | jq -r '.address | sub("[0-9]+$"; "1")')
# shellcheck disable=SC2016
alice vm exec seen -- bash -c 'head -c 40000 /dev/zero >/dev/udp/$0/9; for ((i = 0; i < 20000; i++)); do :; done' "$gateway"
second=$(alice vm stats seen --json)
equal "a guest that computes has used more" "$(jq -s '(.[1].guest.cpu_ms > .[0].guest.cpu_ms) and (.[1].vmm.cpu_ms > .[0].vmm.cpu_ms)' <<<"$first$second")" true
equal "and one that sends has sent more" "$(jq -s '.[1].network.sent - .[0].network.sent > 20000' <<<"$first$second")" true
contains "as a table, without a name" "$(alice vm stats)" "seen  running"
start alice banger vm stats seen --watch --interval 1 >"$WORLD/watched"
watcher=$client
check "--watch looks again" until_true 20 sh -c "grep -c running '$WORLD/watched' | grep -qE '[2-9]'"
kill -INT "$watcher"
wait "$watcher"
equal "and ends when interrupted" $? 130
contains "with the share since the line before" "$(tail -1 "$WORLD/watched")" %
check "no escape sequences in a file" sh -c "! grep -q \$'\\033' '$WORLD/watched'"
capture alice vm stats nobody seen
equal "one that is not there fails" "$status" 1
contains "and the other is shown" "$out" running
contains "and which" "$err" "no VM is named nobody"
capture alice vm stats --interval 3
equal "--interval alone makes no sense" "$status" 2
alice vm create --name still --memory 512M --no-start >/dev/null 2>&1
equal "a stopped VM has disks and nothing else" "$(alice vm stats still --json | jq -c '[.guest, .vmm.cpu_ms, .network.sent, .disk.work > 0]')" '[null,null,null,true]'
alice vm delete -f still >/dev/null

# --- events, across what dies ---------------------------------------------------------
middle=$(last_event)
kill -9 "$(daemon_pid pid)"
until_true 20 sh -c '[ "$(runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm exec seen -- echo yes 2>/dev/null)" = yes ]'
equal "engine killed: that is an event, and what was found" "$(kinds "$middle")" "daemon.restarted vm.found "
contains "how it died too" "$(alice events --since "$middle")" "died (signal 9)"
contains "and doctor says so" "$(alice doctor)" "the last one died (signal 9)"
now=$(last_event)
kill -9 "$(daemon_pid helper_pid)"
until_true 20 sh -c "runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger events --since $now | grep -q helper.restarted"
equal "helper killed: the same" "$(kinds "$now")" "helper.restarted "
now=$(last_event)
alice daemon stop >/dev/null
check "who follows ends with the daemon" until_true 10 sh -c "! kill -0 $follower 2>/dev/null"
equal "what was followed across both is all there is, each once" "$(jq .id <"$WORLD/followed" | tr '\n' ' ')" \
    "$(seq -s ' ' $((before + 1)) "$(tail -1 "$WORLD/followed" | jq .id)") "
equal "a stop and a start on purpose" "$(kinds "$now")" "daemon.stopped daemon.started vm.found "
contains "after those doctor has nothing to tell" "$(alice doctor)" "nothing had to be put right"

now=$(last_event)
kill -9 "$(alice vm show seen --json | jq -r .pid)"
check "VMM killed: stopped, and why" until_true 10 sh -c "runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger events --since $now | grep -q 'its VMM ended'"
alice vm delete -f seen >/dev/null
contains "deleted" "$(kinds "$now")" vm.deleted

# --- metrics --------------------------------------------------------------------------
metrics() { alice metrics | python3 "$metrics_reader"; }
# metric NAME LABELS: the one value; LABELS as a JSON object.
metric() { jq -r --arg name "$1" --argjson labels "$2" '.[] | select(.name == $name and (.labels | contains($labels))).value' <<<"$figures"; }
metrics_reader=$PWD/tests/prometheus.py
alice vm create --name measured --memory 512M >/dev/null 2>&1
alice vm show nobody >/dev/null 2>&1
# shellcheck disable=SC2016
alice vm exec measured -- bash -c 'head -c 40000 /dev/zero >/dev/udp/$0/9' "$gateway"
figures=$(metrics)
check "metrics are in Prometheus' text format" test -n "$figures"
equal "VMs by state" "$(metric banger_vms '{"state":"running"}')/$(metric banger_vms '{"state":"stopped"}')" 1/0
equal "one boot was timed" "$(metric banger_vm_boot_seconds_count '{}')" 1
equal "requests by result" "$(metric banger_requests_total '{"op":"vm.show","result":"error"}')" 1
check "events by kind" test "$(metric banger_events_total '{"kind":"vm.ready"}')" -ge 1
for name in cpu_seconds_total memory_bytes; do
    check "banger_vm_$name of it" jq -e '. > 0' <<<"$(metric banger_vm_$name '{"vm":"measured"}')"
done
check "its network" jq -e '. > 20000' <<<"$(metric banger_vm_network_bytes_total '{"vm":"measured","direction":"sent"}')"
check "its disks" jq -e '. > 0' <<<"$(metric banger_vm_disk_bytes '{"vm":"measured","disk":"work"}')"
check "the engine's memory and descriptors" jq -e '. > 1000000' <<<"$(metric process_resident_memory_bytes '{}')"
check "descriptors" jq -e '. > 5 and . < 200' <<<"$(metric process_open_fds '{}')"
before=$(metric banger_requests_total '{"op":"vm.list","result":"ok"}')
alice vm list >/dev/null
figures=$(metrics)
equal "a counter counts" "$(metric banger_requests_total '{"op":"vm.list","result":"ok"}')" $((${before:-0} + 1))
alice vm delete -f measured >/dev/null
figures=$(metrics)
equal "a deleted VM has no figures" "$(metric banger_vm_memory_bytes '{"vm":"measured"}')" ""
