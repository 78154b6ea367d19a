# Ctrl-C and killed clients at different moments of create and run.
# shellcheck shell=bash

# interrupted SIGNAL SECONDS COMMAND...: starts it, signals the client, waits.
interrupted() {
    local signal=$1 after=$2
    shift 2
    start alice "$@" >/dev/null 2>"$WORLD/err"
    sleep "$after"
    kill "-$signal" "$client"
    wait "$client" 2>/dev/null
    status=$?
}
clean() { nothing_left alice && [ "$(alice vm list --json | jq '.vms | length')" = 0 ]; }

for after in 0.1 0.5 2; do
    interrupted INT $after banger vm create --name gone --memory 512M
    equal "Ctrl-C $after s into create: status" "$status" 130
    check "Ctrl-C $after s into create leaves nothing" until_true 10 clean
    interrupted INT $after banger vm run --name gone --memory 512M -- sleep 60
    equal "Ctrl-C $after s into run: status" "$status" 130
    check "Ctrl-C $after s into run leaves nothing" until_true 10 clean
done
interrupted KILL 1 banger vm run --rm --memory 512M -- sleep 60
check "a client killed during the boot of --rm leaves nothing" until_true 15 clean
interrupted KILL 8 banger vm run --rm --memory 512M -- sleep 60
check "a client killed during the command of --rm leaves nothing" until_true 15 clean
interrupted INT 8 banger vm run --rm --memory 512M -- sleep 60
equal "Ctrl-C in the command of --rm: 130" "$status" 130
check "and nothing is left" until_true 15 clean
