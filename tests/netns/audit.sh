#!/bin/bash
# The audit trail through the installed helper, from plain accounts (bare numbers).
#   tests/world.sh tests/netns/audit.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${WORLD:?run it inside tests/world.sh}"
# shellcheck source=tests/lib.sh
. tests/lib.sh
alice=61000 bob=61001
logs=/var/log/banger
live=$logs/audit-$alice.jsonl
helper=/usr/local/libexec/banger/banger-helper

mount -t tmpfs -o mode=0755 tmpfs /dev
mknod -m 0666 /dev/null c 1 3
mknod -m 0666 /dev/urandom c 1 9
mkdir /dev/net && mknod -m 0600 /dev/net/tun c 10 200
ln -s /proc/self/fd /dev/fd && ln -s fd/0 /dev/stdin
chgrp 61999 "$helper" && setcap cap_net_admin,cap_sys_admin,cap_mknod=p "$helper"
printf 'allow gid 61999\npool 172.16.0.0/12 61000\nslots 4\n' >/etc/banger/policy.conf
gcc -std=gnu17 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -o "$WORLD/ask" tests/netns/audit_main.c tests/netns/lab.c \
    common/fdpass.c common/io.c || exit 1
socat -u UNIX-RECV:/dev/log,mode=0666 OPEN:"$WORLD/syslog.raw",creat,append &
socat=$!
until_true 5 test -S /dev/log || exit 1

ask() { timeout 60 "$WORLD/ask" "$@" | sed 's/ helper.*//'; }
as_alice() { setpriv --reuid $alice --regid $alice --clear-groups --inh-caps=-all --bounding-set=-all "$@" 2>&1; }
syslog() { sed 's/<86>/\n/g' "$WORLD/syslog.raw" >"$WORLD/syslog"; }
verify() { banger audit verify --user $alice --syslog "$WORLD/syslog" "$@" 2>&1; }
# damaged NAME WANTED SED-SCRIPT: the chain after that edit of the live file, which is undone.
damaged() {
    cp "$live" "$WORLD/kept"
    sed -i "$3" "$live"
    contains "tampering: $1" "$(verify)" "$2"
    check "tampering: $1 is exit status 1" test "$(verify >/dev/null; echo $?)" = 1
    cat "$WORLD/kept" >"$live"
}
good="verdict 0 reason 0 records 1" refused="verdict 1 reason 17 records 0"

equal "record: a request is answered" "$(ask $alice 3)" "$good"
equal "record: one line each" "$(wc -l <"$live")" 3
equal "record: on disk the file is root's alone" "$(stat -c '%u:%g %a' "$live")" "0:0 600"
check "record: each is JSON" jq -e . "$live" -c
equal "record: its members" "$(tail -n 1 "$live" | jq -c '[.n,.uid,.op_id,.operation,.slot,.verdict,.reason,.why]')" \
    '[3,61000,"0000000000000007","net_list",0,"allowed",0,"allowed"]'
head=$(tail -n 1 "$live" | tr -d '\n' | sha256sum | cut -d' ' -f1)
syslog
contains "record: syslog has its head" "$(cat "$WORLD/syslog")" "n=3 head=$head uid=61000"
contains "verify: good" "$(verify)" "good, records up to 3, head $head"
check "verify: exit status 0" verify
check "verify: a head from elsewhere" verify --head "$head"
contains "verify: without syslog it says what it cannot tell" "$(banger audit verify --user $alice --syslog /dev/null)" \
    "cannot be excluded"
contains "show: a record" "$(banger audit show --user $alice -n 1)" "net_list slot 0: allowed"
equal "show: JSON" "$(banger audit show --user $alice -n 2 --json | jq -c '[.accounts[0].records[].n]')" '[2,3]'
contains "root only: an account gets a sentence" "$(as_alice banger audit show)" "sudo banger audit"

# --- the account ---
coproc held { "$WORLD/ask" $alice 1 hold; }
holder=$held_PID # which bash forgets with the process
read -r line <&"${held[0]}"
parent=${line##* }
check "account: control: the parent runs" test -d "/proc/$parent"
contains "account: cannot list the folder" "$(as_alice ls $logs)" "Permission denied"
contains "account: cannot read its file" "$(as_alice cat "$live")" "Permission denied"
contains "account: not as root of a user namespace" "$(as_alice unshare -Urm cat "$live")" "Permission denied"
contains "account: nor by a mount there" "$(as_alice unshare -Urm sh -c "mount --bind $logs /mnt && cat /mnt/*")" "enied"
contains "account: not the helper's descriptors" "$(as_alice ls "/proc/$parent/fd/")" "Permission denied"
for fd in /proc/"$parent"/fd/*; do
    case $(readlink "$fd") in *audit-*) there=$fd ;; esac
done
check "account: control: the parent has the file" test -n "${there:-}"
contains "account: not that one" "$(as_alice cat "${there:-/}")" "Permission denied"
check "account: no worker has it" sh -c "! ls -l /proc/$parent/task/$parent/../../fd /dev/null >/dev/null; \
    for p in \$(cat /proc/$parent/task/$parent/children); do ! ls -l /proc/\$p/fd | grep -q audit- || exit 1; done"

# --- what goes wrong ---
echo >&"${held[1]}"
read -r line <&"${held[0]}"
contains "held: control: it records" "$line" "$good"
flock "$live" sleep 20 &
locker=$!
until_true 5 sh -c "! flock -n $live true"
begin=$SECONDS
equal "lock: held by a stopped process, a request is refused" "$(ask $alice 1)" "$refused"
check "lock: after two seconds or so" test $((SECONDS - begin)) -le 5
begin=$SECONDS
equal "lock: another account is served" "$(ask $bob 1)" "$good"
check "lock: at once" test $((SECONDS - begin)) -le 1
kill "$(pgrep -P $locker)" "$locker" 2>/dev/null
wait "$locker" 2>/dev/null
equal "lock: served again afterwards" "$(ask $alice 1)" "$good"
equal "limit: a file size limit of the caller's ends in a refusal" \
    "$(prlimit --fsize=100:100 "$WORLD/ask" $alice 1 | sed 's/ helper.*//')" "$refused"
printf '{"n":99' >>"$live"
equal "torn: a torn line is followed" "$(ask $alice 2)" "$good"
syslog
contains "torn: and covered" "$(verify)" ": good"

(ask $alice 1000 >"$WORLD/one") & one=$!
equal "both: two helpers at once" "$(ask $alice 1000)" "$good"
wait $one
equal "both: the other too" "$(cat "$WORLD/one")" "$good"
contains "both: one chain" "$(banger audit verify --user $alice --syslog /dev/null)" ": good"
check "both: of every record" test "$(wc -l <"$live")" -ge 2008

# --- what a worker does of itself ---
printf 'deny uid %s\n' $alice >>/etc/banger/policy.conf
nft flush ruleset
until_true 5 sh -c "tail -n 1 $live | grep -q 0000000000000000"
equal "own: rules are made again for who is denied meanwhile, and recorded" \
    "$(tail -n 1 "$live" | jq -c '[.op_id,.operation,.verdict]')" '["0000000000000000","net_list","allowed"]'
sed -i '$d' /etc/banger/policy.conf
chmod g+w /etc
contains "folder: one on the way that others can change, refused" "$(ask $alice 1)" \
    "a folder on the way to /etc/banger/policy.conf can be changed by others than root"
chmod g-w /etc
mkdir "$WORLD/etc" && mount --bind "$WORLD/etc" /etc/banger
equal "folder: control: where they cannot, it is another reason" "$(ask $alice 1)" "verdict 1 reason 1 records 1"
umount /etc/banger

# --- tampering ---
ask $alice 5 >/dev/null
sleep 0.5
syslog
contains "tampering: control: good before" "$(verify)" ": good"
damaged "an edited record" "jsonl:3: " '2s/"allowed"/"denied"/'
damaged "a removed first record" "jsonl:1: does not follow" 1d
damaged "a removed record" "jsonl:5: does not follow" 5d
damaged "records swapped" "jsonl:7: does not follow" '7{h;d};8{G}'
damaged "an added record" "does not follow" '9p'
damaged "a wrong counter" "jsonl:4: " '4s/"n":4/"n":5/'
damaged "a cut tail" "the tail was cut" '$d'
damaged "an edited last record" "syslog has the head" '$s/allowed/denied/'
damaged "a torn end" "no whole record" '$s/"prev.*//'
contains "tampering: undone, all is good" "$(verify)" ": good"

# --- rotation ---
(ask $alice 1500 >"$WORLD/one") & one=$!
for _ in 1 2 3; do
    sleep 0.2
    check "rotate: while a helper writes" banger audit rotate --user $alice
done
wait $one
equal "rotate: which is not disturbed" "$(cat "$WORLD/one")" "$good"
check "rotate: old files are there" test -s "$live.3"
equal "rotate: the first record says so" "$(head -n 1 "$live" | jq -r .operation)" rotated
contains "rotate: the chain goes on" "$(banger audit verify --user $alice --syslog /dev/null)" ": good"
sed -i '2s/allowed/denied/' "$live.3"
contains "rotate: tampering with an old file is found" "$(banger audit verify --user $alice --syslog /dev/null)" "jsonl.3:3:"

# --- where it cannot be written ---
exec {held[1]}>&-
wait "$holder" 2>/dev/null
mount -t tmpfs -o mode=0700,size=8k tmpfs $logs
if [ "$(printf '%s\n' 6.3 "$(uname -r)" | sort -V | head -n 1)" = 6.3 ]; then
    equal "full: control: there is room" "$(ask $alice 1)" "$good"
    head -c 1m /dev/urandom >$logs/filler 2>/dev/null
    for _ in $(seq 30); do last=$(ask $alice 1); [ "$last" = "$good" ] || break; done
    equal "full: a full disk refuses" "$last" "$refused"
    rm $logs/filler
    equal "full: and serves again" "$(ask $alice 1)" "$good"
    contains "full: one chain" "$(banger audit verify --user $alice --syslog /dev/null)" ": good"
else
    skip "full: a full disk refuses" "the small disk is a tmpfs, which has no idmapped mounts before Linux 6.3"
fi
mkdir "$WORLD/up-logs" "$WORLD/work-logs"
mount -t overlay -o "lowerdir=$logs,upperdir=$WORLD/up-logs,workdir=$WORLD/work-logs" overlay $logs &&
    chmod 0700 $logs
equal "fallback: no idmapped mounts, syslog alone" "$(ask $alice 1)" "verdict 0 reason 0 records 2"
umount $logs
umount $logs
chmod 0755 $logs
contains "folder: others may look in, refused" "$(ask $alice 1)" lost
chmod 0700 $logs
chown $alice $logs
contains "folder: the account's own, refused" "$(ask $alice 1)" lost
chown root $logs
mv $logs $logs.away
touch $logs && chmod 0700 $logs
contains "folder: a file in its place, refused" "$(ask $alice 1)" lost
rm $logs
equal "fallback: no folder, syslog alone" "$(ask $alice 1)" "verdict 0 reason 0 records 2"
kill $socat
summary
