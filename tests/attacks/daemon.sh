# The attacks that concern the daemon and the CLI. Sourced by run.sh.
# shellcheck shell=bash

# Number and name; the function is attack_NUMBER with '.' as '_'.
shell_list=(
    "16.2 the daemon's socket and state are the account's alone"
    "16.3 a state folder that another account made"
    "21.3 two hundred connections that say nothing, and another account's"
    "27.3 names made of escapes and line ends, in what the CLI says"
)
mallory=61500 victim=61501

# as UID COMMAND...: in the account's own home, from a plain environment.
as() {
    local uid=$1
    shift
    setpriv --reuid "$uid" --regid "$uid" --groups 61999 --inh-caps=-all \
        env -i HOME="/home/$uid" PATH=/usr/local/bin:/usr/bin:/bin USER="u$uid" timeout 20 "$@"
}
home() {
    rm -rf "/home/${1:?}"
    install -d -m 0755 -o "$1" -g "$1" "/home/$1"
    grep -q "^u$1:" /etc/passwd || echo "u$1:x:$1:$1::/home/$1:/bin/sh" >> /etc/passwd
}
daemon_socket() {
    find "/home/$1" -type s 2>/dev/null | head -n 1
}
stop_daemon() {
    as "$1" banger daemon stop > /dev/null 2>&1
}

attack_16_2() {
    local socket at good=0
    home $victim
    as $victim banger vm list > /dev/null 2>&1 || { echo "    control: no daemon"; return 1; }
    socket=$(daemon_socket $victim)
    at=$(dirname "$socket")
    [ "$(stat -c %u "$socket")" = $victim ] && [ "$(stat -c %a "$at")" = 700 ] || good=1
    as $mallory ls "$at" > /dev/null 2>&1 && good=1
    as $mallory python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$socket" 2> /dev/null && good=1
    stop_daemon $victim
    return $good
}

attack_16_3() {
    local said status=0
    home $victim
    home $mallory
    install -d -o $victim -g $victim "/home/$victim/.local" "/home/$victim/.local/state"
    install -d -m 0777 -o $mallory -g $mallory "/home/$mallory/trap"
    ln -s "/home/$mallory/trap" "/home/$victim/.local/state/banger"
    said=$(as $victim banger vm list 2>&1) && status=1
    stop_daemon $victim
    [ -z "$(find "/home/$mallory/trap" -mindepth 1 2>/dev/null)" ] || status=1
    [ $status = 0 ] || echo "    it said: $said; and left: $(find "/home/$mallory/trap" | head -n 5 | tr '\n' ' ')"
    return $status
}

attack_21_3() {
    local socket status=0
    home $victim
    as $victim banger vm list > /dev/null 2>&1 || { echo "    control: no daemon"; return 1; }
    socket=$(daemon_socket $victim)
    as $victim python3 -c '
import socket, sys, subprocess, time
many = []
try:
    for i in range(200):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(2)
        s.connect(sys.argv[1])
        many.append(s)
except OSError:
    pass
for s in many:
    s.close()
for i in range(50):  # the last of their threads may still be ending
    if subprocess.run(["banger", "vm", "list"], capture_output=True).returncode == 0:
        sys.exit(0)
    time.sleep(0.1)
sys.exit(1)
' "$socket" || status=1
    stop_daemon $victim
    return $status
}

attack_27_3() {
    local name said status=0
    home $victim
    for name in $'a\e[2Jb' $'a\nok' $'\xc2\x9b31m' $'\xe2\x80\xae' $'a\rb' "$(head -c 65536 /dev/zero | tr '\0' x)"; do
        said=$(as $victim banger vm show "$name" 2>&1) && status=1
        printf '%s' "$said" | LC_ALL=C grep -q $'[\e\r\x7f]\|\xc2[\x80-\x9f]\|\xe2\x80\xae' && status=1
        [ "$(printf '%s\n' "$said" | wc -l)" -le 2 ] || status=1
        [ $status = 0 ] || { printf '    it said: %q\n' "${said:0:200}"; break; }
    done
    stop_daemon $victim
    return $status
}

# shell_attacks [--list] [LINE | LINE.NUMBER]...
shell_attacks() {
    local list='' each number wanted arg
    [ "${1:-}" = --list ] && list=1 && shift
    for each in "${shell_list[@]}"; do
        number=${each%% *}
        wanted=$(($# == 0))
        for arg in "$@"; do
            [ "$arg" = "$number" ] || [ "$arg" = "${number%.*}" ] && wanted=1
        done
        [ "$wanted" = 1 ] || continue
        if [ -n "$list" ]; then
            echo "line ${number%.*}: $each"
        elif "attack_${number//./_}"; then
            ok "$each"
        else
            not_ok "$each"
        fi
    done
}
