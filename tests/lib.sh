# Shared by the shell suites: results in TAP's words, a summary, waiting.
# shellcheck shell=bash
passed=0 failed=0 skipped=0

ok() {
    echo "ok $1"
    passed=$((passed + 1))
}
not_ok() {
    echo "not ok $1"
    shift
    [ $# -eq 0 ] || printf '    %s\n' "$@"
    failed=$((failed + 1))
}
skip() {
    echo "SKIP $1: $2"
    skipped=$((skipped + 1))
}
# check NAME COMMAND...: the test passes when the command does.
check() {
    local name=$1
    shift
    if "$@"; then ok "$name"; else not_ok "$name" "failed: $*"; fi
}
# equal NAME GOT WANTED
equal() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:    $2" "wanted: $3" "stderr: ${err:-}"; fi
}
# contains NAME TEXT PART
contains() {
    case $2 in
    *"$3"*) ok "$1" ;;
    *) not_ok "$1" "got:            $2" "wanted part of: $3" ;;
    esac
}
# until_true SECONDS COMMAND...: polls; fails when the time is up.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}
summary() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
