# Names: the server for .vm, over UDP and TCP, with garbage, without its port, and after deaths; ssh by them.
# shellcheck shell=bash
# shellcheck disable=SC2154

dns_of() { alice daemon status --json | jq -r "$1"; }
answering() { [ "$(dns_of .dns_pid)" != 0 ]; }
check "a DNS server answers" until_true 10 answering
server=$(dns_of .dns)
server=${server%:42069}
n=$(($(id -u alice) - 1000))
equal "at the address of the pool's account $n" "$server" "127.$((42 + n / 256)).$((n % 256)).1"
# ask NAME [TYPE] [OPTION...]: rcode, flags and answer
ask() { dig "@$server" -p 42069 +tries=1 +time=2 +noall +comments +answer "$@" 2>&1; }
short() { dig "@$server" -p 42069 +tries=1 +time=2 +short "$@" 2>&1; }
names() { [ "$(short "$1")" = "$2" ]; }

alice vm create --name named --memory 512M --no-start >/dev/null 2>&1
contains "a VM that does not run has no address" "$(ask named.vm)" "status: NXDOMAIN"
alice vm start named >/dev/null 2>&1
address=$(alice vm show named --json | jq -r .address)
equal "one that runs does, over UDP" "$(short named.vm)" "$address"
equal "over TCP" "$(short named.vm +tcp)" "$address"
equal "in any case" "$(short NaMeD.Vm)" "$address"
equal "with the account's name" "$(short named.alice.vm)" "$address"
equal "without EDNS" "$(short named.vm +noedns)" "$address"
equal "and its address has a name" "$(short -x "$address")" "named.vm."
contains "the answer is authoritative" "$(ask named.vm)" "flags: qr aa rd;"
contains "there is no AAAA" "$(ask named.vm AAAA)" "status: NOERROR"
contains "nor another name" "$(ask other.vm)" "status: NXDOMAIN"
contains "other zones are refused" "$(ask example.org)" "status: REFUSED"
contains "transfers too" "$(ask vm AXFR +tcp)" "Transfer failed"
equal "several queries over one connection" "$(short +tcp +keepopen named.vm named.vm | sort -u)" "$address"

python3 - "$server" <<'PY' && ok "garbage, floods and silent connections do it no harm" || not_ok "garbage"
import os, random, socket, struct, sys, time
at = (sys.argv[1], 42069)
random.seed(1)
query = struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + b'\5named\2vm\0\0\1\0\1'
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(2)
for i in range(3000):
    junk = bytearray(query) if i % 2 else bytearray(os.urandom(random.randrange(0, 1500)))
    for _ in range(3):
        if junk:
            junk[random.randrange(len(junk))] = random.randrange(256)
    u.sendto(junk, at)
for size in (0, 1, 11, 12, 60000):
    u.sendto(b'\0' * size, at)
# More connections than it keeps: the oldest give way; a length without a query, a length that is too long.
idle = [socket.create_connection(at) for _ in range(40)]
for s in idle[30:]:
    s.sendall(b'\x00')
long = socket.create_connection(at, 2)
long.sendall(b'\xff\xff' + b'x' * 8000)
try:
    assert long.recv(1) == b'', 'hung up on'
except ConnectionResetError:
    pass
# Many queries in one write, answers never read: the server hangs up and goes on.
deaf = socket.create_connection(at)
deaf.setblocking(False)
try:
    for _ in range(2000):
        deaf.send((struct.pack('>H', len(query)) + query) * 50)
except OSError:
    pass
time.sleep(1.2)  # the rate's bound
split = socket.create_connection(at, 5)
split.settimeout(5)
whole = struct.pack('>H', len(query)) + query
for b in whole:
    split.sendall(bytes([b]))
n = struct.unpack('>H', split.recv(2))[0]
assert split.recv(n)[:2] == query[:2]
PY
check "it still answers" until_true 5 names named.vm "$address"

# who PID: what it can do.
pid=$(dns_of .dns_pid)
equal "it has no capability, no new privileges and a filter" \
    "$(awk '/^(CapEff|NoNewPrivs|Seccomp):/ {printf "%s ", $2}' "/proc/$pid/status")" "0000000000000000 1 2 "
equal "no file but null and its sockets" \
    "$(find "/proc/$pid/fd" -type l -printf '%l\n' | sed 's/:.*//' | sort | uniq -c | awk '{printf "%s*%s ", $1, $2}')" "3*/dev/null 3*socket "
contains "doctor --privileges lists it" "$(alice doctor --privileges --json | jq -r '.processes[] | select(.role == "dns") | .name')" banger-dns
contains "doctor has a line for it" "$(alice doctor --json | jq -r '.checks[] | select(.name == "dns") | "\(.status) \(.text)"')" "PASS $server:42069 answers"

# ssh: banger's part in a configuration that is a link, has no newline at its end, and settings that would not do.
dot=/home/alice/dotfiles/ssh
as alice mkdir -p dotfiles .ssh
printf 'Host *\n  User nobody\n  IdentityFile ~/.ssh/id_ed25519\n  ForwardAgent yes\n  ControlPath none' | as alice tee dotfiles/ssh >/dev/null
as alice sh -c 'chmod 700 .ssh; chmod 640 dotfiles/ssh; ln -s ../dotfiles/ssh .ssh/config; echo mine >.ssh/id_ed25519; chmod 600 .ssh/id_ed25519'
before=$(sha256sum $dot /home/alice/.ssh/id_ed25519)
capture alice ssh-config --install
equal "ssh-config --install" "$status$err" 0
inode=$(stat -c %i $dot)
alice ssh-config --install
equal "a second time changes nothing" "$(stat -c %i $dot) $(grep -c 'BEGIN banger' $dot)" "$inode 1"
equal "mode, owner and link are as they were" "$(stat -c '%a %U' $dot) $(readlink /home/alice/.ssh/config)" "640 alice ../dotfiles/ssh"
equal "what it installs is what it prints" "$(alice ssh-config)" "$(cat /home/alice/.config/banger/ssh_config)"
log_in() { as alice ssh "$@" 2>"$WORLD/err" </dev/null; }
equal "ssh NAME.vm, as soon as the guest runs" "$(log_in named.vm 'hostname; whoami' | tr '\n' ' ')" "named root "
equal "ssh NAME.ACCOUNT.vm" "$(log_in NAMED.alice.vm hostname)" named
as alice sh -c 'echo carried >file; scp -q file named.vm:'
equal "scp" "$(alice vm exec named -- cat /root/file)" carried
equal "vm ssh uses the same files" "$(alice vm ssh named -- hostname)" named
equal "the host key is in banger's own files" "$(cd "$(state alice)/ssh/hosts" && echo *)" "named.alice.vm named.vm"
check "and not in the account's" test ! -e /home/alice/.ssh/known_hosts
sed -i 's/AAAA.*/AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/; s/ [a-z0-9-]* AAAA/ ssh-ed25519 AAAA/' "$(state alice)/ssh/hosts/named.vm"
log_in named.vm true
contains "another host key is refused" "$? $(cat "$WORLD/err")" "HOST IDENTIFICATION HAS CHANGED"
log_in nobody.vm true
contains "a VM that is not there" "$(cat "$WORLD/err")" "no VM is named nobody"
printf '\n# END banger\n' >>$dot
capture alice ssh-config --uninstall
contains "half a fence is left alone" "$status $err" "1 banger: /home/alice/dotfiles/ssh is left as it is: line 9 ends"
sed -i '$d' $dot
truncate -s -1 $dot
alice ssh-config --uninstall
equal "--uninstall leaves what was there, to the byte" "$(sha256sum $dot /home/alice/.ssh/id_ed25519)" "$before"
check "and nothing else" test ! -e /home/alice/.config/banger/ssh_config

# Deaths.
another() { [ "$(dns_of .dns_pid)" != "$pid" ] && answering; }
kill -9 "$pid"
check "killed, it is started again" until_true 10 another
check "and knows the names" until_true 5 names named.vm "$address"
pid=$(dns_of .dns_pid)
kill -9 "$(dns_of .pid)"
check "so it is when the engine is killed" until_true 20 another
check "and the names are there again" until_true 10 names named.vm "$address"
alice vm stop named >/dev/null 2>&1
contains "a stopped VM's name is gone" "$(ask named.vm)" "status: NXDOMAIN"

# Its port taken.
alice daemon stop >/dev/null
gone() { ! kill -0 "$pid" 2>/dev/null; }
check "it ends with the daemon" until_true 10 gone
as bob socat "UDP4-RECVFROM:42069,bind=$server,fork" EXEC:/bin/cat >/dev/null 2>&1 &
squatter=$!
bound() { ss -lnu | grep -q "$server:42069"; }
until_true 5 bound
alice vm start named >/dev/null 2>&1
equal "with its port taken the daemon serves all the same" "$?" 0
contains "daemon status says so" "$(dns_of .dns_problem)" "another program has port 42069 of $server"
contains "doctor warns" "$(alice doctor --json | jq -r '.checks[] | select(.name == "dns") | "\(.status) \(.remedy)"')" "WARN end what"
equal "the log says it once" "$(grep -c 'names of VMs are not answered' "$(state alice)/bangerd.log")" 1
pkill -P "$squatter" 2>/dev/null
kill "$squatter" 2>/dev/null
wait "$squatter" 2>/dev/null
check "once the port is free names are answered" until_true 30 names named.vm "$address"
alice vm delete -f named >/dev/null
equal "a deleted VM's host keys are gone" "$(ls "$(state alice)/ssh/hosts")" ""
contains "a deleted VM's name is gone" "$(ask named.vm)" "status: NXDOMAIN"
check "alice has nothing left" until_true 10 nothing_left alice
