#!/bin/sh
# `make fuzz-coverage`: how many lines of what reads foreign images, catalogs and kernels the fuzz targets'
# seeds reach. Usage: seeds.sh TARGET...; leaves build/seeds/lines.txt, every line with its count.
set -eu
out=build/seeds
rm -f "$out"/*.profraw
objects=
for target in "$@"; do
    name=$(basename "$target" | sed 's/^fuzz_//')
    LLVM_PROFILE_FILE=$out/$name.profraw "$target" -runs=0 -max_len=65536 "fuzz/seeds/$name" >"$out/$name.log" 2>&1 ||
        { tail -n 5 "$out/$name.log"; exit 1; }
    objects="$objects -object $target"
done
llvm-profdata merge -o "$out/all.profdata" "$out"/*.profraw
files="unpriv/image/oci_config.c unpriv/image/oci_manifest.c unpriv/image/reference.c unpriv/image/run_config.c
    unpriv/image/superblock.c unpriv/image/fetch/challenge.c unpriv/image/fetch/manifest.c common/toml.c
    common/tree_receive.c common/tree_send.c
    unpriv/cli/docker.c unpriv/catalog/catalog.c unpriv/catalog/minisign.c"
for part in blobs bundle decode files layers load subtree tar tar_acl tree xattr; do
    files="$files unpriv/image/import/$part.c"
done
for part in blob bzimage elf inflate initramfs lzo modules package; do
    files="$files unpriv/kernel/import/$part.c"
done
# shellcheck disable=SC2086
llvm-cov show "$1" $objects -instr-profile="$out/all.profdata" $files >"$out/lines.txt"
# shellcheck disable=SC2086
llvm-cov export -summary-only "$1" $objects -instr-profile="$out/all.profdata" $files |
    jq -r '.data[0].files[] | "\(.filename) \(.summary.lines.covered) of \(.summary.lines.count) \(.summary.lines.percent * 10 | floor / 10)"' |
    while read -r file covered of count percent; do
        printf 'seeds %-36s %4s %s %4s lines, %s %%\n' "${file#"$PWD"/}" "$covered" "$of" "$count" "$percent"
    done
