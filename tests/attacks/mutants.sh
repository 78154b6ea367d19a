#!/bin/bash
# Shows that each attack fails against a helper without the defence: builds the helper
# once for each of mutants/*.sed, which says what it edits and which attacks must fail
# then, and runs those. Root only; two at once.
#   tests/attacks/mutants.sh [NAME...]
set -u
cd "$(dirname "$0")/../.." || exit 1
here=tests/attacks
work=$(mktemp -d /var/tmp/banger-mutants.XXXXXX)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
export BUILD=$work/build
commit=$(sed -n 's/.*"\(.*\)"$/\1/p' build/commit.h)

# One build of the attacks for all, and one copy of the tree a mutant.
# shellcheck disable=SC2046
gcc -std=gnu17 -D_GNU_SOURCE -O1 -g '-DBANGER_POLICY="/etc/banger/policy.conf"' -o "$work/attacks" \
    $(find $here -name '*.c' ! -name vmm.c) tests/netns/lab.c common/{fdpass,io}.c || exit 1
export ATTACK_DRIVER=$work/attacks ATTACK_HASTE=1

tree() {
    mkdir -p "$1/build/obj"
    cp -a Makefile .make common policy priv-helper guest docs tests unpriv "$1/"
    cp -a build/commit.h build/common.a build/banger* "$1/build/"
    cp -a build/obj/{common,policy,priv-helper} "$1/build/obj/"
}

# The attacks that passed although they must not, to stdout; 1 when it could not be tried.
try() {
    local name=$1 file tests dir=$work/tree.$1
    file=$(sed -n 's/^# file: //p' "$here/mutants/$name.sed")
    tests=$(sed -n 's/^# tests: //p' "$here/mutants/$name.sed")
    tree "$dir"
    sed -i -f "$here/mutants/$name.sed" "$dir/$file"
    if cmp -s "$file" "$dir/$file"; then
        echo "its text is not in $file any more"
        return 1
    fi
    # The objects are the tree's own, and what was edited is newer than they are.
    touch "$dir/$file"
    if ! make -s -C "$dir" BUILD=build COMMIT="$commit" WARNINGS=-w build/banger-helper >"$work/$name.log" 2>&1; then
        echo "it does not build: $(tail -n 3 "$work/$name.log")"
        return 1
    fi
    # shellcheck disable=SC2086
    (cd "$dir" && BUILD=$dir/build timeout 120 tests/world.sh tests/attacks/run.sh $tests) >"$work/$name.log" 2>&1
    if ! grep -qE '^[0-9]+ passed, ' "$work/$name.log"; then
        echo "not tried: $(tail -n 3 "$work/$name.log")"
        return 1
    fi
    for number in $tests; do
        grep -q "^not ok $number " "$work/$name.log" || echo "$number"
    done
}
one() {
    local name=$1 passed
    if passed=$(try "$name") && [ -z "$passed" ]; then
        echo "killed $name"
    else
        echo "SURVIVED $name: ${passed//$'\n'/ }"
    fi | tee "$work/$name.result"
    rm -rf "$work/tree.$name"
}

if [ $# -eq 0 ]; then
    for each in "$here"/mutants/*.sed; do
        each=${each##*/}
        set -- "$@" "${each%.sed}"
    done
fi
for name in "$@"; do
    one "$name" &
    [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
done
wait
killed=$(cat "$work"/*.result | grep -c '^killed')
survived=$(cat "$work"/*.result | grep -c '^SURVIVED')
without=$(comm -23 <($here/run.sh --list | sed 's/^line [0-9]*: \([0-9.]*\) .*/\1/' | sort) \
    <({ sed -n 's/^# tests: //p' "$here"/mutants/*.sed | tr ' ' '\n'; sed -n 's/^\([0-9.]*\) .*/\1/p' "$here/without-mutant"; } | sort -u) |
    sort -V | tr '\n' ' ')
echo "attacks that no mutant is for, beside those of without-mutant: ${without:-none}"
echo "$killed killed, $survived survived"
[ "$survived" -eq 0 ] && [ -z "$without" ]
