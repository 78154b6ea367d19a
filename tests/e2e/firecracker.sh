# VMs in Firecracker: a whole life in the real jail, over its API and its vsock. In its place
# stands the server of tests/firecracker, which refuses what Firecracker refuses and has QEMU
# run the guest. FIRECRACKER_BIN=/PATH takes that program instead (it needs KVM).
# shellcheck shell=bash

policy=/etc/banger/policy.conf
capture alice vm create --name fc --vmm firecracker --no-start
check "without a line in the policy it is refused" test "$status" -ne 0
contains "and who changes that is said" "$err" "an administrator adds \`vmm firecracker /PATH/OF/ITS/PROGRAM\` to $policy"

mkdir -p /etc/banger-test
behave() { printf '%s\n' "$@" >/etc/banger-test/behaviour; }
behave
fake=1
program=/usr/local/libexec/firecracker-test/firecracker
mkdir -p "$(dirname $program)"
if [ -n "${FIRECRACKER_BIN:-}" ]; then
    fake=0
    install -m 0755 "$FIRECRACKER_BIN" $program
    echo "vmm firecracker $program" >>$policy
else
    make -s build/firecracker/firecracker || not_ok "the test server builds"
    install -m 0755 build/firecracker/firecracker $program
    echo "vmm firecracker $program /usr/lib /usr/lib64 /usr/bin /usr/share /etc/banger-test" >>$policy
    if out=$(python3 tests/firecracker/refusals.py build/firecracker/firecracker 2>&1); then
        ok "the test server refuses what Firecracker refuses ($(echo "$out" | tail -n 1))"
    else
        not_ok "the test server refuses what Firecracker refuses" "$out"
    fi
fi

fc_state() { alice vm show fc --json | jq -r .state; }
fc_is() { [ "$(fc_state)" = "$1" ]; }
fc_alive() { [ "$(alice vm exec fc -- echo yes 2>/dev/null)" = yes ]; }
fc_folder() { echo "$(state alice)/vms/$(printf %03x "$(alice vm show fc --json | jq -r .slot)")"; }
fc_pids() { ps -u alice -o pid=,args= | awk -v p="$program" '$2 == p {print $1}'; }
fc_left() { leftovers alice; fc_pids; }
fc_nothing() { [ -z "$(fc_left)" ]; }

# --- what is made -----------------------------------------------------------------------
alice vm create --name auto --no-start >/dev/null 2>&1
[ $fake -eq 0 ] || equal "auto: without KVM a VM is QEMU's" "$(alice vm show auto --json | jq -r .vmm)" qemu
alice vm delete -f auto >/dev/null
capture alice vm create --name fc --vmm firecracker --vcpu 33 --no-start
alice vm start fc >/dev/null 2>"$WORLD/err"
contains "33 processors are too many" "$(cat "$WORLD/err")" "at most 32 processors"
alice vm delete -f fc >/dev/null
capture alice vm create --name fc --vmm kvmtool --no-start
equal "another word is refused" "$status" 2

# --- a life -----------------------------------------------------------------------------
capture alice vm create --name fc --vmm firecracker --memory 512M --vcpu 1 --root-disk copy
equal "create --vmm firecracker" "$status/$(fc_state)" 0/running
if [ "$status" -ne 0 ]; then # the rest would only wait
    alice vm logs fc | tail -n 5
    alice vm logs --which vmm fc | tail -n 20
    alice vm delete -f fc >/dev/null
    return
fi
equal "list and show say what runs it" "$(alice vm list --json | jq -r '.vms[].vmm')" firecracker
equal "its program runs" "$(fc_pids | wc -l)" 1
equal "the agent is reached over vsock" "$(alice vm exec fc -- sh -c 'ls /sys/class/virtio-ports | wc -l; grep -c VSOCK /proc/net/protocols' | tr '\n' ' ')" "0 1 "
address=$(alice vm show fc --json | jq -r .address)
contains "its address is set" "$(alice vm exec fc -- ip -4 -o addr show eth0)" "$address/"
check "the host reaches it through the tap" as alice ping -c 1 -W 2 "$address"
contains "the tap is the account's own, by name" "$(ip -d -o link show dev "bt$(printf %08x "$(id -u alice)")$(basename "$(fc_folder)")")" "persist on user alice"
head -c 3000000 /dev/urandom >"$WORLD/data"
equal "bytes go in whole" "$(alice vm exec fc -- sha256sum <"$WORLD/data" | cut -d' ' -f1)" "$(sha256sum <"$WORLD/data" | cut -d' ' -f1)"
alice vm exec fc -- cat <"$WORLD/data" >"$WORLD/back"
check "and come back" cmp "$WORLD/data" "$WORLD/back"
alice vm exec fc -- sh -c 'exit 7'
equal "a command's status comes back" "$?" 7
alice vm exec fc -- sh -c 'echo kept > /root/work; echo kept > /var/root; echo told the console > /dev/console; sync'
contains "the console is kept" "$(alice vm logs fc)" "told the console"

# --- its API's socket, and its log -------------------------------------------------------
jail=$(fc_folder)/jail
equal "its sockets are the account's alone" "$(stat -c '%U %a' "$jail/api.sock" "$jail/vsock.sock" | sort -u)" "alice 700"
as alice python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"PUT /nothing HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"); s.recv(4096)' "$jail/api.sock"
contains "its log is kept" "$(alice vm logs --which vmm fc)" "Invalid request method and/or path"
check "bounded, in the jail a fifo" test -p "$jail/log"
# What is in that folder is hostile: nothing there is followed.
as alice mv "$jail/api.sock" "$jail/true.sock"
as alice ln -s "$(state alice)/run/bangerd.sock" "$jail/api.sock"
capture alice daemon status
equal "a socket that became a link harms nobody" "$status" 0
as alice mv "$jail/true.sock" "$jail/api.sock"

# --- the daemon's death -------------------------------------------------------------------
daemon_pid() { alice daemon status --json | jq -r ".$1"; }
kill -9 "$(daemon_pid pid)"
check "engine killed: the VM goes on, the agent is reached again" until_true 20 fc_alive
kill -9 "$(daemon_pid monitor_pid)" "$(daemon_pid pid)"
check "both killed: the same" until_true 20 fc_alive
alice daemon stop >/dev/null
check "daemon stopped and started: the same" until_true 20 fc_alive

# --- ends ------------------------------------------------------------------------------------
capture alice vm stop fc
equal "stop" "$status/$(fc_state)" 0/stopped
check "root disk is clean after stop" e2fsck -fn "$(fc_folder)/root.ext4"
check "work disk is clean after stop" e2fsck -fn "$(fc_folder)/work.ext4"
check "its tap is gone" until_true 10 sh -c "! ip -o link | grep -q bt$(printf %08x "$(id -u alice)")"
if [ $fake -eq 1 ]; then
    # While nothing runs, each way to fail at a start; it is undone within seconds.
    attempt() {
        behave "$@"
        capture alice vm start fc
    }
    attempt "at /drives/root" "refuse 1"
    contains "a refusal is told with its reason" "$err" "Firecracker refuses PUT /drives/root (400): asked to refuse /drives/root"
    equal "and the VM is failed" "$status/$(fc_state)" 1/failed
    attempt "at /vsock" "refuse 2" "split 7"
    contains "so is one that is no JSON" "$err" 'asked for the other kind All previous unanswered requests will be dropped.'
    attempt "at /version" "refuse 3"
    contains "and a full house" "$err" "(503): Too many open connections"
    attempt "at /machine-config" "refuse 4"
    contains "nonsense is none" "$err" "the VMM's answer cannot be read"
    attempt "at /boot-source" "cut 20"
    contains "half an answer" "$err" "the connection to the VMM broke"
    attempt "at /network-interfaces/eth0" "refuse 5"
    contains "a VMM that dies says with which status" "$err" "its VMM ended with exit status 148"
    behave "delay 3000"
    alice vm start fc >/dev/null 2>&1 &
    starts=$!
    check "a start that takes long" until_true 10 sh -c "pgrep -u alice -f '^$program '"
    kill -9 "$(daemon_pid pid)"
    wait $starts
    equal "and the engine's end in its midst: no VM runs that was never booted" "$(fc_state)" stopped
    attempt "version nightly"
    contains "a version that is none" "$err" "does not say which version it is"
    check "nothing runs after all that" until_true 5 sh -c "[ -z \"\$(pgrep -u alice -f '^$program ')\" ]"
fi
behave "split 3" "delay 20" "version 1.3.0" # from here on it dawdles, and knows no /entropy
capture alice vm start fc
equal "start" "$status/$(fc_state)" 0/running
equal "both disks keep what was written" "$(alice vm exec fc -- cat /root/work /var/root | tr '\n' ' ')" "kept kept "
off() { # systemd may still be starting
    alice vm exec fc -- systemctl poweroff >/dev/null 2>&1
    sleep 1
    fc_is stopped
}
check "systemd's power-off ends it" until_true 60 off
behave
alice vm start fc >/dev/null 2>&1
kill -9 "$(fc_pids)"
check "its program killed: the VM is marked stopped" until_true 10 fc_is stopped
check "its sockets are left behind" test -S "$jail/api.sock"
alice vm start fc >/dev/null 2>&1
check "and are in nobody's way" fc_alive
# Nothing but Ctrl+Alt+Del is left where the agent does not answer.
alice vm exec fc -- sh -c 'kill -STOP $(pidof banger-agent)' >/dev/null 2>&1 &
agent_stops=$!
sleep 1
capture alice vm stop --grace 30 fc
equal "an agent that hangs: Ctrl+Alt+Del stops it" "$status/$(fc_state)" 0/stopped
kill $agent_stops 2>/dev/null
alice vm start fc >/dev/null 2>&1
kill -9 "$(daemon_pid monitor_pid)" "$(fc_pids)"
check "program and daemon killed: found out at the next start" until_true 20 sh -c 'runuser -u alice -- env HOME=/home/alice /usr/local/bin/banger vm show fc --json | jq -e ".state != \"running\""'
alice vm start fc >/dev/null 2>&1
capture alice vm kill fc
check "kill" until_true 5 fc_is stopped
alice vm delete -f fc >/dev/null
check "nothing is left" until_true 10 fc_nothing
sed -i '/^vmm firecracker /d' $policy
