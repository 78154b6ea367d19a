# A guest whose root means harm: it floods, sends garbage, ignores what it is asked, panics and
# fills its disk. The daemon, and the account's other guest, go on; what it costs the host is bounded.
# shellcheck shell=bash

for name in good bad; do
    capture alice vm create --name $name --memory 512M --quiet
    equal "a $name guest" "$status/$err" 0/
done
bad() { alice vm exec bad -- sh -c "$1" 2>&1; }
others_go_on() { [ "$(timeout 20 runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm exec good -- echo yes 2>/dev/null)" = yes ]; }
bad_state() { alice vm show bad --json | jq -r .state; }
folder=$(state alice)/vms/$(printf %03x "$(alice vm show bad --json | jq -r .slot)")
engine=$(alice daemon status --json | jq -r .pid)
memory() { awk '/^Pss_Anon:/ {print $2}' "/proc/$engine/smaps_rollup"; }
before=$(memory)

# --- floods ---------------------------------------------------------------------------
bad 'timeout 3 yes "$(seq -s " " 200)" >/dev/console' >/dev/null
size=$(stat -c %s "$folder/console.log")
check "console: 2 MiB are kept of a flood at most ($size)" test "$size" -le $((2 << 20))
check "console: and it can be read" sh -c 'runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm logs bad | tail -c 2000 | grep -q 200'

# Ten commands write all they can to a client that does not read.
as alice sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do banger vm exec bad -- yes & done; echo $$ >/home/alice/flood; wait' | sleep 6 &
flood=$!
sleep 2
check "agent link: another guest's commands go on beside ten floods" others_go_on
check "agent link: the flooding guest's other commands too" test "$(bad 'echo yes')" = yes
after=$(memory)
check "agent link: the engine's memory is bounded ($before KiB, $after KiB)" test "$after" -le $((before + 10 * 300 + 1024))
wait $flood
equal "agent link: the floods end with their client" "$(bad 'sleep 1; ps -e | grep -c " yes$"')" 0

gateway=$(alice vm show bad --json | jq -r .address | sed 's/\.[0-9]*$/.1/')
good=$(alice vm show good --json | jq -r .address)
bad "timeout 3 sh -c 'for port in 1 2 3 4; do cat /dev/zero >/dev/udp/$gateway/\$port & done; wait' 2>/dev/null" >/dev/null &
flood=$!
check "network: another guest answers beside a flood" as alice ping -c 2 -W 5 "$good"
check "network: its commands go on" others_go_on
wait $flood

# --- a disk that is full -----------------------------------------------------------------
bad 'dd if=/dev/zero of=/root/full bs=1M 2>/dev/null; rm /root/full; echo kept >/root/kept; sync' >/dev/null
equal "a full work disk: the guest goes on" "$(bad 'cat /root/kept')" kept

# --- what it is asked ---------------------------------------------------------------------
bad 'for pid in $(pidof banger-agent); do kill -STOP $pid; done' >/dev/null &
stopped=$!
until_true 20 sh -c '! timeout 3 runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm exec bad -- true' 2>/dev/null
began=$SECONDS
capture alice vm stop bad --grace 2
equal "a guest that does not answer: stop" "$status" 0
check "it is forced after its time ($((SECONDS - began)) s)" test $((SECONDS - began)) -le 20
equal "and it is stopped" "$(bad_state)" stopped
kill $stopped 2>/dev/null
e2fsck -fp "$folder/work.ext4" >/dev/null
check "its work disk is no worse than its journal can mend" test $? -le 1
capture alice vm start bad
equal "it starts again" "$status/$(bad 'cat /root/kept')" 0/kept

# --- garbage in the agent's place -----------------------------------------------------------
# The agent's process is ended and its port written to: frames that are none.
bad 'port=$(echo /dev/vport*p1)
    setsid sh -c "sleep 1; kill -9 \$(pidof banger-agent); (head -c 4M /dev/urandom; head -c 4M /dev/zero; head -c 4M /dev/urandom) >$port" >/dev/null 2>&1 &' >/dev/null
sleep 4
capture timeout 90 runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm exec bad -- true
check "garbage: a command is refused with one sentence" test "$status" -ne 0 -a "$(grep -c '^banger: ' <<<"$err")" -eq 1
check "garbage: the engine is the same" test "$(alice daemon status --json | jq -r .pid)" = "$engine"
check "garbage: the other guest goes on" others_go_on
capture alice vm stop bad --grace 1
equal "garbage: stop" "$status/$(bad_state)" 0/stopped

# --- a panic -----------------------------------------------------------------------------------
alice vm start bad >/dev/null 2>&1
bad 'echo c >/proc/sysrq-trigger' >/dev/null &
panic=$!
is_down() { [ "$(bad_state)" != running ]; }
check "a panic: the VM is found stopped" until_true 30 is_down
kill $panic 2>/dev/null
contains "a panic: the console says so" "$(alice vm logs bad | tail -n 40)" "panic"
check "the other guest has seen nothing of it" others_go_on
alice vm delete -f bad good >/dev/null
check "nothing is left" until_true 10 nothing_left alice
