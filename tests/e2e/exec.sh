# Commands in a running VM: statuses, signals, streams, terminal, environment.
# shellcheck shell=bash

alice vm create --name box --memory 768M --vcpu 2 >/dev/null 2>&1
equal "vm create" "$(alice vm show box --json | jq -r .state)" running
for code in 0 1 42; do
    capture alice vm exec box -- sh -c "exit $code"
    equal "exec: exit status $code" "$status" "$code"
done
capture alice vm exec box -- no-such-command
equal "exec: command not found is 127" "$status" 127
contains "exec: and says so" "$err" no-such-command
capture alice vm exec box -- /etc/passwd
equal "exec: not executable is 126" "$status" 126
capture alice vm exec box -- sh -c 'kill -9 $$'
equal "exec: killed by signal 9 is 137" "$status" 137

capture alice vm exec box -- sh -c 'echo out; echo err >&2'
equal "stdout and stderr are apart" "$out/$err" out/err
equal "stdin reaches the command" "$(echo hello | alice vm exec box -- cat)" hello

head -c 64M /dev/urandom >"$WORLD/data"
chmod 644 "$WORLD/data"
sum=$(sha256sum <"$WORLD/data")
alice vm exec box -- sh -c 'tee /dev/stderr' <"$WORLD/data" >"$WORLD/out" 2>"$WORLD/err"
equal "64 MiB through stdin and stdout" "$(sha256sum <"$WORLD/out")" "$sum"
equal "the same 64 MiB on stderr" "$(sha256sum <"$WORLD/err")" "$sum"

contains "a terminal with its size" "$(as alice script -qec 'stty rows 33 cols 77; banger vm exec -t box -- stty size' /dev/null </dev/null 2>&1)" "33 77"
equal "no terminal unless asked" "$(alice vm exec box -- sh -c 'test -t 1; echo $?')" 1
equal "--cwd" "$(alice vm exec box --cwd /usr -- pwd)" /usr
equal "--env" "$(alice vm exec box --env A=b -- sh -c 'echo $A')" b
equal "--user" "$(alice vm exec box --user nobody -- id -un)" nobody
capture alice vm exec box --cwd /nowhere -- true
equal "--cwd that is not there" "$status" 126

capture alice vm exec box --auto-prepare -- true
contains "--auto-prepare without a workspace" "$status $err" "125 banger: VM box has no workspace"

no_sleep() { [ "$(alice vm exec box -- sh -c 'pgrep -x sleep || echo none')" = none ]; }
sleeps() { alice vm exec box -- pgrep -x sleep >/dev/null; }

# Ctrl-C: the command gets SIGINT, and the client goes with 128 + 2.
start alice banger vm exec box -- sleep 97
check "the command runs" until_true 10 sleeps
kill -INT "$client"
wait "$client"
equal "Ctrl-C ends the command with 130" "$?" 130
check "and it is gone in the guest" until_true 5 no_sleep

# A client that is killed takes its command with it.
start alice banger vm exec box -- sleep 98
check "the command runs" until_true 10 sleeps
kill -KILL "$client"
wait "$client" 2>/dev/null
check "a killed client's command ends" until_true 10 no_sleep

equal "twenty at once" "$(for i in $(seq 20); do alice vm exec box -- echo "n$i" & done | sort | uniq | wc -l)" 20
contains "ssh with banger's own key" "$(until_true 60 alice vm ssh box -- true 2>/dev/null; alice vm ssh box -- hostname 2>&1)" box
contains "vm logs shows the console" "$(alice vm logs box)" systemd
equal "vm logs --which vmm: it alone" "$(alice vm logs box --which vmm | grep -c systemd)" 0
start alice banger vm logs -f box >"$WORLD/follow"
follower=$client
start alice banger vm logs -f box >"$WORLD/out"
alice vm exec box -- sh -c 'echo said later >/dev/console'
check "vm logs -f: what comes later" until_true 5 grep -q 'said later' "$WORLD/follow"
kill -INT "$client"
wait "$client"
equal "vm logs -f: Ctrl-C" "$?" 130
equal "vm list --json" "$(alice vm list --json | jq -r '.vms[] | .name + " " + .state')" "box running"
alice vm delete -f box >/dev/null
wait "$follower"
equal "vm logs -f ends with the VM" "$?" 0
check "delete leaves nothing" until_true 10 nothing_left alice
