# `image build` and `--with-ssh`, on a small image whose package manager is a script that notes what it is asked for.
# shellcheck shell=bash

small=$WORLD/small
mkdir -p "$small"/{bin,sbin,etc/apk,root,var/log,tmp}
cp /usr/bin/busybox "$small/bin/busybox"
for name in $(busybox --list | grep -vx -e busybox -e apt-get -e dpkg -e rpm); do
    [ -e "$small/bin/$name" ] || ln -s busybox "$small/bin/$name"
done
cat >"$small/sbin/apk" <<'SH'
#!/bin/sh
echo "$*" >>/etc/apk/asked
echo "fetching $*"
case " $* " in
*" broken "*) echo "no such package" >&2; exit 9 ;;
*" openssh "*)
    mkdir -p /usr/sbin
    printf '#!/bin/sh\necho "sshd $(cat /proc/uptime)" >>/run/sshd-started\n' >/usr/sbin/sshd
    printf '#!/bin/sh\necho key >/etc/ssh/ssh_host_ed25519_key\n' >/bin/ssh-keygen
    chmod 755 /usr/sbin/sshd /bin/ssh-keygen
    ;;
*" docker "*)
    printf '#!/bin/sh\necho runs >/run/dockerd; exec sleep 1000\n' >/bin/dockerd
    printf '#!/bin/sh\n[ $1 = info ] && grep -q runs /run/dockerd\n' >/bin/docker
    chmod 755 /bin/dockerd /bin/docker
    ;;
esac
SH
chmod 755 "$small/sbin/apk"
echo 'root:!:19000:0:::::' >"$small/etc/shadow"
echo kept >"$small/root/before"
printf 'a log\n' >"$small/var/log/messages"
keep_small() { tar -C "$small" --numeric-owner -c . | (exec runuser -u alice -- env -i HOME=/home/alice python3 "$WORLD/import.py" small "$1"); }
alice daemon status >/dev/null
check "a base image" keep_small '{"env":["FROM=base"],"cmd":["cat","/root/made","/etc/apk/asked"]}'

as alice sh -c 'cat >script.sh' <<'SH'
echo "building as $(id -u) in $(pwd)"; echo "and on stderr" >&2
echo made by the script >/root/made
rm /root/before
i=0; while [ $i -lt 2000 ]; do echo "a-deleted-secret-$i"; i=$((i + 1)); done >/var/secret; sync; rm /var/secret
echo key >/etc/ssh_host; mkdir -p /etc/ssh; echo host key >/etc/ssh/ssh_host_rsa_key
SH
before=$SECONDS
capture alice image build --name made --from-image small --packages jq,git --docker --script script.sh --no-nat
echo "image build in $((SECONDS - before)) s"
equal "image build: status" "$status" 0
contains "image build: the script's output" "$out" "building as 0 in /root"
contains "image build: what it says on stderr" "$err" "and on stderr"
contains "image build: the package manager's output" "$out" "fetching add --no-cache jq git"
contains "image build: its stages are shown" "$err" "shutdown"
file=$(alice image show made --json | jq -r .path)
check "image build: the disk is clean" e2fsck -fn "$file"
check "image build: it is sparse" [ "$(du -k "$file" | cut -f1)" -lt 102400 ]
check "image build: nothing of deleted files is in it" [ "$(grep -c a-deleted-secret "$file")" = 0 ]
check "image build: no host key, no log" [ "$(debugfs -R 'ls -p /etc/ssh' "$file" 2>/dev/null | grep -c host)$(debugfs -R 'cat /var/log/messages' "$file" 2>/dev/null)" = 0 ]
capture alice vm run --rm --memory 256M --image made
equal "image build: the new image runs as the base does" "$out" "made by the script
add --no-cache jq git
add --no-cache docker"
capture alice vm run --rm --memory 256M --image made -- sh -c 'cd /root; echo *; echo $FROM; timeout 20 sh -c "until docker info; do sleep 1; done" && cat /run/dockerd'
equal "image build: /root is the script's, and docker runs" "$out" "lost+found made
base
runs"

as alice sh -c 'printf "echo before the end; exit 3\n" >fails.sh'
capture alice image build --name failed --from-image small --script fails.sh --no-nat
equal "a script that fails: its status" "$status" 3
contains "a script that fails: its output" "$out" "before the end"
contains "a script that fails: said in a sentence" "$err" "banger: image failed is not made: what ran in the guest ended with status 3"
capture alice image build --name failed --from-image small --packages broken --no-nat
equal "a package that is not there" "$status" 1
contains "a package that is not there: the manager's words" "$err" "no such package"
capture alice image build --name made --from-image small --no-nat
contains "a name that is taken" "$err" "already exists"
capture alice image build --name 'x' --from-image small --packages '-f,a'
equal "no option as a package" "$status" 2
check "failed builds leave no image" [ -z "$(alice image list --json | jq -r '.images[].name' | grep -x failed)" ]
check "builds leave no VM" until_true 10 nothing_left alice
as alice sh -c 'printf "echo begun >/root/x; sleep 60\n" >slow.sh'
start alice banger image build --name failed --from-image small --script slow.sh --no-nat
has_guest() { ps -u alice -o args= | grep -q '[q]emu-system'; }
check "a build runs" until_true 60 has_guest
sleep 8
kill -INT "$client"
wait "$client"
equal "Ctrl-C ends the build with 130" "$?" 130
check "Ctrl-C leaves no VM" until_true 20 nothing_left alice
check "Ctrl-C leaves no image" [ "$(find "$(state alice)/images" -mindepth 1 -maxdepth 1 | wc -l)" = "$(alice image list --json | jq '.images | length')" ]

capture alice vm create --name ssh --image small --memory 256M --with-ssh
equal "--with-ssh: installed by the image's own package manager" "$status" 0
contains "--with-ssh: and said" "$err" "installing sshd"
equal "--with-ssh: sshd runs, root may log in" \
    "$(alice vm exec ssh -- sh -c 'cut -d" " -f1 /run/sshd-started; cut -d: -f2 /etc/shadow; cat /etc/apk/asked; head -n 2 /etc/ssh/sshd_config')" \
    "sshd
*
add --no-cache openssh
# banger
PermitRootLogin prohibit-password"
alice vm exec ssh -- sh -c 'echo "echo after >>/run/sshd-started" >>/etc/banger/boot'
alice vm stop ssh >/dev/null 2>&1
alice vm start ssh >/dev/null 2>&1
has_started() { [ "$(alice vm exec ssh -- cut -d' ' -f1 /run/sshd-started 2>/dev/null)" = $'sshd\nafter' ]; }
check "--with-ssh: it is started at the next boot too, and what else is to be" until_true 10 has_started
alice vm delete -f ssh >/dev/null
rm "$small/sbin/apk"
alice image delete small >/dev/null 2>&1
check "a base without a package manager" keep_small '{}'
capture alice vm run --rm --memory 256M --image small --with-ssh -- true
equal "--with-ssh without a package manager: 125" "$status" 125
contains "--with-ssh without a package manager: why" "$err" "no package manager"
check "and nothing is left of it" until_true 10 nothing_left alice
