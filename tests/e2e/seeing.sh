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
