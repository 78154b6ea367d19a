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

# --- the same over HTTP ---------------------------------------------------------------
config=/home/alice/.config/banger/config.toml
place=127.0.0.1:19464
status_of() { alice daemon status --json | jq -r "$1"; }
listening() { [ "$(status_of .metrics_pid)" != 0 ]; }
# scrape ACCOUNT [OPTION...]: the body, and the status in its last line
scrape() { as "$1" curl -s -m 10 -w '%{http_code}\n' "${@:2}" "http://$place/metrics"; }
equal "no port unless it is asked for" "$(status_of '"\(.metrics)\(.metrics_pid)"')" 0
check "and so no secret" test ! -e "$(state alice)/metrics.token"
echo 'metrics_listen_addr = "0.0.0.0:19464"' | as alice tee $config >/dev/null
capture alice metrics
contains "only the loopback: file and line" "$err" "$config:1: metrics_listen_addr must be a port of this host's loopback"
printf 'metrics_listen_addr = "%s"\nmetrics_poll_interval = 5\n' $place | as alice tee $config >/dev/null
check "the next call has the port opened" until_true 10 listening
token_file=$(status_of .metrics_token)
equal "its secret is the account's alone" "$(stat -c '%a %U %s' "$token_file")" "600 alice 65"
echo "Authorization: Bearer $(cat "$token_file")" | as alice tee header >/dev/null
scraped=$(scrape alice -H @header)
again=$(scrape alice -H @header)
equal "with the secret there are the figures" "$(tail -1 <<<"$scraped")" 200
figures=$(sed '$d' <<<"$scraped" | python3 "$metrics_reader")
equal "of the same VMs" "$(metric banger_vms '{"state":"running"}')" 1
equal "a text is good for metrics_poll_interval" "$again" "$scraped"
newer() { [ "$(scrape alice -H @header)" != "$scraped" ]; }
check "and then there is another" until_true 10 newer
contains "HEAD has none" "$(scrape alice -I -H @header)" 200
equal "nobody else is told anything" "$(scrape bob | tail -1) $(scrape bob | grep -c measured)" "401 0"
contains "with another secret neither" "$(scrape bob -H 'Authorization: Bearer 0123456789abcdef')" 401
check "bob cannot read it" sh -c "! runuser -u bob -- cat '$token_file' 2>/dev/null"
contains "there is nothing to write" "$(scrape alice -H @header -X POST)" 405
python3 - 19464 "$(status_of .metrics_pid)" <<'PY' && ok "garbage, silent and many connections do it no harm" || not_ok "garbage"
import os, random, socket, sys, time
at = ("127.0.0.1", int(sys.argv[1]))
random.seed(1)
request = b"GET /metrics HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n"
def ask(data):
    with socket.create_connection(at, 8) as s:
        s.settimeout(8)
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            return s.recv(64)
        except (ConnectionResetError, BrokenPipeError):
            return b""
for i in range(600):
    junk = bytearray(request) if i % 2 else bytearray(os.urandom(random.randrange(1, 6000)))
    for _ in range(3):
        junk[random.randrange(len(junk))] = random.randrange(256)
    assert not ask(junk).startswith(b"HTTP/1.1 2"), junk
assert ask(b"A" * 100000)[9:12] in (b"431", b"")
# A byte now and then does not keep a connection; more of them than there is room for keep nobody out.
slow = socket.create_connection(at)
began = time.monotonic()
try:
    for _ in range(100):
        slow.sendall(b"G")
        time.sleep(0.1)
    sys.exit("a slow request was waited for")
except OSError:
    assert 4 < time.monotonic() - began < 9, time.monotonic() - began
idle = [socket.create_connection(at) for _ in range(200)]
assert ask(request).startswith(b"HTTP/1.1 401")
held = len(os.listdir(f"/proc/{sys.argv[2]}/fd"))
assert 16 <= held <= 21, held
PY
pid=$(status_of .metrics_pid)
equal "it has no capability, no new privileges and a filter" \
    "$(awk '/^(CapEff|NoNewPrivs|Seccomp):/ {printf "%s ", $2}' "/proc/$pid/status")" "0000000000000000 1 2 "
equal "no file but null" "$(find "/proc/$pid/fd" -type l -printf '%l\n' | grep -v '^socket:' | sort -u)" /dev/null
contains "doctor --privileges lists it" "$(alice doctor --privileges --json | jq -r '.processes[] | select(.role == "metrics") | .name')" banger-metrics
contains "doctor has a line for it" "$(alice doctor --json | jq -r '.checks[] | select(.name == "metrics") | "\(.status) \(.text)"')" "PASS $place has the figures"
another() { [ "$(status_of .metrics_pid)" != "$pid" ] && listening; }
kill -9 "$pid"
check "killed, it is started again" until_true 10 another
pid=$(status_of .metrics_pid)
kill -9 "$(daemon_pid pid)"
check "and after the engine" until_true 20 another
served() { [ "$(scrape alice -H @header | tail -1)" = 200 ]; }
check "with the same secret" until_true 10 served
rm "$token_file"
kill -9 "$(status_of .metrics_pid)"
refused() { [ "$(scrape alice -H @header | tail -1)" = 401 ]; }
check "a deleted secret is made anew" until_true 10 refused
echo short | as alice tee "$token_file" >/dev/null
kill -9 "$(status_of .metrics_pid)"
wrong() { [ "$(status_of .metrics_problem)" = "$token_file holds no secret of 16 to 128 characters: delete it, and there will be another" ]; }
check "one that is none is said" until_true 10 wrong
rm "$token_file"
start bob socat "TCP-LISTEN:19465,bind=127.0.0.1,fork" EXEC:/bin/cat
squatter=$client
bound() { ss -lnt | grep -q 127.0.0.1:19465; }
until_true 5 bound
echo 'metrics_listen_addr = "127.0.0.1:19465"' | as alice tee $config >/dev/null
alice vm list >/dev/null
taken() { [ "$(status_of .metrics_problem)" = "another program has 127.0.0.1:19465" ]; }
check "a port that is taken is said, and the daemon serves all the same" until_true 10 taken
contains "doctor warns" "$(alice doctor --json | jq -r '.checks[] | select(.name == "metrics") | "\(.status) \(.remedy)"')" "WARN end what"
kill "$squatter"
check "once it is free it is had" until_true 30 listening
rm $config
alice vm list >/dev/null
closed() { ! ss -lnt | grep -q 127.0.0.1:1946; }
check "without the setting there is no port any more" until_true 10 closed

alice vm delete -f measured >/dev/null
figures=$(metrics)
equal "a deleted VM has no figures" "$(metric banger_vm_memory_bytes '{"vm":"measured"}')" ""
