#!/bin/bash
# Usage: lint.sh SOURCE... -- CFLAG...   Every finding is an error.
set -u
sources=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    sources+=("$1")
    shift
done
shift
flags=("$@")
all=("${sources[@]}" $(git ls-files 'tests/*.c' 'fuzz/*.c'))
headers=($(git ls-files '*.h'))
status=0
fail() {
    echo "lint: $1"
    status=1
}

clang-format --dry-run --Werror "${all[@]}" "${headers[@]}" || fail "clang-format (mend with: clang-format -i FILE)"

# gcc's own flags that clang does not know are left out for clang-tidy, which gets
# one file a run: it mistakes va_list in the second one.
tidy_flags=()
for flag in "${flags[@]}"; do
    case $flag in -Wcast-align=strict | -fstack-clash-protection | -Werror | -W*) ;; *) tidy_flags+=("$flag") ;; esac
done
printf '%s\n' "${sources[@]}" | xargs -P 2 -n 1 sh -c 'flags=$1; shift; exec clang-tidy --quiet "$@" -- $flags 2>/dev/null' \
    tidy "$(printf "%s " "${tidy_flags[@]}")" || fail clang-tidy

cppcheck --quiet --enable=warning,portability,performance --inline-suppr --error-exitcode=1 -j 2 -D__x86_64__ -D_GNU_SOURCE \
    --suppress=missingInclude --suppress=normalCheckLevelMaxBranches --std=c11 "${sources[@]}" || fail cppcheck

printf '%s\n' "${sources[@]}" | xargs -P 2 -n 1 gcc "${flags[@]}" -fanalyzer -Wno-analyzer-too-complex -c -o /dev/null || fail "gcc -fanalyzer"

# Who may include whom (docs/architecture.md).
if git grep -nE '#include +"(\.\./)*(unpriv|priv-helper)/' -- common policy guest ||
    git grep -nE '#include +"(\.\./)*priv-helper/' -- unpriv; then
    fail "an include goes against the layout"
fi
if git grep -nE '\b(system|popen|strcpy|strcat|sprintf|gets|malloc|calloc|realloc|getenv|dlopen|getpw[a-z_]*|getgr(nam|gid|ent)[a-z_]*) *\(' \
    -- 'priv-helper/*.c' 'policy/*.c'; then
    fail "the helper makes a call it must not make"
fi
# The manual pages, and that the policy's has every keyword.
pages=$(mandoc -T lint -W warning docs/*.[1-8] 2>/dev/null) || fail "mandoc: $pages"
for keyword in $(sed -nE 's/^ *\{"([a-z-]+)", read_.*/\1/p' policy/parse.c); do
    grep -qE "^\.It Cm $keyword( |\$)" docs/banger-policy.5 || fail "docs/banger-policy.5 has no $keyword"
done
long=$(wc -l $(git ls-files '*.c' '*.h') | awk '$2 != "total" && $1 > 600 {print $2 " has " $1 " lines"}')
[ -z "$long" ] || fail "$long (a file stays under 600)"
[ $status -eq 0 ] && echo "lint: clean (${#sources[@]} sources)"
exit $status
