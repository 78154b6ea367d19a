# A Debian mirror of a few packages behind the world's uplink, signed with a key of its own: what a guest with NAT
# installs from when it is asked to.
# shellcheck shell=bash

mirror=$WORLD/mirror mirror_server=

# mirror_take STATUS PACKAGE...: what apt would fetch for the packages, where dpkg's file STATUS says what is there.
mirror_take() {
    local state=$1 cache=$WORLD/apt-cache
    shift
    mkdir -p "$mirror/pool" "$cache/archives/partial"
    nsenter --net="$WORLD_HOST_NET" apt-get install --print-uris -qq -y --no-install-recommends \
        -o Dir::State::status="$state" -o Dir::Cache="$cache" -o Debug::NoLocking=1 "$@" >"$WORLD/uris" &&
        mapfile -t wanted < <(awk '{print $2}' "$WORLD/uris" | sed -E 's/_[^_]*$//; s/_/=/; s/%3a/:/g; s/%7e/~/g; s/%2b/+/g') &&
        mirror_add "${wanted[@]}"
}
# mirror_add PACKAGE...: these, whatever they depend on.
mirror_add() { (cd "$mirror/pool" && nsenter --net="$WORLD_HOST_NET" apt-get download -qq "$@" 2>"$WORLD/err"); }

# Its index and the signature, by a key made on first use; `key.gpg` is the public half.
mirror_index() (
    cd "$mirror" || exit 1
    dpkg-scanpackages pool >Packages && gzip -kf Packages || exit 1
    {
        printf 'Origin: test\nCodename: bookworm\nDate: %s\nArchitectures: amd64\nSHA256:\n' "$(date -Ru)"
        for file in Packages Packages.gz; do
            echo " $(sha256sum <"$file" | cut -d' ' -f1) $(stat -c %s "$file") $file"
        done
    } >Release
    export GNUPGHOME=$WORLD/gnupg
    [ -d "$GNUPGHOME" ] || { mkdir -m 0700 "$GNUPGHOME" && gpg --batch --quiet --passphrase '' --quick-generate-key mirror ed25519 sign never; } &&
        gpg --batch --quiet --yes --clearsign -o InRelease Release && gpg --batch --export >key.gpg
    made=$?
    gpgconf --kill gpg-agent
    exit $made
)

# The world outside with the mirror in it, at 203.0.113.7.
mirror_serve() {
    ip netns add world
    ip link add up0 type veth peer name w0 netns world
    ip addr add 198.51.100.1/24 dev up0
    ip link set up0 up
    ip -n world addr add 198.51.100.2/24 dev w0
    ip -n world link set w0 up
    ip -n world link set lo up
    ip -n world addr add 203.0.113.7/32 dev lo
    ip -n world route add default via 198.51.100.1
    ip route add default via 198.51.100.2
    ip netns exec world python3 -m http.server --directory "$mirror" 80 >/dev/null 2>"$WORLD/mirror.log" &
    mirror_server=$!
}
mirror_end() {
    kill "$mirror_server"
    wait "$mirror_server" 2>/dev/null
    ip netns del world
}
mirror_asked() { grep -c "GET /[./]*$1" "$WORLD/mirror.log"; }

# mirror_image FILE [COMMAND]: a copy of alice's Debian image whose apt knows this mirror alone, and in which COMMAND was run.
mirror_image() {
    local file=$1 root=$WORLD/mirror-root
    cp --sparse=always "$image_file" "$file"
    mkdir -p "$root"
    mount -o loop "$file" "$root" || return 1
    cp "$mirror/key.gpg" "$root/usr/share/keyrings/mirror.gpg"
    echo 'deb [signed-by=/usr/share/keyrings/mirror.gpg] http://203.0.113.7/ ./' >"$root/etc/apt/sources.list"
    chmod 0644 "$root/usr/share/keyrings/mirror.gpg" "$root/etc/apt/sources.list"
    [ $# -eq 1 ] || chroot "$root" /bin/sh -c "$2" >"$WORLD/err" 2>&1
    made=$?
    umount "$root"
    chown alice: "$file"
    return $made
}
