# The journal has the helper's decisions, and `banger audit verify` believes it.
# shellcheck shell=bash
uid=$(id -u ann)
file=/var/log/banger/audit-$uid.jsonl
program=/usr/libexec/banger/banger-helper
from_journal() { journalctl --quiet -o short "$@" | banger audit verify --user ann --syslog - 2>&1; }

ann daemon stop >/dev/null 2>&1
ann doctor >/dev/null 2>&1 # asks the helper for the account's VMs, and for a trial of KVM
equal "the records are root's alone" "$(stat -c '%U:%G %a' "$file")" "root:root 600"
equal "ann reads neither them nor their folder" "$(as ann sh -c "cat $file; ls /var/log/banger" 2>&1 | grep -c 'ermission denied')" 2
last=$(tail -n 1 "$file")
head=$(printf %s "$last" | sha256sum | cut -d' ' -f1)
journalctl --sync
contains "the journal has the head of the last one, as LOG_AUTHPRIV" \
    "$(journalctl --quiet -o cat SYSLOG_FACILITY=10 _EXE=$program)" "n=$(jq .n <<<"$last") head=$head uid=$uid"
equal "and says who sent it" "$(journalctl --quiet -o json -n 1 _EXE=$program | jq -r '[._UID, .SYSLOG_IDENTIFIER] | join(" ")')" "$uid banger-helper"
contains "verify: good" "$(from_journal _EXE=$program)" "good, records up to $(jq .n <<<"$last"), head $head"
as ann logger -p authpriv.info -t banger-helper "n=9999 head=$(printf %064d 0) uid=$uid"
journalctl --sync
contains "a line of ann's own in the helper's name is in the journal" "$(journalctl --quiet -o cat -t banger-helper)" "n=9999"
contains "verify: the journal knows whose it is" "$(from_journal _EXE=$program)" "good, records up to"
cp "$file" /tmp/records
sed -i '$d' "$file"
contains "verify: a cut tail is found" "$(from_journal _EXE=$program)" "the tail was cut"
cat /tmp/records >"$file"
contains "verify: good again" "$(from_journal _EXE=$program)" "good, records up to"
