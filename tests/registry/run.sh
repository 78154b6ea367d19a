#!/bin/bash
# Images out of registries, as an account gets them: Debian's docker-registry on loopback (plain, with
# a password, with tokens, with TLS), images that umoci and buildah made and skopeo pushed, and the
# hostile registry of hostile.py. Run by tests/world.sh, as root.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
here=$PWD/tests/registry
work=$WORLD/registry
mkdir -p "$work" && chmod 0755 "$work"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null' EXIT

# as ACCOUNT COMMAND...: its output in $out, its words in $err, its status in $status.
as() {
    local account=$1
    shift
    out=$(runuser -u "$account" -- env -i -C / HOME="/home/$account" PATH="/home/$account/bin:/usr/local/bin:/usr/bin:/bin" LANG=C.UTF-8 "$@" \
        2>"$work/err" </dev/null)
    status=$?
    err=$(cat "$work/err")
}
# pulls NAME ARG...: as al, and it must work.
pulls() {
    local name=$1
    shift
    as al banger image pull "$@"
    if [ $status -eq 0 ]; then ok "$name"; else not_ok "$name" "$err"; fi
}
# refused NAME WORDS ARG...: one sentence with the words, status 1, no image left.
refused() {
    local name=$1 words=$2
    shift 2
    as al banger image pull "$@"
    if [ $status -eq 1 ] && [ "$(grep -c '^banger: ' <<<"$err")" -eq 1 ] && grep -qF -- "$words" <<<"$err"; then
        ok "$name"
    else
        not_ok "$name" "status $status: $err"
    fi
}
images_left() {
    find /home/al/.local/state/banger/images -mindepth 1 -maxdepth 1 2>/dev/null | wc -l
}

# --- what is pulled: made by umoci and buildah --------------------------------------

make_images() {
    cd "$work" || exit 1
    umoci init --layout oci && umoci new --image oci:app
    umoci unpack --image oci:app one >/dev/null
    mkdir -p one/rootfs/{bin,etc,var/x}
    cp /bin/busybox one/rootfs/bin/busybox 2>/dev/null || cp /bin/true one/rootfs/bin/busybox
    ln -s busybox one/rootfs/bin/sh
    echo first >one/rootfs/etc/hello
    echo gone >one/rootfs/var/x/gone
    umoci repack --image oci:app one >/dev/null
    rm one/rootfs/var/x/gone
    echo second >one/rootfs/etc/hello
    head -c 3000000 /dev/urandom >one/rootfs/var/blob
    umoci repack --image oci:app one >/dev/null
    umoci config --image oci:app --config.env GREETING=hello --config.cmd /bin/sh --config.workingdir /var --config.user 1000:1000
    buildah --root "$work/b" --runroot "$work/br" --storage-driver vfs --isolation chroot from --name two scratch >/dev/null &&
        buildah --root "$work/b" --runroot "$work/br" --storage-driver vfs copy two "$work/one/rootfs/etc" /etc >/dev/null &&
        buildah --root "$work/b" --runroot "$work/br" --storage-driver vfs config --entrypoint '["/etc/hello"]' two &&
        buildah --root "$work/b" --runroot "$work/br" --storage-driver vfs commit --format docker -q two "dir:$work/two" >/dev/null
    cd - >/dev/null || exit 1
}

# registry NAME PORT [MORE YAML]
registry() {
    mkdir -p "$work/store"
    cat >"$work/$1.yml" <<YAML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/store}}
http:
  addr: 127.0.0.1:$2
${3:-}
YAML
    docker-registry serve "$work/$1.yml" >"$work/$1.log" 2>&1 &
    pids+=($!)
    until_true 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$2" 2>/dev/null || not_ok "registry $1" "$(cat "$work/$1.log")"
}
certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/ca.key" -out "$work/ca.pem" -subj "/CN=test authority" -days 2 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -keyout "$work/tls.key" -out "$work/tls.csr" -subj /CN=localhost 2>/dev/null
    openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 2 \
        -extfile <(echo "subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1") -out "$work/tls.pem" 2>/dev/null
}

useradd --create-home --groups banger al
plain=127.0.0.1:5001 password=127.0.0.1:5002 tokens=127.0.0.1:5003 tls=localhost:5004
make_images >"$work/make.log" 2>&1 || { cat "$work/make.log"; not_ok "images are made"; }
certificate
htpasswd -Bbc "$work/htpasswd" al "pass:word" 2>/dev/null
registry plain 5001
registry password 5002 "auth: {htpasswd: {realm: test, path: $work/htpasswd}}"
registry tls 5004 "  tls: {certificate: $work/tls.pem, key: $work/tls.key}"
python3 "$here/tokens.py" 5005 "$work/ca.pem" "$work/ca.key" al pass:word >"$work/tokens.log" 2>&1 &
pids+=($!)
registry tokens 5003 "auth: {token: {realm: \"http://127.0.0.1:5005/token\", service: test, issuer: test, rootcertbundle: $work/ca.pem}}"
skopeo copy -q --insecure-policy --dest-tls-verify=false "oci:$work/oci:app" "docker://$plain/team/app:1" || not_ok "an image is pushed"
skopeo copy -q --insecure-policy --dest-tls-verify=false "dir:$work/two" "docker://$plain/team/two" || not_ok "a docker image is pushed"
skopeo copy -q --insecure-policy --dest-tls-verify=false --format v2s2 --dest-compress-format zstd "oci:$work/oci:app" "docker://$plain/team/zstd:1" 2>/dev/null

# --- plain ------------------------------------------------------------------------------

pulls "umoci's image, pushed by skopeo" "$plain/team/app:1"
contains "progress says what was pulled" "$err" "MiB"
as al banger image show --json "$plain/team/app:1"
equal "its kind" "$(jq -r .kind <<<"$out")" oci
disk=$(jq -r .path <<<"$out")
same=$(sha256sum <"$disk")
equal "e2fsck is content" "$(e2fsck -fn "$disk" >/dev/null 2>&1; echo $?)" 0
equal "the upper layer's file" "$(debugfs -R 'cat /etc/hello' "$disk" 2>/dev/null)" second
contains "a deleted file is not there" "$(debugfs -R 'stat /var/x/gone' "$disk" 2>&1)" "not found"
equal "the blob is whole" "$(debugfs -R 'cat /var/blob' "$disk" 2>/dev/null | sha256sum)" "$(sha256sum <"$work/one/rootfs/var/blob")"
equal "image show says it too" "$(jq -cS .config <<<"$out")" "$(jq -cS . "${disk%/*}/config.json")"
as al banger image show "$plain/team/app:1"
contains "and in words" "$out" 'workdir      /var'
equal "how it is run" "$(jq -cS . "${disk%/*}/config.json")" \
    '{"architecture":"amd64","cmd":["/bin/sh"],"env":["GREETING=hello"],"user":"1000:1000","workdir":"/var"}'
pulls "buildah's docker image, tag latest" "$plain/team/two"
as al banger image show "$plain/team/two:latest"
equal "an image is found by any form of its reference" "$status" 0
as al banger image show --json "$plain/team/app:1"
first=$(jq -r .id <<<"$out")
as al banger image pull "$plain/team/app:1"
contains "a second pull asks the registry" "$err" "is up to date"
as al banger image pull --json "$plain/team/app:1"
equal "and says so in JSON" "$(tail -n 1 <<<"$out" | jq -c '[.image.id, .image.unchanged]')" "[\"$first\",true]"
as al banger image pull -q --kernel-ref other "$plain/team/app:1"
as al banger image show --json "$plain/team/app:1"
equal "what it is given anew is kept" "$(jq -c '[.id, .kernel]' <<<"$out")" "[\"$first\",\"other\"]"
pulled() { jq -r 'select(.progress.stage == "pull") | .progress.text' <<<"$out" | tail -n 1; }
digest=$(skopeo inspect --tls-verify=false "docker://$plain/team/app:1" | jq -r .Digest)
as al banger image show --json "$plain/team/app:1"
equal "its manifest's digest" "$(jq -r .digest <<<"$out")" "$digest"
as al banger image pull --name again --json "$plain/team/app:1"
equal "the second time the image is copied" "$(pulled)" "here already"
equal "JSON lines end with the image" "$(tail -n 1 <<<"$out" | jq -r .image.name)" again
as al banger image show --json again
equal "the same image, the same bytes" "$(sha256sum <"$(jq -r .path <<<"$out")")" "$(sha256sum <"$disk")"
equal "and run in the same way" "$(cat "$(dirname "$(jq -r .path <<<"$out")")/config.json")" "$(cat "${disk%/*}/config.json")"
pulls "by digest" --name by-digest "$plain/team/app@$digest"
as al banger image pull --name sized --size 2G --json "$plain/team/app:1"
equal "another size is made of the cached layers" "$(pulled)" cached
as al banger image show --json sized
equal "is the disk's" "$(jq .size <<<"$out")" $((2 << 30))
as al banger image delete sized again by-digest "$plain/team/app:1"
as al banger image pull --name again --json "$plain/team/app:1"
equal "with no such image left the layers are used" "$(pulled)" cached
as al banger image show --json again
equal "and give the same bytes" "$(sha256sum <"$(jq -r .path <<<"$out")")" "$same"

refused "a tag that is not there" "does not have" "$plain/team/app:nosuch"
refused "a path that is not there" "does not have" "$plain/nosuch/app:1"
refused "another platform" "linux/s390x" --name other --platform linux/s390x "$plain/team/app:1"
refused "a port where nobody listens" "nothing answers" 127.0.0.1:5099/team/app:1
refused "a host that is not known" "no machine is known" registry.invalid/team/app:1
refused "a reference that is none" "names no registry's image" "$plain/Team/App:1"
refused "a digest that is not there" "does not have" "$plain/team/app@sha256:$(printf '%064d' 0)"

# The world has no kernel to give it; the image comes first.
as al banger image delete "$plain/team/two"
as al banger vm create --no-start --image "$plain/team/two"
as al banger image show "$plain/team/two"
equal "vm create pulls the image that is missing" "$status" 0

# --- a tag that moves -----------------------------------------------------------------------

push() { skopeo copy -q --insecure-policy --dest-tls-verify=false "oci:$work/oci:app" "docker://$plain/team/moves:1"; }
moved() { # GREETING: the tag is another image from now on
    umoci config --image "$work/oci:app" --config.env "GREETING=$1" && push
}
shown() { # REF FILTER
    as al banger image show --json "$1"
    jq -r "$2" <<<"$out"
}
folders() { find /home/al/.local/state/banger/images -mindepth 1 -maxdepth 1 | wc -l; }
push
pulls "a tag" --size 64M --name moves "$plain/team/moves:1"
first=$(shown moves .id)
before=$(folders)
moved second
pulls "a tag that moved" "$plain/team/moves:1"
equal "its new image has the name" "$(shown moves '.config.env[]' | grep GREETING)" GREETING=second
equal "the size that was asked for before" "$(shown moves .size)" $((64 << 20))
equal "and nothing of the one before is left" "$(folders) $(ls /home/al/.local/state/banger/images | grep -c "$first")" "$before 0"
gcc -nostdlib -static -no-pie -Wl,-Ttext=0x1000000,--build-id=none -DPAYLOAD="\"$work/ca.pem\"" -o "$work/vmlinux" tests/kernel/vmlinux.S
tests/kernel/pack.sh gzip "$work/vmlinux" "$work/bzImage" 1
as al banger kernel import tiny --from "$work/bzImage"
as al banger vm create --no-start --name keeper --image moves --kernel tiny --disk-size 64M
second=$(shown moves .id)
moved third
pulls "a tag that moved, of an image that a VM uses" --name moves "$plain/team/moves:1"
contains "says what stays" "$err" "banger image delete $second"
equal "the name is the new one's" "$(shown moves '.config.env[]' | grep GREETING)" GREETING=third
equal "the VM has its own, by its id" "$(shown "$second" '.name + " " + (.config.env[] | select(startswith("GREETING")))')" "$second GREETING=second"
equal "its reference finds the new one" "$(shown "$plain/team/moves:1" .name)" moves
as al banger image delete "$second"
contains "what a VM uses is not deleted" "$err" "VM keeper uses this image"
as al banger vm delete -f keeper
as al banger image delete "$second" moves
equal "without the VM it is" "$status $(folders)" "0 $((before - 1))"
cp -r "$work/oci" /home/al/layout && chown -R al: /home/al/layout
as al banger image load --name loaded --tag app /home/al/layout
equal "an image of another kind" "$status" 0
as al banger image pull "$plain/team/moves:1" --name loaded
contains "another image's name is not taken over" "$err" "already exists"
as al banger image delete loaded

# --- the cache ------------------------------------------------------------------------------

cached=$(find /home/al/.cache/banger/blobs/sha256 -type f | wc -l)
check "only whole blobs are kept" test "$(find /home/al/.cache/banger/blobs -name '*.part' | wc -l)" -eq 0
as al banger image cache prune --dry-run --json
equal "a dry run counts" "$(jq .blobs <<<"$out")" "$cached"
as al banger image cache prune
contains "what was freed" "$out" "in $cached blobs"
check "it is gone" test "$(find /home/al/.cache/banger/blobs -type f | wc -l)" -eq 0

# forget: no image and no blob is here, so that the layers come from where the test says.
forget() {
    as al sh -c "banger image list --json | jq -r '.images[].name' | xargs -r banger image delete; banger image cache prune"
}

pulls "an image whose layers fit the pipe" --name before-two "$plain/team/two"
pulls "and one with a layer that does not" --name before-app "$plain/team/app:1"
for seek in 0 20; do # where gzip begins, or in the midst of it
    for blob in /home/al/.cache/banger/blobs/sha256/*; do
        as al dd if=/dev/zero of="$blob" bs=1 seek=$seek count=20 conv=notrunc status=none
    done
    for image in two app:1; do
        pulls "what a power cut made of the cache at $seek is fetched anew, of $image" --name "after-$image" --size 2G "$plain/team/$image"
    done
    check "and is whole again" sh -c 'cd /home/al/.cache/banger/blobs/sha256 && for blob in *; do echo "$blob  $blob"; done | sha256sum --status -c'
    as al banger image delete after-two after-app:1
done

forget
layer=$(skopeo inspect --tls-verify=false --raw "docker://$plain/team/app:1" | jq -r '.layers[-1].digest')
as al sh -c "head -c 50000 /dev/zero >~/.cache/banger/blobs/sha256/${layer#sha256:}.part"
pulls "a part that is not the blob's beginning is got anew" --name anew "$plain/team/app:1"

# --- a banger-fetch that a registry took over ------------------------------------------------------

forget
programs=/usr/local/libexec/banger
mv "$programs/banger-fetch" "$programs/banger-fetch.own"
install "$here/taken_over.py" "$programs/banger-fetch"
pulls "its image is its registry's matter" --name evil "127.0.0.1:5098/team/app@$digest"
mv -f "$programs/banger-fetch.own" "$programs/banger-fetch"
as al banger image show --json evil
equal "also what it is said to be of" "$(jq -r .digest <<<"$out")" "$digest"
pulls "the same manifest of another registry" --name honest "$plain/team/app:1"
as al banger image show --json honest
equal "is that one's image" "$(debugfs -R 'cat /etc/hello' "$(jq -r .path <<<"$out")" 2>/dev/null)" second

# --- passwords ---------------------------------------------------------------------------------

forget

refused "no password" "without a login" "$password/team/app:1"
as al sh -c "echo wrong | banger image pull --username al --password-stdin $password/team/app:1"
contains "a wrong password" "$err" "does not accept the login"
as al sh -c "echo pass:word | banger image pull --username al --password-stdin $password/team/app:1"
equal "the right password" "$status" 0
login() { # FILE's text
    install -d -o al -g al /home/al/.docker
    cat >/home/al/.docker/config.json
}
login <<<"{\"auths\":{\"$password\":{\"auth\":\"$(printf al:pass:word | base64)\"}}}"
pulls "docker login's password" --name docker-auth "$password/team/app:1"
install -d -o al -g al /home/al/bin
cat >/home/al/bin/docker-credential-test <<'HELPER'
#!/bin/sh
read -r server
case $1:$server in
get:127.0.0.1:500[23]) echo "{\"ServerURL\":\"$server\",\"Username\":\"al\",\"Secret\":\"pass:word\"}" ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac
HELPER
chmod 0755 /home/al/bin/docker-credential-test
login <<<"{\"credHelpers\":{\"$password\":\"test\"}}"
pulls "a credential helper" --name docker-helper "$password/team/app:1"
login <<<'{"credsStore":"test"}'
pulls "a credential store" --name docker-store "$password/team/app:1"
pulls "a store that knows nothing of a registry" --name docker-none "$plain/team/two"
login <<<"{\"credHelpers\":{\"$plain\":\"nosuch\"}}"
pulls "a helper that is not there is a warning" --name docker-missing "$plain/team/two"
contains "and says so" "$err" "docker-credential-nosuch"
rm -rf /home/al/.docker

# --- tokens ------------------------------------------------------------------------------------

forget
refused "no token without a login" "without a login" "$tokens/team/app:1"
as al sh -c "echo pass:word | banger image pull --username al --password-stdin $tokens/team/app:1"
equal "a token for a password" "$status" 0
[ $status -eq 0 ] || echo "$err"
login <<<'{"credsStore":"test"}'
pulls "a token for a helper's password" --name token-store "$tokens/team/two"
rm -rf /home/al/.docker
check "the token was asked for" grep -q 'repository:team/app:pull' "$work/tokens.log"

# --- TLS -----------------------------------------------------------------------------------------

refused "a certificate that nobody vouches for" "certificate" "$tls/team/app:1"
pulls "and --insecure" --insecure --name tls-insecure "$tls/team/app:1"
forget
cat "$work/ca.pem" >>/etc/ssl/certs/ca-certificates.crt
pulls "an authority that this machine knows" "$tls/team/app:1"

# --- proxies: the registry's name is one that only the proxy's machine knows ---------------------------

# proxy NAME PORT [MORE]: its log says what it was asked for.
proxy() {
    printf 'User nobody\nPort %s\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\nLogLevel Connect\nLogFile "%s"\n%s\n' "$2" \
        "$work/$1.log" "${3:-}" >"$work/$1.conf"
    install -o nobody /dev/null "$work/$1.log"
    # shellcheck disable=SC2016
    unshare -m sh -c 'mount --bind "$1" /etc/hosts && exec tinyproxy -d -c "$2"' sh "$work/proxy.hosts" "$work/$1.conf" >/dev/null 2>&1 &
    pids+=($!)
    until_true 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$2" 2>/dev/null || not_ok "proxy $1" "$(cat "$work/$1.log")"
}
# with VARIABLES ARG...: an image pull with these lines in its environment, which no command line shows.
with() {
    printf '%s\n' set\ -a "$1" | install -o al -m 0600 /dev/stdin /home/al/environment
    shift
    as al sh -c '. ~/environment; exec banger image pull "$@"' sh "$@"
}
one_sentence() { # NAME WORDS
    if [ $status -eq 1 ] && [ "$(grep -c '^banger: ' <<<"$err")" -eq 1 ] && grep -qF -- "$2" <<<"$err"; then ok "$1"; else not_ok "$1" "status $status: $err"; fi
}
(cat /etc/hosts && echo "127.0.0.1 registry.test") >"$work/proxy.hosts"
proxy open 5010
proxy login 5011 'BasicAuth al s3cr3tword'
open=http://127.0.0.1:5010 login=127.0.0.1:5011
refused "a registry that only a proxy knows" "no machine is known" registry.test:5004/team/app:1
with "https_proxy=$open" registry.test:5004/team/app:1
equal "https through a proxy" "$status" 0
check "which was asked for a connection" grep -q 'CONNECT registry.test:5004' "$work/open.log"
forget
with "all_proxy=$open" --insecure registry.test:5001/team/app:1
equal "plain http through a proxy" "$status" 0
check "which was asked for the address" grep -q 'GET http://registry.test:5001/v2/' "$work/open.log"
forget
with "HTTPS_PROXY=$open NO_PROXY=.example,registry.test" registry.test:5004/team/app:1
one_sentence "no_proxy" "no machine is known"
with "http_proxy=127.0.0.1:5099 https_proxy=127.0.0.1:5099" "$plain/team/app:1"
equal "this machine's registry without the proxy" "$status" 0
with "https_proxy=127.0.0.1:5099" registry.test:5004/team/app:1
one_sentence "a proxy where nobody listens" "the proxy 127.0.0.1:5099 cannot be used"
with "https_proxy=http://$login" registry.test:5004/team/app:1
one_sentence "a proxy that wants a login" "the proxy $login wants a login"
with "https_proxy=http://al:wr0ngs3cr3tword@$login" registry.test:5004/team/app:1
one_sentence "a wrong login" "the proxy $login does not accept the login"
with "https_proxy=gopher://al:s3cr3tword@$login" registry.test:5004/team/app:1
one_sentence "a proxy that is none" "https_proxy names no proxy"
forget
(while sleep 0.02; do ps -eo args=; done) >"$work/ps" &
watcher=$!
with "https_proxy=http://al:s3cr3tword@$login" registry.test:5004/team/app:1
equal "the right login" "$status" 0
kill $watcher
check "the pull was watched" grep -q banger-fetch "$work/ps"
rm /home/al/environment
as al banger events --json
printf '%s' "$out" >"$work/events"
check "events were read" grep -q image "$work/events"
check "no proxy's login is in ps, events, or any file" sh -c '! grep -rqs s3cr3tword "$1" "$2" /home/al' sh "$work/ps" "$work/events"
forget

echo "127.0.0.1 registry.test other.test" >>/etc/hosts
refused "the certificate of another name" "certificate" other.test:5004/team/app:1
forget
pulls "https by name, not loopback" registry.test:5004/team/app:1
refused "plain http by name, not loopback" "does not speak https" registry.test:5001/team/app:1
pulls "and --insecure there" --insecure --name plain-insecure registry.test:5001/team/app:1

# --- redirects to this machine, from a registry that is not on it by its name ---------------------------

cat >"$work/redirects.py" <<'PYTHON'
import http.server
import sys


class Redirect(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", f"https://{sys.argv[int(self.path.split('/')[3])]}:5004/x")
        self.end_headers()


http.server.ThreadingHTTPServer(("127.0.0.1", 5012), Redirect).serve_forever()
PYTHON
near=(127.0.0.1 other.test 0.0.0.0 '[::1]' '[::]' '[::ffff:127.0.0.1]' '[::ffff:0.0.0.0]' '[fe80::1]')
python3 "$work/redirects.py" "${near[@]}" 2>"$work/redirects.log" &
pids+=($!)
until_true 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/5012" 2>/dev/null || not_ok "redirects" "$(cat "$work/redirects.log")"
for i in "${!near[@]}"; do
    refused "a redirect to ${near[i]}" "which is an address of this machine or its link" --insecure "registry.test:5012/near/$((i + 1)):1"
done

# --- mirrors ---------------------------------------------------------------------------------------

install -d -o al -g al /home/al/.config/banger
cat >/home/al/.config/banger/config.toml <<TOML
[[registry]]
host = "registry.invalid"
mirror = "127.0.0.1:5099"

[[registry]]
host = "registry.invalid"
mirror = "registry.test:5001"

[[registry]]
host = "registry.test:5001"
insecure = true
TOML
forget
pulls "a mirror, the second one" registry.invalid/team/app:1
refused "what no mirror has" "no machine is known" registry.invalid/team/nosuch:1
mkdir /home/al/.docker
python3 - /home/al <<'PYTHON'
import json
import sys

mirrors = [f"registry-{i}.invalid" for i in range(7)]
with open(sys.argv[1] + "/.config/banger/config.toml", "w") as f:
    f.writelines(f'[[registry]]\nhost = "registry.test:5001"\nmirror = "{mirror}"\n' for mirror in mirrors)
with open(sys.argv[1] + "/.docker/config.json", "w") as f:
    login = {"username": "al", "password": 8191 * "p"}
    json.dump({"auths": {host: login for host in [*mirrors, "registry.test:5001"]}}, f)
PYTHON
refused "eight logins of 8 KiB" "too long together" registry.test:5001/team/app:1
rm -r /home/al/.config/banger/config.toml /home/al/.docker

# --- together ----------------------------------------------------------------------------------------

forget
runuser -u al -- env -C / HOME=/home/al banger image pull -q --name both-1 "$plain/team/app:1" &
first=$!
as al banger image pull -q --name both-2 "$plain/team/app:1"
wait $first && [ $status -eq 0 ]
equal "two pulls at once" "$?" 0
before=$(images_left)
timeout -s INT 0.3 runuser -u al -- env -C / HOME=/home/al banger image pull -q --name cut "$plain/team/app:1" 2>/dev/null
until_true 10 test "$(images_left)" -le $((before + 1)) # it may have been quicker
check "no process of a pull is left" until_true 10 sh -c '! pgrep -u al -x banger-fetch && ! pgrep -u al -x banger-import'
check "no unfinished image is left" test -z "$(find /home/al/.local/state/banger/images -name '*.tmp')"
engine=$(pgrep -u al bangerd-engine)
check "the daemon goes on" test -n "$engine"
as al banger daemon stop

# --- a hostile registry --------------------------------------------------------------------------------

FETCH=$PWD/build/banger-fetch python3 "$here/hostile.py" >"$work/hostile.log" 2>&1
grep -v '^[0-9]* passed' "$work/hostile.log"
passed=$((passed + $(grep -c '^ok ' "$work/hostile.log"))) failed=$((failed + $(grep -c '^not ok ' "$work/hostile.log")))
check "the hostile registry's cases ran" test "$(grep -c '^ok ' "$work/hostile.log")" -ge 100
summary
