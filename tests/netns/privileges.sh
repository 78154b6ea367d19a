#!/bin/bash
# `banger doctor --privileges` against the real daemon: what it prints is what /proc and
# the kernel's own answers say, and an account sees its own only.
#   tests/world.sh tests/netns/privileges.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
: "${WORLD:?run it inside tests/world.sh}"

as() {
    local account=$1
    shift
    (cd / && exec runuser -u "$account" -- env -i HOME="/home/$account" PATH=/usr/local/bin:/usr/bin:/bin "$@")
}
uid=1521
for account in paul rita; do
    useradd --uid $uid --create-home "$account"
    uid=$((uid + 1))
done
usermod --append --groups banger paul
leave() { as paul banger daemon stop >/dev/null 2>&1; as rita banger daemon stop >/dev/null 2>&1; }
trap leave EXIT

# --- the policy -----------------------------------------------------------------
policy() { as "$1" banger doctor --privileges --json | jq -c ".policy | $2"; }
rule=$(grep -n '^allow gid' /etc/banger/policy.conf | cut -d: -f1)
equal "who is in the group is allowed, by its line" "$(policy paul '[.allowed, .line]')" "[true,$rule]"
equal "who is not is told so" "$(policy rita '[.allowed, .line, (.reason | test("in no .allow. line"))]')" "[false,null,true]"
equal "the subnet follows from the uid" "$(policy paul .subnet)" '"172.24.36.0/22"'
equal "slots, nat and uplinks" "$(policy paul '[.slots, .nat, .uplinks]')" '[32,true,["default"]]'
equal "no ceiling is null" "$(policy paul '[.memory_max, .vcpus_max, .disk_max]')" '[null,null,null]'
cat >>/etc/banger/policy.conf <<END
deny uid 1521   # paul
memory-max 2048
private allow 192.168.7.0/24
END
equal "a deny line wins, and is named" "$(policy paul '[.allowed, .text]')" '[false,"deny uid 1521"]'
equal "ceilings and private ranges" "$(policy paul '[.memory_max, .private]')" '[2048,["192.168.7.0/24"]]'
echo "vcpus-max many" >>/etc/banger/policy.conf
last=$(wc -l </etc/banger/policy.conf)
equal "a bad line is named" "$(policy paul '[.allowed, .line, (.problem | test("vcpus-max NUMBER"))]')" "[false,$last,true]"
contains "and printed with its problem" "$(as paul banger doctor --privileges)" "line $last: expected \`vcpus-max NUMBER\`"
sed -i -e '/^deny uid 1521/d' -e '/^vcpus-max many/d' /etc/banger/policy.conf

# --- the processes ----------------------------------------------------------------
as paul banger daemon status >/dev/null || not_ok "daemon starts"
names_answered() { [ "$(as paul banger daemon status --json | jq -r .dns_pid)" != 0 ]; }
check "names are answered" until_true 10 names_answered
mine=$(as paul banger doctor --privileges --json)
all=$(banger doctor --privileges --json --user paul)
roles() { jq -rc '[.processes[] | .role + (if .worker then " " + .worker else "" end)] | sort' <<<"$1"; }
equal "root sees each process and which worker it is" "$(roles "$all")" \
    '["dns","engine","helper","monitor","worker disk","worker net","worker vmm"]'
equal "the account sees them too" "$(roles "$mine")" '["dns","engine","helper","monitor","worker","worker","worker"]'

# Each figure against the kernel's own file.
status() { sed -n "s/^$2:[[:blank:]]*//p" "/proc/$1/status"; }
pids=$(jq -r '.processes[].pid' <<<"$all")
for pid in $pids; do
    of() { jq -r ".processes[] | select(.pid == $pid) | $1" <<<"$all"; }
    name="$(of '.role + " " + (.worker // "")')"
    for set in effective:CapEff permitted:CapPrm inheritable:CapInh bounding:CapBnd ambient:CapAmb; do
        equal "$name: ${set%:*}" "$(of ".capabilities.${set%:*}" | tr -d ' ' | sed 's/^none$//')" \
            "$(capsh --decode="$(status "$pid" "${set#*:}")" | sed 's/.*=//; s/cap_//g')"
    done
    equal "$name: no_new_privs, seccomp, filters" "$(of '"\(.no_new_privs) \(.seccomp) \(.filters)"')" \
        "$(status "$pid" NoNewPrivs) $(status "$pid" Seccomp) $(status "$pid" Seccomp_filters)"
    equal "$name: descriptors" "$(of '[.files[].fd] | sort | map(tostring) | join(" ")')" "$(ls "/proc/$pid/fd" | sort -n | paste -sd' ')"
    own=
    for ns in cgroup ipc mnt net pid time user uts; do
        [ "$(readlink "/proc/$pid/ns/$ns")" = "$(readlink "/proc/1/ns/$ns")" ] || own="$own $ns"
    done
    equal "$name: namespaces" "$(of '.namespaces | join(" ")')" "${own# }"
done
worker() { jq -r ".processes[] | select(.worker == \"$1\") | $2" <<<"$all"; }
equal "no worker has anything in effect" "$(jq -r '[.processes[] | select(.name == "banger-helper") | .capabilities.effective] | unique | join(" ")' <<<"$all")" none
equal "the net worker has one capability" "$(worker net .capabilities.permitted)" net_admin
equal "the disk worker has two" "$(worker disk .capabilities.permitted)" "sys_admin, mknod"
equal "the vmm worker has two" "$(worker vmm .capabilities.permitted)" "sys_admin, mknod"
contains "the net worker's root has its node" "$(worker net '.root | join(",")')" "/dev/net/tun (character device 10:200)"
for w in net disk; do
    calls=$(worker $w '.calls | length')
    check "the $w worker's filter allows $calls calls, 25 or fewer" [ "$calls" -le 25 -a "$calls" -gt 5 ]
    equal "the $w worker can start no program" "$(worker $w '[.calls[] | select(test("exec|fork|clone|ptrace|setuid|socket"))] | length')" 0
done
equal "the engine can execute nothing" "$(jq -r '.processes[] | select(.role == "engine") | [.calls[] | select(test("^exec"))] | length' <<<"$all")" 0
calls=$(jq -r '.processes[] | select(.role == "dns") | .calls | join(" ")' <<<"$all")
equal "what answers for names can open, connect and execute nothing" "$(tr ' ' '\n' <<<"$calls" | grep -E 'exec|open|socket|connect|bind|clone|fork|ptrace')" ""
equal "and has no file" "$(jq -r '.processes[] | select(.role == "dns") | [.files[].what | select(test("null|socket") | not)] | length' <<<"$all")" 0
contains "the engine's socket call depends on its arguments" "$(jq -r '.processes[] | select(.role == "engine") | .calls | join(" ")' <<<"$all")" "socket*"
equal "what was looked at runs on" "$(jq -r '.processes[].pid' <<<"$(banger doctor --privileges --json --user paul)" | sort)" "$(sort <<<"$pids")"

# --- what the account itself sees -----------------------------------------------------
hidden='[.processes[] | select(.name == "banger-helper") | .files, .namespaces, .root, .calls] | map(. == null) | all'
equal "the helper's descriptors, namespaces, roots and calls are hidden from the account" "$(jq "$hidden" <<<"$mine")" true
equal "its capabilities are not" \
    "$(jq -c '[.processes[] | select(.role == "worker") | .capabilities.permitted] | sort' <<<"$mine")" '["net_admin","sys_admin, mknod","sys_admin, mknod"]'
contains "and it is told who sees the rest" "$(as paul banger doctor --privileges)" "sudo banger doctor --privileges"
equal "another account sees none of them" "$(as rita banger doctor --privileges --json | jq -c '[.processes[].uid] | unique')" "[]"
err=$(as rita banger doctor --privileges --user paul 2>&1)
equal "nor may it ask" "$? $err" "1 banger: only root may look at another account's processes: leave --user out, or use sudo"
err=$(as rita banger doctor --user rita 2>&1)
equal "--user alone makes no sense" "$? $err" "2 banger: --user is for --privileges: add it, or leave --user out"
err=$(banger doctor --privileges --user nosuch 2>&1)
equal "an account that is not there" "$? $err" "1 banger: there is no account nosuch"
summary
