# Sessions: commands that go on without their client, and without the daemon; `vm acp`.
# shellcheck shell=bash

alice vm create --name talk --memory 512M >/dev/null 2>&1
talk() { # VERB WORDS...
    local verb=$1
    shift
    alice vm session "$verb" talk "$@"
}
inside() { alice vm exec talk -- sh -c "$1"; }
shown() { talk show "$1" --json | jq -r ".$2"; }
has_ended() { [ "$(shown "$1" state)" != running ]; }
logged() { [ "$(talk logs "$1")" = "$2" ]; }

capture talk list
equal "no session yet" "$status/$out" "0/NAME  STATE  PID  STARTED  ENDED  ATTACHED  COMMAND"
inside 'mkdir -p /root/work'
capture talk start --name job --cwd /root/work --env A=b --require-command cat --require-command sh -- \
    sh -c 'echo "$A in $(pwd)"; echo oops >&2; exit 3'
equal "start: status" "$status" 0
contains "start: says how to come back" "$out" "banger vm session attach talk job"
check "it ends by itself" until_true 20 has_ended job
equal "show: state, status and folder" "$(shown job state) $(shown job exit_code) $(shown job cwd)" "exited 3 /root/work"
contains "show, for people" "$(talk show job)" "command      sh -c 'echo \"\$A in \$(pwd)\"; echo oops >&2; exit 3'"
equal "logs: stdout" "$(talk logs job)" "b in /root/work"
equal "logs: stderr" "$(talk logs job --stream stderr)" oops
contains "list" "$(talk list)" "exited 3"

# Looked up first: what is missing is named, nothing is started, nothing is left.
capture talk start --name never --require-command no-such-tool --require-command sh -- sleep 100
contains "a missing command is named" "$status $err" "1 banger: VM talk: not in the guest, so nothing was started: no-such-tool"
capture talk start --name never -- no-such-command
contains "the command itself too" "$status $err" "1 banger: VM talk: not in the guest, so nothing was started: no-such-command"
capture talk start --name never --cwd /no/where -- sleep 100
contains "and the folder" "$status $err" "1 banger: VM talk: cannot enter the folder /no/where in the guest: No such file or directory"
capture talk start --name Never -- true
equal "a bad name is refused" "$status" 2
capture talk show never
contains "nothing is left of those" "$status $err" "1 banger: VM talk: there is no session never"

# A pipe-mode session over the death of client, engine and daemon.
talk start --name long --stdin-mode pipe -q -- sh -c 'while read -r l; do echo "got $l"; done; echo over; exit 5' >/dev/null
pid=$(shown long pid)
capture talk start --name long -- true
contains "a name in use is refused" "$status $err" "1 banger: VM talk: session long runs already: choose another name, or stop it first"
talk send long one
kill -9 "$(alice daemon status --json | jq -r .pid)"
echo two | talk send long
kill -9 "$(alice daemon status --json | jq -r .monitor_pid)"
capture talk send long three
equal "send after the daemon was killed twice" "$status$err" 0
check "and it was the same process all along" test "$pid" = "$(shown long pid)"
check "which got all of it" until_true 10 logged long "$(printf 'got one\ngot two\ngot three')"

# attach is exclusive; detaching leaves it running; at its end the status is its own.
mkfifo "$WORLD/keys"
chmod 666 "$WORLD/keys"
exec 7<>"$WORLD/keys"
start alice sh -c 'exec banger vm session attach talk long <"$0"' "$WORLD/keys" >"$WORLD/attached" 2>&1
attached() { [ -n "$(shown long attached)" ]; }
check "attached" until_true 20 attached
capture talk attach long </dev/null
equal "a second one is refused, and told who" "$status $err" "125 banger: session long is attached already: banger with pid $client"
echo four >&7
check "what is typed arrives, and the answer is shown" until_true 10 grep -qx "got four" "$WORLD/attached"
equal "nothing of before is shown" "$(cat "$WORLD/attached")" "got four"
kill -INT "$client"
wait "$client"
equal "Ctrl-C detaches: 130" "$?" 130
detached() { ! attached; }
check "and it is free again" until_true 20 detached
equal "and runs" "$(shown long state)" running
start alice sh -c 'exec banger vm session attach talk long <"$0"' "$WORLD/keys" >"$WORLD/attached" 2>&1
check "attached again" until_true 20 attached
talk send long --close </dev/null
wait "$client"
equal "attach ends with its status" "$?" 5
equal "and its last word" "$(cat "$WORLD/attached")" over
exec 7>&-
contains "an ended one cannot be attached" "$(talk attach long 2>&1 </dev/null)" "does not run any more: it exited with status 5"

# stop, kill, logs -f, and a log that does not grow.
talk start --name deaf -q -- sh -c 'trap "" TERM; echo up; while :; do sleep 1; done' >/dev/null
check "up" until_true 10 logged deaf up
equal "stop forces at the end of its patience" "$(talk stop deaf --grace 1)" "deaf: killed 9"
talk start --name stone -q -- sh -c 'trap "" TERM; echo up; while :; do sleep 1; done' >/dev/null
check "up" until_true 10 logged stone up
start alice banger vm session stop talk stone --grace 5
sleep 2
kill -KILL "$client"
wait "$client" 2>/dev/null
check "who asked for a stop is gone: forced all the same" until_true 20 has_ended stone
equal "by KILL" "$(shown stone signal)" 9
talk start --name script -q -- sh -c "$(printf ': a%0350dtrue' 0 | tr 0 '\n')" >/dev/null
check "a script of many lines ends" until_true 10 has_ended script
contains "and does not spoil the list" "$(talk list)" "script"
start alice banger vm session logs talk deaf -f >"$WORLD/followed" 2>&1
wait "$client"
equal "logs -f of an ended one ends" "$? $(cat "$WORLD/followed")" "0 up"
talk start --name mild -q -- sleep 1000 >/dev/null
equal "kill --signal" "$(talk kill mild --signal USR1 >/dev/null; until_true 10 has_ended mild; shown mild signal)" 10
talk start --name chatty -q -- seq 1500000 >/dev/null
check "a chatty one ends" until_true 90 has_ended chatty
check "its log is bounded" test "$(inside 'cat /root/.cache/banger/sessions/chatty/stdout* | wc -c')" -le $((4 << 20))
equal "and keeps the newest" "$(talk logs chatty | tail -n 1)" 1500000

# acp: opencode's own words through, and one sentence where there is none.
capture alice vm acp talk </dev/null
equal "acp without opencode" "$status $out$err" "127 banger: opencode is not in this guest: install it there, or use an image that has it"
inside 'printf "#!/bin/sh\necho \"\$1 \$(pwd)\"; sed s/ping/pong/\n" >/usr/local/bin/opencode; chmod +x /usr/local/bin/opencode'
equal "acp carries standard input and output" "$(printf '{"ping":1}\n' | alice vm acp talk --cwd /root/work)" "$(printf 'acp /root/work\n{"pong":1}')"

# A session ends with its guest; what it wrote is there afterwards.
talk start --name last -q -- sh -c 'echo kept; sleep 1000' >/dev/null
check "the last one is up" until_true 10 logged last kept
inside sync
alice vm kill talk >/dev/null
capture talk list
contains "of a stopped VM: one sentence" "$status $err" "1 banger: VM talk is not running; \`banger vm start talk\` starts it"
alice vm start talk >/dev/null 2>&1
equal "after the VM was killed it is lost" "$(shown last state)" lost
equal "and its log still there" "$(talk logs last)" kept
alice vm delete -f talk >/dev/null
check "nothing is left" until_true 10 nothing_left alice
