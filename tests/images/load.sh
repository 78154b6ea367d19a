#!/bin/bash
# Images that umoci, skopeo and buildah saved, loaded by the installed banger from a plain
# account: every form is the same image, and what is refused leaves nothing. Runs inside
# tests/world.sh.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh

useradd --uid 1501 --create-home --shell /bin/bash alice
usermod --append --groups banger alice
alice() { (cd /home/alice && exec runuser -u alice -- env -i HOME=/home/alice LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin "$@"); }
image() { alice banger image "$@"; }
state=/home/alice/.local/state/banger
trap 'alice banger daemon stop >/dev/null 2>&1' EXIT
capture() {
    out=$("$@" 2>"$WORLD/err")
    status=$?
    err=$(cat "$WORLD/err")
}
refused() { # NAME WORDS ARGUMENT...
    local name=$1 words=$2 before
    shift 2
    before=$(image list --json)
    capture image load "$@"
    contains "$name" "$err" "$words"
    check "$name: one sentence" test "$(grep -c '^banger: ' <<<"$err")" -eq 1
    check "$name: not a success" test "$status" -ne 0
    equal "$name: nothing is left" "$(image list --json; find $state/images -mindepth 1 -name '*.tmp')" "$before"
}
bytes() { sha256sum <"$(image show "$1" --json | jq -r .path)"; }

# --- an image of two layers, in every form ------------------------------------------
home=/home/alice
mkdir -p "$WORLD/a/etc" "$WORLD/b/etc"
echo lower >"$WORLD/a/etc/hostname"
seq 20000 >"$WORLD/a/numbers"
: >"$WORLD/b/etc/.wh.hostname"
echo upper >"$WORLD/b/etc/motd"
umoci init --layout $home/layout
umoci new --image $home/layout:one
for layer in a b; do
    tar -C "$WORLD/$layer" --owner=0 --group=0 -cf "$WORLD/$layer.tar" .
    umoci raw add-layer --image $home/layout:one "$WORLD/$layer.tar"
done
umoci config --image $home/layout:one --config.env GREETING=hello --config.cmd /bin/motd --architecture amd64 --os linux
skopeo --insecure-policy copy -q oci:$home/layout:one oci-archive:$home/saved.tar:one
skopeo --insecure-policy copy -q oci:$home/layout:one docker-archive:$home/docker.tar:example/app:one
chown -R alice: $home
check "a layout's folder" image load layout --quiet
check "an OCI archive" image load saved.tar --quiet
check "docker save" image load ./docker.tar --tag example/app:one --name "other" --quiet
equal "a name is made of the file's" "$(image list --json | jq -r '.images[].name' | sort | tr '\n' ' ')" "layout other saved "
equal "an archive is the same image" "$(bytes saved)" "$(bytes layout)"
equal "docker save is the same image" "$(bytes other)" "$(bytes layout)"
file=$(image show layout --json | jq -r .path)
check "e2fsck finds nothing" e2fsck -fn "$file"
equal "the upper layer" "$(debugfs -R 'cat /etc/motd' "$file" 2>/dev/null)" upper
contains "the whiteout" "$(debugfs -R 'stat /etc/hostname' "$file" 2>&1)" "not found"
config=$(cat "$(dirname "$file")/config.json")
contains "its environment" "$config" '"GREETING=hello"'
contains "its command" "$config" '"cmd":["/bin/motd"]'
equal "its kind" "$(image show saved --json | jq -r .kind)" oci
equal "where it came from" "$(image show saved --json | jq -r .source)" $home/saved.tar
equal "--json says what was made" "$(image load saved.tar --name j --json --quiet | jq -r .name)" j
equal "--size" "$(image load saved.tar --name k --size 2G --quiet; image show k --json | jq .size)" $((2 << 30))

# --- one that buildah made ------------------------------------------------------------
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$WORLD/policy.json"
buildah=(buildah --storage-driver vfs --root "$WORLD/storage" --runroot "$WORLD/run")
if container=$("${buildah[@]}" from --signature-policy "$WORLD/policy.json" scratch 2>"$WORLD/err"); then
    "${buildah[@]}" copy "$container" "$WORLD/a" / >/dev/null
    "${buildah[@]}" config --entrypoint '["/bin/x"]' --workingdir /srv --user 7:8 "$container"
    "${buildah[@]}" commit --quiet --signature-policy "$WORLD/policy.json" "$container" oci-archive:$home/buildah.tar >/dev/null
    chown alice: $home/buildah.tar
    check "buildah's archive" image load buildah.tar --quiet
    file=$(image show buildah --json | jq -r .path)
    equal "its content" "$(debugfs -R 'cat /etc/hostname' "$file" 2>/dev/null)" lower
    contains "how it is run" "$(cat "$(dirname "$file")/config.json")" '"workdir":"/srv","user":"7:8","entrypoint":["/bin/x"]'
else
    skip "buildah's archive" "buildah does not run here: $(tail -n 1 "$WORLD/err")"
fi

# --- what is refused -------------------------------------------------------------------
refused "a name that is taken" "already exists" saved.tar
refused "a file that is not there" "cannot open" nosuch.tar
refused "a tag that is not there" "no image two" layout --name l --tag two
refused "a platform that is not there" "linux/s390x" layout --name l --platform linux/s390x
refused "a size that is too small" "too small" layout --name l --size 16M
refused "no image at all" "neither index.json" /home --name l
head -c 1M /dev/urandom >$home/noise
refused "noise" "not a tar" noise
xz -k $home/saved.tar
refused "an archive packed with xz" "unpack it first" saved.tar.xz
gzip -c $home/saved.tar >$home/zipped.tar.gz
gzip -c $home/docker.tar >$home/docker.tgz
zstd -q -c $home/saved.tar >$home/squeezed.tar.zst
check "an archive packed with gzip" image load zipped.tar.gz --quiet
check "docker save | gzip" image load docker.tgz --quiet --tag example/app:one
check "an archive packed with zstd" image load squeezed.tar.zst --quiet
for name in zipped docker squeezed; do
    equal "packed or not, the same image: $name" "$(bytes $name)" "$(bytes layout)"
done
head -c 9000 $home/zipped.tar.gz >$home/short.tar.gz
refused "a packed archive cut short" "cut short" short.tar.gz
head -c 9000 $home/saved.tar >$home/cut.tar
refused "an archive cut short" "archive" cut.tar
mkfifo $home/pipe
refused "a pipe" "file or a folder" pipe
cp -r $home/layout $home/bad
blob=$(find $home/bad/blobs -type f -size +8k | head -n 1)
printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
chown -R alice: $home/bad
refused "a layer that was changed" "damaged" bad --name l
umoci tag --image $home/layout:one two
umoci config --image $home/layout:two --config.env MORE=1
chown -R alice: $home/layout
refused "two images" "--tag" layout --name l
check "one of two" image load layout --name two --tag two --quiet
summary
