# The attacks that a shell does best. Sourced by run.sh.
# shellcheck shell=bash

# Number and name; the function is attack_NUMBER with '.' as '_'.
shell_list=(
)

# shell_attacks [--list] [LINE | LINE.NUMBER]...
shell_attacks() {
    local list='' each number wanted arg
    [ "${1:-}" = --list ] && list=1 && shift
    for each in ${shell_list[@]+"${shell_list[@]}"}; do
        number=${each%% *}
        wanted=$(($# == 0))
        for arg in "$@"; do
            [ "$arg" = "$number" ] || [ "$arg" = "${number%.*}" ] && wanted=1
        done
        [ "$wanted" = 1 ] || continue
        if [ -n "$list" ]; then
            echo "line ${number%.*}: $each"
        else
            check "$each" "attack_${number//./_}"
        fi
    done
}
