#!/bin/bash
# Start and stop again and again: what the daemon, the helper and the kernel hold afterwards is
# what they held before. Runs inside tests/world.sh. ROUNDS: 1000 by default.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
. tests/scale/setup.sh
rounds=${ROUNDS:-1000}
home=/home/scott
cp tests/scale/client.py $home/
client() { scott python3 $home/client.py "$@"; }
processes() { ps -u scott -o pid=,comm= | awk '$2 ~ /^banger/ {print $1}'; }

descriptors() { for pid in $(processes); do echo "$(cat "/proc/$pid/comm") $(find "/proc/$pid/fd" -mindepth 1 | wc -l)"; done | sort; }
threads() { for pid in $(processes); do echo "$(cat "/proc/$pid/comm") $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)"; done | sort; }
links() { ip -o link | grep -oE ' (bgr|bt)[0-9a-f]+' | sort; }
# Elements by number: their handles and counters differ.
rules() { nft list ruleset | sed -E 's/counter packets [0-9]+ bytes [0-9]+//; s/expires [0-9a-z]+//'; }
# Of the account's files: loop devices are the whole machine's, and other worlds have a /home too.
loops() {
    local name inode file
    losetup -nO NAME,BACK-INO,BACK-FILE | grep " $home/" | while read -r name inode file; do
        [ "$(stat -c %i "$file" 2>/dev/null)" != "$inode" ] || echo "$name $file"
    done
}
files() { (cd $home/.local/state/banger && find . -type f -o -type s | grep -vE '^\./(banger\.db|bangerd\.log)' | sort); }
cgroups() { find /sys/fs/cgroup -type d -path '*banger*' 2>/dev/null | sort; }
memory() { for pid in $(processes); do awk '/^Pss_Anon:/ {print $2}' "/proc/$pid/smaps_rollup"; done | awk '{s += $1} END {print s}'; }
kinds=(descriptors threads links rules loops files cgroups)
declare -A before

# The first rounds fill caches that stay: allocator arenas, SQLite's pages, the KVM trial.
client fill 8 >/dev/null
client soak 8 8 >/dev/null # logs and sockets are made by the first start
equal "a list of some members has no others" "$(client members name slot)" '{"name": "idle-0000", "slot": 0}'
contains "a member that no VM has" "$(client members name nam 2>&1)" 'a VM has no member "nam"'
equal "the table has all that it shows" "$(scott banger vm list | awk 'NR == 2 {print $2, $3, $4, $6, $7, $8}')" "idle-0000 stopped r 1 128M 64M"
# One more is all that the policy allows: a VM that was deleted makes room at once, though the kernel takes its tap apart yet.
sed -i 's/^slots .*/slots 9/' /etc/banger/policy.conf
out=$(client cycle 20 2>&1 >/dev/null)
equal "at the policy's limit a VM that is deleted makes room at once" "$?/$out" 0/
sed -i 's/^slots .*/slots 1000/' /etc/banger/policy.conf
sleep 1
for kind in "${kinds[@]}"; do before[$kind]=$($kind); done
start=$(memory)
began=$SECONDS
out=$(client soak 8 "$rounds" 2>&1)
status=$?
equal "$rounds rounds of start and stop" "$status" 0
echo "$out"
check "the last tap is gone" until_true 5 test -z "$(links | grep ' bt')"
sleep 2
for kind in "${kinds[@]}"; do equal "$kind are back where they were" "$($kind)" "${before[$kind]}"; done
end=$(memory)
check "memory: $start KiB before, $end KiB after" test "$end" -le $((start + 512))
echo "$rounds rounds in $((SECONDS - began)) s"

# shellcheck source=tests/scale/pool.sh
. tests/scale/pool.sh
no_folder() { [ -z "$(find $home/.local/state/banger/vms -mindepth 1 -maxdepth 1)" ]; }
check "no VM's folder is left" until_true 10 no_folder
scale_leave
until_true 10 test -z "$(processes)"
equal "SQLite finds its file whole" "$(python3 -c '
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("PRAGMA integrity_check").fetchone()[0])' $home/.local/state/banger/banger.db)" ok
summary
