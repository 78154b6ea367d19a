#!/bin/bash
# From a registry on loopback to a bootable ext4, against `skopeo copy`, `umoci unpack` and
# `mke2fs -d`, and against gzip alone: banger-fetch and banger-import as the engine starts
# them. Medians of interleaved runs, nothing synced on any side.
# Usage: image_bench.sh [small middle large]   (as root, for umoci; after `make build`)
set -eu
cd "$(dirname "$0")/../.."
cache=/var/tmp/banger-bench/images
rounds=${ROUNDS:-5}
mkdir -p $cache
work=$(mktemp -d /var/tmp/banger-bench/image.XXXXXX)
registry=
trap '[ -z "$registry" ] || kill $registry 2>/dev/null; rm -rf "$work"' EXIT
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
ours() { # IMAGE; the blobs stay in $work/cache
    rm -f "$work/ours.ext4"
    mkdir -p "$work/cache"
    printf '{"mode":"image","reference":"127.0.0.1:%s/%s:t","platform":"linux/amd64","endpoints":[{"host":"127.0.0.1:%s","insecure":true}],"limit":68719476736,"patience":30}' \
        "$port" "$1" "$port" >"$work/request"
    : >"$work/config"
    {
        env -i build/banger-fetch 3<"$work/request" 4<"$work/cache" 5>&1 >/dev/null 6<>"$work/config" 2>"$work/fetch" </dev/null
    } | env -i build/banger-import 3<"$work/plan" 4<&0 5<>"$work/ours.ext4" 2>"$work/import" >/dev/null </dev/null
    tail -n 1 "$work/import" | grep -q '"ok":true' || { cat "$work/fetch" "$work/import" >&2; return 1; }
}
cold() { rm -rf "$work/cache" && ours "$1"; }
theirs() {
    rm -rf "$work/oci" "$work/bundle" "$work/theirs.ext4"
    skopeo --insecure-policy copy -q --src-tls-verify=false "docker://127.0.0.1:$port/$1:t" "oci:$work/oci:t" >/dev/null
    umoci unpack --image "$work/oci:t" "$work/bundle" >/dev/null 2>&1
    mke2fs -q -t ext4 -d "$work/bundle/rootfs" "$work/theirs.ext4" "$(stat -c %s "$work/ours.ext4" | awk '{print int($1 / 1024)}')" >/dev/null 2>&1
}
unpacked() { find "$cache/$1/blobs" -type f -size +16k -exec sh -c 'for f; do gzip -dc "$f" >/dev/null 2>&1 || true; done' sh {} +; }
seconds() { # FILE COMMAND...
    local file=$1 from to
    shift
    from=$(date +%s%N)
    "$@"
    to=$(date +%s%N)
    awk -v n=$((to - from)) 'BEGIN {printf "%.3f\n", n / 1e9}' >>"$work/$file"
}
median() { sort -n "$work/$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
row() { # NAME OURS THEIRS UNIT most|least AIM
    awk -v name="$1" -v ours="$2" -v theirs="$3" -v unit="$4" -v how="$5" -v aim="$6" 'BEGIN {
        ratio = how == "most" ? ours / theirs : theirs / ours
        good = how == "most" ? ratio <= aim : ratio >= aim
        printf "bench %s ours=%.2f%s theirs=%.2f%s ratio=%.2f aim=%s%s %s\n", name, ours, unit, theirs, unit, ratio,
               (how == "most" ? "<=" : ">="), aim, (good ? "ok" : "short") }'
}
# The most memory banger-import has, off the cached blobs.
peak() {
    rm -f "$work/peak.ext4"
    {
        env -i build/banger-fetch 3<"$work/request" 4<"$work/cache" 5>&1 >/dev/null 6<>"$work/config" 2>/dev/null </dev/null
    } | python3 -c '
import os, sys
pid = os.fork()
if pid == 0:
    os.dup2(0, 4)
    os.execve("build/banger-import", ["banger-import"], {})
print(os.wait4(pid, 0)[2].ru_maxrss / 1024)' 3<"$work/plan" 5<>"$work/peak.ext4" 2>/dev/null
}

printf 'PIGB\4\0\0\0' >"$work/plan" # magic and mode (plan.h), all else 0
head -c 600 /dev/zero >>"$work/plan"
serve
sizes=${*:-small middle large}
case $sizes in *small*) make small 1 300 8 ;; esac
case $sizes in *middle*) make middle 2 9000 200 ;; esac
case $sizes in *large*) make large 12 60000 1100 && make tenth 12 60000 1100 10 ;; esac
for image in $sizes; do
    skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$cache/$image:t" "docker://127.0.0.1:$port/$image:t" >/dev/null
    unpacked "$image"
    for _ in $(seq "$rounds"); do
        seconds "cold.$image" cold "$image"
        seconds "cached.$image" ours "$image"
        seconds "theirs.$image" theirs "$image"
        seconds "gzip.$image" unpacked "$image"
    done
    e2fsck -fn "$work/ours.ext4" >/dev/null 2>&1
    row "image_$image" "$(median "cold.$image")" "$(median "theirs.$image")" s least 8
    row "image_${image}_gzip" "$(median "cold.$image")" "$(median "gzip.$image")" s most 0.6
    row "image_${image}_cached" "$(median "cached.$image")" "$(median "cold.$image")" s least 2
    row "image_${image}_memory" "$(peak)" 64 MiB most 1
done
case $sizes in *large*)
    skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$cache/tenth:t" "docker://127.0.0.1:$port/tenth:t" >/dev/null
    for _ in $(seq "$rounds"); do
        seconds cold.tenth cold tenth
        seconds grown cold large
    done
    row image_growth "$(median grown)" "$(median cold.tenth)" s most 10.5
    ;;
esac
