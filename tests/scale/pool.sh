# tap_pool_size: taps that wait for new VMs, through kills of the daemon, to none again. Sourced by run.sh.
# shellcheck shell=bash
pool() {
    scott mkdir -p /home/scott/.config/banger
    echo "tap_pool_size = $1" >/home/scott/.config/banger/config.toml
    scott banger daemon status >/dev/null
}
ready_is() { [ "$(scott banger daemon status --json | jq .taps_ready)" = "$1" ]; }
# tap_of VM: its interface, with the number that no other ever has.
tap_of() { ip -o link show "$(printf 'bt%08x%03x' "$(id -u scott)" "$(scott banger vm show "$1" --json | jq .slot)")" | cut -d: -f1,2; }
all_taps() { ip -o link | grep -E ' bt[0-9a-f]+' | cut -d: -f1,2; }
guest_rules() { nft -j list set bridge banger guests | jq '[.nftables[].set.elem // empty | length] | add // 0'; }
folders() { find /home/scott/.local/state/banger/vms -mindepth 1 -maxdepth 1 | wc -l; }
counts() { echo "$(all_taps | wc -l) taps, $(guest_rules) rules, $(folders) folders"; }
counts_are() { [ "$(counts)" = "$1" ]; }
has_nat() { nft list set inet banger nat | grep -qF "$(scott banger vm show "$1" --json | jq -r .address)"; }
of_daemon() { scott banger daemon status --json | jq -r ".$1"; }

client empty >/dev/null
check "no VM, nothing in the kernel" until_true 10 counts_are "0 taps, 0 rules, 0 folders"
pool 3
check "three taps are made ready" until_true 10 ready_is 3
equal "with their rules, and a folder each" "$(counts)" "3 taps, 3 rules, 3 folders"
waiting=$(all_taps)
client up first nat
contains "a VM that is made and started has one of them" "$waiting" "$(tap_of first)"
check "it has NAT" has_nat first
check "the pool is filled again" until_true 10 ready_is 3
waiting=$(all_taps)
client up second none
contains "the next has another" "$waiting" "$(tap_of second)"
check "which has no NAT" test "$(has_nat second && echo has)" = ""
tap=$(tap_of first)
client down first
check "a tap that a VMM had is taken apart" until_true 10 sh -c "! ip -o link | grep -qF '$tap:'"
scott banger vm delete -f first
check "the pool stays as it is" until_true 10 counts_are "4 taps, 4 rules, 4 folders"

# Another in its place reaches no more than it may: slot 0 was first's.
pool 0
check "none wait any longer" until_true 10 counts_are "1 taps, 1 rules, 1 folders"
pool 1
check "one waits in the lowest slot" until_true 10 ready_is 1
client up third none
equal "which the next VM has" "$(scott banger vm show third --json | jq .slot)" 0
check "without the NAT of the one before" test "$(has_nat third && echo has)" = ""
client up --no-start fourth nat
equal "one that is not started has the lowest slot too" "$(scott banger vm show fourth --json | jq .slot)" 2

pool 3
check "with three VMs, two of them running, three wait" until_true 10 counts_are "5 taps, 5 rules, 6 folders"
kill -9 "$(of_daemon pid)"
check "the engine killed: another three" until_true 20 ready_is 3
check "and nothing else is left of the first" until_true 10 counts_are "5 taps, 5 rules, 6 folders"
kill -9 "$(of_daemon monitor_pid)" "$(of_daemon pid)"
check "the whole daemon killed: another three" until_true 20 ready_is 3
check "and nothing else is left either" until_true 10 counts_are "5 taps, 5 rules, 6 folders"
equal "no start-up found anything to mend in that" "$(scott banger events --json --since 0 | jq -r 'select(.kind | endswith("mended")).text')" ""
kill -9 "$(of_daemon helper_pid)"
client up fifth nat
check "the helper killed: the pool goes on" until_true 10 counts_are "6 taps, 6 rules, 7 folders"

# A helper that refuses everything for a while: what it did not take down is neither used nor forgotten.
sed -i '1i nonsense' /etc/banger/policy.conf
pool 1
taken_down_is_refused() { grep -q 'line 1 of the policy' /home/scott/.local/state/banger/bangerd.log; }
check "a smaller pool while nothing is allowed" until_true 10 taken_down_is_refused
check "has one that waits" until_true 10 ready_is 1
sed -i 1d /etc/banger/policy.conf
pool 2
check "two wait, in slots that are there again" until_true 10 counts_are "5 taps, 5 rules, 6 folders"
pool 3
check "and three" until_true 10 counts_are "6 taps, 6 rules, 7 folders"

scott banger daemon stop >/dev/null
check "the daemon stopped: only running VMs have taps" until_true 10 counts_are "3 taps, 3 rules, 4 folders"
check "with the next daemon they wait again" until_true 10 ready_is 3
pool 0
client empty >/dev/null
check "without VMs and pool nothing is left" until_true 10 counts_are "0 taps, 0 rules, 0 folders"
bridge_gone() { ! ip -o link | grep -qE ' bgr[0-9a-f]+'; }
check "not even the bridge" until_true 10 bridge_gone
rm /home/scott/.config/banger/config.toml
