#!/bin/sh
# Runs fuzz targets. Usage: fuzz.sh SECONDS TARGET...; 0 seconds replays the
# seeds once. New inputs are kept in build/fuzz/corpus; a finding stops it.
set -eu
seconds=$1
shift
for target in "$@"; do
    name=$(basename "$target" | sed 's/^fuzz_//')
    seeds=fuzz/seeds/$name
    corpus=build/fuzz/corpus/$name
    mkdir -p "$corpus" "$seeds"
    dictionary=
    [ ! -e "fuzz/$name.dict" ] || dictionary=-dict=fuzz/$name.dict
    log=build/fuzz/$name.log
    if [ "$seconds" -eq 0 ]; then
        # shellcheck disable=SC2086
        "$target" -runs=0 -max_len=65536 "$seeds" >"$log" 2>&1 || { tail -n 40 "$log"; echo "fuzz $name: a seed fails, see $log"; exit 1; }
    else
        # shellcheck disable=SC2086
        "$target" $dictionary -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 -max_len=65536 -print_final_stats=1 \
            -artifact_prefix="build/fuzz/$name-" "$corpus" "$seeds" >"$log" 2>&1 ||
            { tail -n 40 "$log"; echo "fuzz $name: a finding, see $log"; exit 1; }
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p; s/^Done \([0-9]*\) runs.*/\1/p' "$log" | head -n 1)
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    cover=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
    echo "fuzz $name: $(find "$seeds" -type f | wc -l) seeds, ${runs:-0} runs, ${speed:--} a second, ${cover:-cov: -}"
done
