#!/bin/bash
# From a registry on loopback to a bootable ext4, against `skopeo copy`, `umoci unpack` and
# `mke2fs -d`, and against gzip alone: banger-fetch and banger-import as the engine starts
# them. Medians of interleaved runs, nothing synced within one, what an earlier run left removed and
# written out between them. Then a VM's root disk of the largest image, against `cp`; and in tests/world.sh
# `banger image pull` a second time, against the first, and of a manifest whose image is here under another name.
# Usage: image_bench.sh [small middle here large many]   (as root, for umoci; after `make build`)
set -eu
cd "$(dirname "$0")/../.."
cache=/var/tmp/banger-bench/images
rounds=${ROUNDS:-5}
mkdir -p $cache
work=$(mktemp -d /var/tmp/banger-bench/image.XXXXXX)
registry=
leave() {
    [ -z "$registry" ] || kill $registry 2>/dev/null || true
    umount "$work/btrfs" 2>/dev/null || true
    rm -rf "$work"
}
trap leave EXIT
port=$((20000 + $$ % 20000))

# make NAME LAYERS FILES MIB [EVERY]
make() {
    [ ! -e "$cache/$1/oci-layout" ] || return 0
    rm -rf "${cache:?}/$1"
    python3 tests/bench/make_image.py "$cache/$1" "${@:2}"
}
serve() {
    cat >"$work/registry.yml" <<YML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: "127.0.0.1:$port"}
YML
    docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    registry=$!
    for _ in $(seq 100); do
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.1
    done
    return 1
}
push() { skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$cache/$1:t" "docker://127.0.0.1:$port/$1:t" >/dev/null; }
pull() { # IMAGE; the blobs stay in $work/cache. Prints seconds and MiB.
    printf '{"mode":"image","reference":"127.0.0.1:%s/%s:t","platform":"linux/amd64","endpoints":[{"host":"127.0.0.1:%s","insecure":true}],"limit":68719476736,"patience":30}' \
        "$port" "$1" "$port" >"$work/request"
    rm -f "$work/ours.ext4"
    mkdir -p "$work/cache"
    sync -f "$work"
    "$work/pull" "$work/request" "$work/cache" "$work/plan" "$work/config" "$work/ours.ext4" 2>"$work/messages" ||
        { cat "$work/messages" >&2; return 1; }
}
cold() { # FILE IMAGE
    rm -rf "$work/cache"
    pull "$2" | cut -d' ' -f1 >>"$work/$1"
}
cached() { # FILE IMAGE
    pull "$2" >"$work/last"
    cut -d' ' -f1 "$work/last" >>"$work/$1"
    cut -d' ' -f2 "$work/last" >>"$work/$1.memory"
}
theirs() {
    skopeo --insecure-policy copy -q --src-tls-verify=false "docker://127.0.0.1:$port/$1:t" "oci:$work/oci:t" >/dev/null
    umoci unpack --image "$work/oci:t" "$work/bundle" >/dev/null 2>&1
    mke2fs -q -t ext4 -d "$work/bundle/rootfs" "$work/theirs.ext4" "$(stat -c %s "$work/ours.ext4" | awk '{print int($1 / 1024)}')" >/dev/null 2>&1
}
layers_of() { jq -r '.layers[].digest' "$cache/$1/blobs/sha256/$(jq -r '.manifests[0].digest' "$cache/$1/index.json" | cut -d: -f2)" | sed "s|sha256:|$cache/$1/blobs/sha256/|"; }
unpacked() { gzip -dc "$@" >/dev/null; }
seconds() { # FILE COMMAND...
    local file=$1 from to
    shift
    from=$(date +%s%N)
    "$@"
    to=$(date +%s%N)
    awk -v n=$((to - from)) 'BEGIN {printf "%.4f\n", n / 1e9}' >>"$work/$file"
}
median() { sort -n "$work/$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
row() { # NAME OURS THEIRS UNIT most|least AIM
    awk -v name="$1" -v ours="$2" -v theirs="$3" -v unit="$4" -v how="$5" -v aim="$6" 'BEGIN {
        ratio = how == "most" ? ours / theirs : theirs / ours
        good = how == "most" ? ratio <= aim : ratio >= aim
        printf "bench %s ours=%.3f%s theirs=%.3f%s ratio=%.2f aim=%s%s %s\n", name, ours, unit, theirs, unit, ratio,
               (how == "most" ? "<=" : ">="), aim, (good ? "ok" : "short") }'
}
compared() { # IMAGE
    mapfile -t layers < <(layers_of "$1")
    push "$1"
    unpacked "${layers[@]}"
    for _ in $(seq "$rounds"); do
        rm -rf "$work/oci" "$work/bundle" "$work/theirs.ext4"
        cold "cold.$1" "$1"
        cached "cached.$1" "$1"
        sync -f "$work"
        seconds "theirs.$1" theirs "$1"
        seconds "gzip.$1" unpacked "${layers[@]}"
    done
    e2fsck -fn "$work/ours.ext4" >/dev/null 2>&1
    row "image_$1" "$(median "cold.$1")" "$(median "theirs.$1")" s least 8
    row "image_$1_gzip" "$(median "cold.$1")" "$(median "gzip.$1")" s most 0.6
    row "image_$1_cached" "$(median "cached.$1")" "$(median "cold.$1")" s least 2
    row "image_$1_memory" "$(median "cached.$1.memory")" 64 MiB most 1
}
grown() {
    push tenth
    for _ in $(seq "$rounds"); do
        cold tenth tenth
        cold grown large
    done
    row image_growth "$(median grown)" "$(median tenth)" s most 10.5
}
many() {
    push many
    cold many many
    cached many many
    e2fsck -fn "$work/ours.ext4" >/dev/null 2>&1
    row image_200000_memory "$(median many.memory)" 64 MiB most 1
}
# By an account of its own; the daemon is there from the first, untimed pull on.
here() {
    local ref=127.0.0.1:$port/middle:t
    [ -n "${WORLD:-}" ] || { echo "SKIP image_here: it needs an installation, as in tests/world.sh"; return 0; }
    useradd --create-home --groups banger bench
    bench() { runuser -u bench -- env -i -C / HOME=/home/bench PATH=/usr/local/bin:/usr/bin:/bin banger "$@" >/dev/null; }
    push middle
    bench daemon status
    for _ in $(seq "$rounds"); do
        bench image cache prune
        sync -f /home/bench
        seconds first bench image pull -q "$ref"
        seconds again bench image pull -q "$ref"
        sync -f /home/bench
        seconds here bench image pull -q --name here "$ref"
        bench image delete here "$ref"
    done
    bench daemon stop
    row image_again "$(median again)" "$(median first)" s least 2
    row image_here "$(median here)" "$(median first)" s least 2
}
# On a btrfs of its own, as a loop mount. Left to itself cp would clone there too.
roots() {
    truncate -s 8G "$work/btrfs.img"
    mkdir "$work/btrfs"
    mkfs.btrfs -q "$work/btrfs.img" 2>/dev/null && mount -o loop "$work/btrfs.img" "$work/btrfs" || { echo "SKIP image_root: no btrfs can be mounted here"; return 0; }
    cp --sparse=always "$work/ours.ext4" "$work/btrfs/base"
    sync -f "$work/btrfs"
    for _ in $(seq "$rounds"); do
        rm -f "$work/btrfs/"{ours,theirs}
        seconds root.ours "$work/root" "$work/btrfs/base" "$work/btrfs/ours"
        seconds root.theirs cp --sparse=always --reflink=never "$work/btrfs/base" "$work/btrfs/theirs"
    done
    cmp "$work/btrfs/base" "$work/btrfs/ours"
    row image_root "$(median root.ours)" "$(median root.theirs)" s least 20
}

printf 'PIGB\4\0\0\0' >"$work/plan" # magic and mode (plan.h), all else 0
head -c 600 /dev/zero >>"$work/plan"
gcc -O2 -D_GNU_SOURCE -o "$work/pull" tests/bench/pull.c
gcc -O2 -D_GNU_SOURCE -o "$work/root" tests/bench/root.c
serve
sizes=${*:-small middle here large many}
echo "load $(cut -d' ' -f1-3 /proc/loadavg)"
case $sizes in *small*) make small 1 300 8 && compared small ;; esac
case $sizes in *middle*) make middle 2 9000 200 && compared middle ;; esac
case $sizes in *here*) make middle 2 9000 200 && here ;; esac
case $sizes in *large*)
    make large 12 60000 1100 && make tenth 12 60000 1100 10
    compared large
    roots
    grown
    ;;
esac
case $sizes in *many*) make many 1 200000 0 && many ;; esac
