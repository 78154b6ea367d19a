#!/bin/bash
# Images out of files: registered, promoted, bundled and pulled from a signed catalog, by
# the installed banger from a plain account. Signatures are minisign's own. Runs inside
# tests/world.sh.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh

useradd --uid 1501 --create-home --shell /bin/bash alice
usermod --append --groups banger alice
alice() { (cd /home/alice && exec runuser -u alice -- env -i HOME=/home/alice LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin "$@"); }
image() { alice banger image "$@"; }
state=/home/alice/.local/state/banger config=/home/alice/.config/banger
server=
leave() {
    alice banger daemon stop >/dev/null 2>&1
    [ -z "$server" ] || kill "$server" 2>/dev/null
}
trap leave EXIT
capture() {
    out=$("$@" 2>"$WORLD/err")
    status=$?
    err=$(cat "$WORLD/err")
}
# refused NAME WORDS COMMAND...: one sentence on stderr that has the words, and no image more.
refused() {
    local name=$1 words=$2 before
    shift 2
    before=$(image list --json)
    capture "$@"
    contains "$name" "$err" "$words"
    check "$name: one sentence" test "$(grep -c '^banger: ' <<<"$err")" -eq 1
    check "$name: not a success" test "$status" -ne 0
    equal "$name: nothing is left" "$(image list --json; find $state/images -mindepth 1 -maxdepth 1 -name '*.tmp')" "$before"
}
json() { image show "$1" --json | jq -r ".$2"; }

# A root file system with something in it, and holes.
mkdir -p "$WORLD/tree/root" "$WORLD/tree/etc"
seq 200000 >"$WORLD/tree/root/numbers"
echo bundle >"$WORLD/tree/etc/hostname"
root=/home/alice/root.ext4
truncate -s 256M $root
mke2fs -q -t ext4 -d "$WORLD/tree" $root
chown alice: $root
head -c 1M /dev/urandom >/home/alice/noise

# --- register
alice banger daemon status >/dev/null || { not_ok "daemon starts"; summary; exit 1; }
refused "register: a file that is not there" "cannot find" image register --name r --rootfs nosuch --kernel-ref debian-cloud
refused "register: no file system" "no ext4" image register --name r --rootfs noise --kernel-ref debian-cloud
refused "register: a folder" "not" image register --name r --rootfs /home/alice --kernel-ref debian-cloud
refused "register: a kernel that nobody knows" "no kernel is named" image register --name r --rootfs root.ext4 --kernel-ref nosuch
refused "register: no kernel" "one of --kernel and --kernel-ref" image register --name r --rootfs root.ext4
refused "register: a kernel that is none" "kernel" image register --name r --rootfs root.ext4 --kernel noise
equal "register: no kernel is left either" "$(alice banger kernel list --json | jq '.kernels | length')" 0
refused "register: a name that is none" "cannot name" image register --name '../x' --rootfs root.ext4 --kernel-ref debian-cloud
debugfs -w -R 'ssv state 0' $root 2>/dev/null
refused "register: mounted" "unmount" image register --name r --rootfs root.ext4 --kernel-ref debian-cloud
debugfs -w -R 'ssv state 1' $root 2>/dev/null
head -c 10M $root >/home/alice/short
refused "register: cut short" "cut short" image register --name r --rootfs short --kernel-ref debian-cloud

capture image register --name r --rootfs root.ext4 --kernel-ref debian-cloud
equal "register" "$status" 0
equal "register: kept by its absolute path" "$(json r kind) $(json r path) $(json r kernel)" "registered $root debian-cloud"
equal "register: nothing is copied" "$(ls $state/images)" ""
refused "register: a name that is taken" "already exists" image register --name r --rootfs root.ext4 --kernel-ref debian-cloud

# --- promote
mv $root $root.away
refused "promote: the file is gone" "cannot open" image promote r
mv $root.away $root
capture image promote r
equal "promote" "$status" 0
own=$(json r path)
equal "promote: it is banger's now" "$(json r kind)" local
check "promote: the same bytes" cmp $root "$own"
check "promote: the holes stay" test "$(stat -c %b "$own")" -le "$(stat -c %b $root)"
refused "promote: twice" "already" image promote r
refused "promote: no such image" "no image is named" image promote nosuch
image delete r
equal "delete: banger's files go" "$(ls $state/images)" ""
check "delete: the user's own stays" test -f $root

# --- bundle
image register --name r --rootfs root.ext4 --kernel-ref debian-cloud
capture image bundle --name r --out b.tar.zst --json
equal "bundle: of a registered image" "$status" 0
b=/home/alice/b.tar.zst
equal "bundle: says path, sha256 and size" "$(jq -r '"\(.path) \(.sha256) \(.size)"' <<<"$out")" "$b $(sha256sum <$b | cut -d' ' -f1) $(stat -c %s $b)"
equal "bundle: its members" "$(tar --zstd -tf $b | tr '\n' ' ')" "manifest.json rootfs.ext4 "
equal "bundle: its manifest" "$(tar --zstd -xOf $b manifest.json)" '{"format":1,"name":"r","kernel":"debian-cloud","size":268435456}'
image promote r
image bundle --name r --out again.tar.zst >/dev/null
check "bundle: the same image, the same bytes" cmp $b /home/alice/again.tar.zst
refused "bundle: a file that is there" "is there already" image bundle --name r --out b.tar.zst
refused "bundle: no such image" "no image is named" image bundle --name nosuch --out x.tar.zst
refused "bundle: a folder that is not there" "cannot make" image bundle --name r --out nosuch/x.tar.zst
equal "bundle: no part is left" "$(ls /home/alice/*.part* 2>/dev/null)" ""
image delete r

# --- the catalog and its signature
alice mkdir -p $config
alice minisign -G -W -p $config/trusted-keys -s key >/dev/null
alice minisign -G -W -p other.pub -s other >/dev/null
# entry NAME FILE [KEY]: a bundle's entry, signed by the key.
entry() {
    rm -f "$2.minisig"
    alice minisign -S -s "${3:-key}" -m "$2" >/dev/null
    printf '\n[[image]]\nname = "%s"\nkind = "bundle"\nkernel = "debian-cloud"\ntext = "a test"\nurl = "%s"\nsize = %s\nsha256 = "%s"\nsignature = %s\n' \
        "$1" "$2" "$(stat -c %s "$2")" "$(sha256sum <"$2" | cut -d' ' -f1)" "$(jq -Rs . <"$2.minisig")"
}
# catalog: stdin becomes alice's, signed.
catalog() {
    { echo 'format = 1'; cat; } >$config/catalog.toml
    rm -f $config/catalog.toml.minisig
    alice minisign -S -s "${1:-key}" -m $config/catalog.toml >/dev/null
}
available() { image list --available --json | jq -r '.images[] | select(.available) | .name' | tr '\n' ' '; }
entry tools $b | catalog
equal "catalog: its entries are listed" "$(available)" "debian-bookworm tools "
capture image pull tools
equal "pull: a bundle" "$status" 0
check "pull: the same bytes" cmp $root "$(json tools path)"
check "pull: the holes stay" test "$(stat -c %b "$(json tools path)")" -le $(($(stat -c %b $root) + 64))
equal "pull: what is known of it" "$(json tools kind) $(json tools source) $(json tools kernel)" "bundle $b debian-cloud"
image delete tools

sed -i 's/a test/A test/' $config/catalog.toml
refused "catalog: changed after it was signed" "changed after it was signed" image pull tools
refused "catalog: changed, listed" "changed after it was signed" image list --available
capture image list
equal "catalog: what is here is listed without it" "$status" 0
rm $config/catalog.toml.minisig
refused "catalog: no signature" "is not signed: sign it with" image pull tools
head -c 100 /dev/urandom >$config/catalog.toml.minisig
refused "catalog: a signature that is none" "not one of minisign's" image pull tools
entry tools $b | catalog other
refused "catalog: a key that is not trusted" "which is not trusted here" image pull tools
entry tools $b | sed 's/^url/uri/' | catalog
refused "catalog: a key that it has not" "catalog.toml:8: a [[image]] has no uri" image pull tools
entry tools $b | catalog
alice minisign -S -l -s key -m $config/catalog.toml >/dev/null
equal "catalog: signed in the older form" "$(available)" "debian-bookworm tools "
mkdir -p /etc/banger
cp $config/catalog.toml $config/catalog.toml.minisig /etc/banger/
rm $config/catalog.toml*
equal "catalog: the administrator's" "$(available)" "debian-bookworm tools "
chmod g+w /etc/banger/catalog.toml
refused "catalog: the administrator's, open to others" "is not root's alone" image pull tools
rm /etc/banger/catalog.toml*

# --- a bundle that is elsewhere: https on loopback, its certificate in this world's trust store
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$WORLD/tls.key" -out "$WORLD/tls.crt" 2>/dev/null
cat "$WORLD/tls.crt" >>/etc/ssl/certs/ca-certificates.crt
mkdir "$WORLD/served"
cp $b "$WORLD/served/"
(cd "$WORLD/served" && exec python3 -c "
import http.server, ssl
server = http.server.ThreadingHTTPServer(('127.0.0.1', 8443), http.server.SimpleHTTPRequestHandler)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain('$WORLD/tls.crt', '$WORLD/tls.key')
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()" 2>/dev/null) &
server=$!
until_true 10 bash -c ': <>/dev/tcp/127.0.0.1/8443' 2>/dev/null
elsewhere() { entry web $b | sed "s|^url = .*|url = \"https://localhost:8443/$1\"|"; }
elsewhere b.tar.zst | catalog
capture image pull web
equal "https: a bundle" "$status" 0
check "https: the same bytes" cmp $root "$(json web path)"
image delete web
elsewhere nosuch | catalog
rm -rf /home/alice/.cache/banger/blobs
refused "https: it is not there" "does not have" image pull web
head -c "$(stat -c %s $b)" /dev/urandom >"$WORLD/served/other"
elsewhere other | catalog
refused "https: another file" "" image pull web
kill $server
refused "https: nobody answers" "localhost" image pull web

# --- bundles that are not what they should be
# hostile NAME WORDS COMMAND...: the command writes the bundle.
hostile() {
    local name=$1 words=$2
    shift 2
    "$@" >/home/alice/h.tar.zst
    entry h /home/alice/h.tar.zst | catalog
    refused "bundle: $name" "$words" image pull h
}
pack() { (cd "$WORLD/parts" && tar --format=ustar --hard-dereference --owner=0 --group=0 -cf - "$@" | zstd -q); }
cut_short() { pack rootfs.ext4 manifest.json | head -c 100000; }
mkdir "$WORLD/parts"
cp --sparse=always $root "$WORLD/parts/rootfs.ext4"
echo '{"format":1,"size":268435456,"config":{"env":["A=b"]}}' >"$WORLD/parts/manifest.json"
pack rootfs.ext4 manifest.json >/home/alice/h.tar.zst
entry h /home/alice/h.tar.zst | catalog
capture image pull h
equal "bundle: the other way round" "$status" 0
equal "bundle: its run configuration" "$(cat "$(dirname "$(json h path)")/config.json")" '{"env":["A=b"]}'
image delete h
entry h /home/alice/h.tar.zst >"$WORLD/entry"
flip() { sed -E "$1" "$WORLD/entry" | catalog; }
flip 's/^sha256 = "./sha256 = "g/'
refused "bundle: a digest that is none" "sha256 must be" image pull h
flip 's/^(sha256 = ".*)[0-8]"/\19"/; s/^(sha256 = ".*)[9a-f]"/\10"/'
refused "bundle: another digest" "is not the one its catalog pins" image pull h
flip 's/^size = .*/size = 5/'
refused "bundle: another size" "is not the file of 5 bytes" image pull h
alice minisign -S -s key -m noise >/dev/null
{ grep -v '^signature' "$WORLD/entry"; echo "signature = $(jq -Rs . </home/alice/noise.minisig)"; } | catalog
refused "bundle: another file's signature" "signature is wrong" image pull h
entry h /home/alice/h.tar.zst other | catalog
refused "bundle: signed by a key that is not trusted" "which is not trusted here" image pull h
grep -v '^signature' "$WORLD/entry" | catalog
refused "bundle: no signature" "signature is missing" image pull h

hostile "no archive" "not a tar file packed with zstd" head -c 3M /dev/urandom
hostile "no tar in it" "bundle" zstd -qc $root
hostile "cut short" "damaged" cut_short
hostile "no manifest" "has no manifest.json" pack rootfs.ext4
hostile "no file system" "has no rootfs.ext4" pack manifest.json
hostile "a member twice" "twice" pack rootfs.ext4 manifest.json manifest.json
echo x >"$WORLD/parts/extra"
hostile "a member more" 'has "extra" in it' pack rootfs.ext4 manifest.json extra
hostile "another name" 'has "./rootfs.ext4" in it' pack ./rootfs.ext4 manifest.json
mv "$WORLD/parts/rootfs.ext4" "$WORLD/parts/real"
ln -s real "$WORLD/parts/rootfs.ext4"
hostile "a symbolic link" 'has "rootfs.ext4" in it' pack rootfs.ext4 manifest.json
rm "$WORLD/parts/rootfs.ext4"
mkdir "$WORLD/parts/rootfs.ext4"
hostile "a folder" 'has "rootfs.ext4' pack manifest.json rootfs.ext4
rmdir "$WORLD/parts/rootfs.ext4"
yes no file system | head -c 1M >"$WORLD/parts/rootfs.ext4"
echo '{"format":1,"size":1048576}' >"$WORLD/parts/manifest.json"
hostile "no ext4" "no ext4 file system" pack manifest.json rootfs.ext4
yes bomb | head -c 300M >"$WORLD/parts/rootfs.ext4"
hostile "a bomb" "more than 1024 times its size" pack manifest.json rootfs.ext4
mv "$WORLD/parts/real" "$WORLD/parts/rootfs.ext4"
hostile "a manifest of another" "is of another rootfs.ext4" pack manifest.json rootfs.ext4
echo '{"format":2,"size":268435456}' >"$WORLD/parts/manifest.json"
hostile "a format to come" "not of format 1" pack manifest.json rootfs.ext4
echo 'nonsense' >"$WORLD/parts/manifest.json"
hostile "a manifest that is none" "manifest.json" pack manifest.json rootfs.ext4
head -c 200000 /dev/zero >"$WORLD/parts/manifest.json"
hostile "a manifest too large" "may have 1 to" pack manifest.json rootfs.ext4
equal "at the end nothing is left" "$(ls $state/images)" ""
leave
summary
