# `vm run`: command shape, statuses, --rm, the warning, bare shape on a terminal.
# shellcheck shell=bash

capture alice vm run --rm --memory 512M -- uname -a
equal "vm run --rm -- uname -a: status" "$status" 0
contains "vm run --rm -- uname -a: the guest answers" "$out" "-cloud-amd64"
contains "emulation is one line of warning" "$err" "emulation"
contains "spec line" "$err" "spec: "
check "--rm leaves nothing" until_true 10 nothing_left alice

capture alice vm run --rm --memory 512M -- sh -c 'exit 42'
equal "vm run passes the status on" "$status" 42
check "--rm deletes whatever the status" until_true 10 nothing_left alice

capture alice vm run --rm --quiet --memory 512M -- /nowhere/program
equal "a command that is not there: 127" "$status" 127
equal "--quiet: no stages" "$(grep -c -e spec: -e ready "$WORLD/err")" 0

# Bare: a shell on a terminal; leaving it keeps the VM.
printf 'echo shell-$((40+2)); exit\n' >"$WORLD/typed"
out=$(as alice script -qec "banger vm run --name bare --memory 512M" /dev/null <"$WORLD/typed" 2>&1)
contains "bare run: an interactive shell" "$out" shell-42
contains "bare run: reminder how to remove it" "$out" "banger vm delete bare"
equal "bare run: the VM stays" "$(alice vm show bare --json | jq -r .state)" running
alice vm delete -f bare >/dev/null

capture alice vm run -d --name det --memory 512M
equal "detached run" "$status" 0
equal "detached run: the VM is running" "$(alice vm show det --json | jq -r .state)" running
alice vm delete -f det >/dev/null
capture alice vm run -d --rm
equal "-d with --rm is refused before anything is made" "$status/$(alice vm list --json | jq '.vms | length')" 2/0
