# `vm cp`: files and trees both ways; what goes wrong leaves no half of anything.
# shellcheck shell=bash

alice vm create --name copy --memory 512M >/dev/null 2>&1
as alice sh -ec 'mkdir -p tree/deep/er tree/empty got
    echo one >tree/one; head -c 3M /dev/urandom >tree/deep/big; ln -s ../one tree/deep/link; ln -s /etc tree/out
    printf "#!/bin/sh\n" >"tree/a name"; chmod 751 "tree/a name"; touch -d "2001-02-03 04:05:06.7" tree/one tree/deep'
# listing: what a copy keeps of a tree, as find tells it.
listing="find . -printf '%p %y %m %T@ %l\n' | sort"
want=$(as alice sh -c "cd tree && $listing")
in_guest() { alice vm exec copy -- sh -c "$1"; }

capture alice vm cp tree copy:/srv
equal "a tree into the guest: status" "$status$out" 0
equal "a tree into the guest: modes, times and links" "$(in_guest "cd /srv/tree && $listing")" "$want"
equal "a tree into the guest: it is root's" "$(in_guest 'find /srv/tree ! -user root -o ! -group root')" ""
capture alice vm cp copy:/srv/tree got
equal "the tree out again: status" "$status" 0
equal "the tree out again: modes, times and links" "$(as alice sh -c "cd got/tree && $listing")" "$want"
check "the tree out again: every byte" as alice diff -r --no-dereference tree got/tree
equal "the tree out again: it is alice's" "$(find /home/alice/got ! -user alice)" ""
capture alice vm cp tree/one copy:other
equal "a file under another name, in root's home" "$status/$(in_guest 'cat /root/other')" 0/one
capture alice vm cp copy:other copy.txt
equal "a file out under another name" "$status/$(cat /home/alice/copy.txt)" 0/one
capture alice vm cp tree/. copy:/srv/new
equal "a folder's content" "$status/$(in_guest 'ls /srv/new | wc -l')" 0/5

head -c 64M /dev/urandom >"$WORLD/data"
chmod 644 "$WORLD/data"
began=$SECONDS
capture alice vm cp "$WORLD/data" copy:/root/data
equal "64 MiB into the guest" "$status/$(in_guest 'sha256sum </root/data')" "0/$(sha256sum <"$WORLD/data")"
capture alice vm cp copy:data got/data
equal "64 MiB out of it" "$status/$(sha256sum </home/alice/got/data)" "0/$(sha256sum <"$WORLD/data")"
echo "twice 64 MiB in $((SECONDS - began)) s"

in_guest 'cp /bin/true /srv/suid && chmod 6755 /srv/suid && mkdir /srv/special && mkfifo /srv/special/pipe && mknod /srv/special/null c 1 3'
capture alice vm cp copy:/srv/suid got
equal "set-id bits stay behind" "$(stat -c %a /home/alice/got/suid)" 755
capture alice vm cp copy:/srv/special got
contains "devices and pipes are left out, and said" "$status $err" "special/null is left out: it is neither file, link nor folder"
equal "and nothing is made of them" "$(ls -A /home/alice/got/special)" ""

capture alice vm cp nothing copy:/srv
contains "nothing to copy: said" "$status $err" "1 banger: cannot read nothing: No such file or directory"
capture alice vm cp copy:/nothing got
contains "nothing to copy in the guest: said" "$status $err" "1 banger: VM copy: cannot read /nothing: No such file or directory"
capture alice vm cp tree/one copy:/no/where
contains "no such folder in the guest: said" "$status $err" "1 banger: VM copy: there is no folder for /no/where: make it first"
capture alice vm cp copy:other no/where
contains "no such folder here: said" "$status $err" "1 banger: there is no folder for no/where: make it first"
capture alice vm cp copy:/etc/passwd /etc/passwd
contains "what alice may not write: said" "$status $err" "1 banger: cannot make passwd: Permission denied"
capture alice vm cp a b
contains "neither is in a VM: said" "$status $err" "2 banger: neither is in a VM"
capture alice vm cp nobody:a b
contains "no such VM: said" "$status $err" "1 banger: no VM is named nobody"

# A disk that is too small, at either end, and copies that are broken off.
in_guest 'mount -t tmpfs -o size=4m tmpfs /mnt'
capture alice vm cp "$WORLD/data" copy:/mnt
contains "the guest's disk is full: said" "$status $err" "1 banger: VM copy: there is no room left for data"
equal "and nothing half is left of it" "$(in_guest 'ls -A /mnt')" ""
mkdir "$WORLD/copy-small" && mount -t tmpfs -o size=8m,mode=1777 tmpfs "$WORLD/copy-small"
capture alice vm cp copy:data "$WORLD/copy-small"
contains "the host's disk is too small: said before" "$status $err" "too little for it: free some and copy again"
in_guest 'truncate -s 1G /srv/hole'
capture alice vm cp copy:/proc/kcore "$WORLD/copy-small" # says it has no bytes, or too many
check "nothing half is left on it" test -z "$(ls -A "$WORLD/copy-small")"
umount "$WORLD/copy-small"
# What is being received has no name: it is a deleted file of the folder to /proc.
taken_here() { find "/proc/$client/fd" -lname '/home/alice/got/#* (deleted)' | grep -q .; }
taken_there() { in_guest "find /proc/[0-9]*/fd -lname '/root/#* (deleted)' 2>/dev/null | grep -q ."; }
none_taken() { ! taken_there; }
left_here() { find /home/alice/got -name '.banger-*'; }
left_there() { in_guest 'find /root -name ".banger-*"'; }
start alice banger vm cp -q "copy:/srv/hole" got/hole
check "a long copy is under way" until_true 10 taken_here
kill -INT "$client"
wait "$client"
equal "interrupted: 130" "$?" 130
check "interrupted: no half file" test ! -e /home/alice/got/hole
equal "interrupted: nothing else is left" "$(left_here)" ""
as alice truncate -s 1G hole
start alice banger vm cp -q hole copy:/root/hole
check "a long copy into the guest is under way" until_true 10 taken_there
kill -TERM "$client"
wait "$client"
equal "broken off by TERM: 143" "$?" 143
check "broken off: the guest's end ends" until_true 10 none_taken
equal "broken off: nothing is left in the guest" "$(left_there)$(in_guest 'ls /root/hole 2>/dev/null')" ""

# Killed at several moments: what was there, or all of what was sent, and the next copy works.
new=$(sha256sum <"$WORLD/data") old=$(echo old | sha256sum)
broken_off() { # FROM TO MOMENT
    start alice banger vm cp -q "$1" "$2"
    sleep "$3"
    kill -KILL "$client"
    wait "$client" 2>/dev/null
}
for moment in 0.02 0.1 0.3 0.6 1 2; do
    as alice sh -c 'echo old >got/there; rm -f got/fresh'
    broken_off copy:data got/there $moment
    broken_off copy:data got/fresh $moment
    equal "killed after $moment s: nothing else is left here" "$(left_here)" ""
    contains "killed after $moment s: here is old or new" "$old$new" "$(sha256sum </home/alice/got/there)"
    contains "killed after $moment s: here is nothing or new" "none $new" "$(sha256sum 2>/dev/null </home/alice/got/fresh || echo none)"
    in_guest 'echo old >/root/there; rm -f /root/fresh'
    broken_off "$WORLD/data" copy:there $moment
    broken_off "$WORLD/data" copy:fresh $moment
    check "killed after $moment s: the guest's end ends" until_true 10 none_taken
    equal "killed after $moment s: nothing else is left in the guest" "$(left_there)" ""
    contains "killed after $moment s: in the guest is old or new" "$old$new" "$(in_guest 'sha256sum </root/there')"
    contains "killed after $moment s: in the guest is nothing or new" "none $new" "$(in_guest 'sha256sum </root/fresh || echo none' 2>/dev/null)"
done
capture alice vm cp copy:data got/there
equal "the next copy out of it" "$status/$(sha256sum </home/alice/got/there)" "0/$new"
capture alice vm cp "$WORLD/data" copy:there
equal "the next copy into it" "$status/$(in_guest 'sha256sum </root/there')" "0/$new"
# What a copy that was killed between its last two calls leaves.
in_guest 'echo half >/root/.banger-cp-0123456789abcdef; ln -s x /root/.banger-cp-fedcba9876543210'
as alice sh -c 'echo half >got/.banger-cp-0123456789abcdef; ln -s x got/.banger-cp-fedcba9876543210'
alice vm cp copy:data got/there >/dev/null 2>&1
alice vm cp "$WORLD/data" copy:there >/dev/null 2>&1
equal "what a killed copy left goes with the next" "$(left_here)$(left_there)" ""
as alice mkdir -m 750 tree/kept
for file in one two three; do as alice head -c 8M "$WORLD/data" | as alice tee tree/kept/$file >/dev/null; done
broken_off tree/kept copy:/srv 1
capture alice vm cp tree/kept copy:/srv
equal "a folder that was broken off, copied again" "$status/$(in_guest 'stat -c %a /srv/kept; ls -A /srv/kept | tr "\n" " "')" "0/750
one three two "
alice vm stop copy >/dev/null 2>&1
capture alice vm cp copy:other got
contains "a VM that does not run: said" "$status $err" "1 banger: VM copy is not running"
alice vm delete -f copy >/dev/null
check "nothing is left" until_true 10 nothing_left alice
