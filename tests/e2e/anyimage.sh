# Images without init, shell or package manager: one that is a single static program, and one
# with busybox and musl in which everything that can be missing or odd is.
# shellcheck shell=bash

# keep_image ACCOUNT NAME CONFIG FOLDER: an image of the folder's tree.
keep_image() {
    as "$1" banger daemon status >/dev/null
    tar -C "$4" --numeric-owner -c . | (exec runuser -u "$1" -- env -i HOME="/home/$1" python3 "$WORLD/import.py" "$2" "$3")
}

one=$WORLD/one
mkdir -p "$one"
musl-gcc -static -s -O1 -o "$one/probe" tests/e2e/guest/probe.c
config='{"env":["COLOR=blue","PATH=/bin:/"],"workdir":"/made/here","user":"1000:1001","entrypoint":["/probe"],"cmd":["of","cmd"]}'
check "an image of one file" keep_image alice one "$config" "$one"
capture alice image show one
equal "it is there" "$status" 0

capture alice vm run --rm --memory 256M --image one
equal "bare: Entrypoint and Cmd run" "$status/$(head -n 1 <<<"$out")" "0/words of cmd"
contains "bare: in WorkingDir, which is made" "$out" "folder /made/here"
contains "bare: as User" "$out" "user 1000:1001 1001"
contains "bare: with Env" "$out" "env COLOR=blue"

alice vm create --name one --image one --memory 256M >/dev/null 2>&1
equal "vm create" "$(alice vm show one --json | jq -r .state)" running
capture alice vm exec one --env COLOR=red --user root --cwd / -- probe given words
equal "a command: its words alone" "$(head -n 1 <<<"$out")" "words given words"
contains "a command: its own variable" "$out" "env COLOR=red"
contains "a command: its own user" "$out" "user 0:0 0"
contains "a command: its own folder" "$out" "folder /"
case $out in *blue*) not_ok "a command: the image's variable is gone" "$out" ;; *) ok "a command: the image's variable is gone" ;; esac
for code in 0 7; do
    capture alice vm exec one -- /probe exit $code
    equal "exit status $code" "$status" $code
done
capture alice vm exec one -- /probe signal 15
equal "a signal's status" "$status" 143
capture alice vm exec one -- sh -c true
equal "no shell: 127" "$status" 127
contains "no shell: and says so" "$err" "sh: command not found"
capture alice vm exec one --user nobody -- /probe
equal "a user that is not there: 126" "$status" 126
contains "a user that is not there: and says so" "$err" "no user nobody here"
equal "folders that were missing" "$(alice vm exec one -- /probe modes /proc/self /dev/null /tmp /etc /run /dev/pts/ptmx 2>&1)" \
    "40555 20666 41777 40755 40755 20666 "
equal "the VM's name" "$(alice vm exec one -- /probe show /etc/hostname)" one
start alice banger vm exec one -- /probe sleep
sleep 1
kill -INT "$client"
wait "$client"
equal "Ctrl-C reaches the command" "$?" 130
alice vm exec one -- /probe orphan
equal "orphans are reaped" "$(alice vm exec one -- /probe zombies)" 0
root=$(state alice)/vms/$(printf %03x "$(alice vm show one --json | jq -r .slot)")/root.ext4
before=$SECONDS
alice vm stop one >/dev/null 2>&1
equal "vm stop" "$(alice vm show one --json | jq -r .state)" stopped
check "vm stop: the guest powers itself off" [ $((SECONDS - before)) -lt 9 ]
check "its disk is clean" e2fsck -fn "$root"
alice vm start one >/dev/null 2>&1
equal "vm start: again" "$(alice vm exec one -- /probe show /etc/hostname)" one
alice vm delete -f one >/dev/null

# Alpine's shape: busybox in place of everything, its inittab for an OpenRC that is not there,
# links that lead nowhere, a program that needs musl's loader.
busy=$WORLD/busy
mkdir -p "$busy"/{bin,sbin,etc,lib,usr/bin,var}
cp /usr/bin/busybox "$busy/bin/busybox"
for name in sh ls cat mkdir id sleep echo pwd readlink ps git; do
    ln -s busybox "$busy/bin/$name"
done
ln -s /bin/busybox "$busy/sbin/init"
ln -s /var/roothome "$busy/root"
ln -s ../run/nowhere/resolv.conf "$busy/etc/resolv.conf"
ln -s /nowhere "$busy/etc/hosts"
ln -s var/tmp "$busy/tmp"
echo a file where a folder belongs >"$busy/run"
printf 'root:x:0:0:root:/root:/bin/sh\nwww:x:82:82::/var/www:/bin/false\n' >"$busy/etc/passwd"
printf 'root:x:0:root\nwww:x:82:\nadm:x:4:www\n' >"$busy/etc/group"
printf '::sysinit:/sbin/openrc sysinit\ntty1::respawn:/sbin/getty 38400 tty1\n' >"$busy/etc/inittab"
musl-gcc -s -O1 -o "$busy/usr/bin/probe" tests/e2e/guest/probe.c
cp "$(readlink -f /lib/ld-musl-x86_64.so.1)" "$busy/lib/ld-musl-x86_64.so.1"
printf '#!/bin/sh\necho "mise $* in $(pwd), trusts $MISE_TRUSTED_CONFIG_PATHS"; sleep 1; echo done; exit 1\n' >"$busy/usr/bin/mise"
chmod +x "$busy/usr/bin/mise"
check "an image with busybox and musl" keep_image alice busy '{"user":"www","cmd":["/bin/sh"]}' "$busy"
as alice sh -ec 'git init -q any && cd any && echo inside > file && git add file && git -c user.name=a -c user.email=a@b commit -qm one'
capture alice vm run --rm --memory 256M --image busy any -- sh -c 'pwd; cat file; readlink /proc/1/exe; id -u; cat /etc/resolv.conf >&2; echo hi > /tmp/x && cat /tmp/x'
equal "a workspace, as root" "$out" "/root/repo
inside
/init (deleted)
0
hi"
capture as alice sh -c 'printf "id; probe; exit 5" | banger vm run --rm --memory 256M --image busy'
equal "bare: its Cmd is a shell, fed from here" "$status" 5
contains "bare: User by name, with its groups, in a program of musl's" "$out" "user 82:82 4 82"

as alice sh -ec 'cd any && touch .tool-versions && git add . && git -c user.name=a -c user.email=a@b commit -qm two'
capture alice vm run -d --name tools --memory 256M --image busy any
contains "a workspace's tools need a way out" "$status $err" "1 banger: the tools of .tool-versions are installed over the network"
equal "said before anything is made" "$(alice vm list --json | jq -r '.vms | length')" 0
# A way out, as far as the policy looks.
ip link add up1 type veth peer name p1 && ip addr add 198.51.100.9/24 dev up1 && ip link set up1 up && ip link set p1 up && ip route add default dev up1
capture alice vm run -d --name tools --memory 256M --image busy --nat any
equal "with one: made, and not held up by what fails" "$status" 0
contains "says where the log is" "$err" /root/.cache/banger/vm-run-tooling-any.log
tools_log() { alice vm exec tools --cwd / -- cat /root/.cache/banger/vm-run-tooling-any.log; }
tools_done() { tools_log | grep -qx "done"; }
check "mise has run to its end" until_true 10 tools_done
equal "mise install, in the workspace" "$(tools_log | head -n 1)" "mise install in /root/repo, trusts /root/repo"
alice vm delete -f tools >/dev/null
ip link del up1
check "nothing is left" until_true 10 nothing_left alice
