# What a user can get wrong: one sentence each, with the remedy.
# shellcheck shell=bash

capture as carol banger vm run --rm -- true
check "not in group banger: refused" test "$status" -ne 0
contains "not in group banger: the remedy" "$err" "usermod -aG banger"

mkdir -p "$(state dave)"
cp -a --sparse=always "$(state bob)"/. "$(state dave)/"
chown -R dave: /home/dave
capture as dave banger vm create --name no --memory 512M
check "denied by the policy: refused" test "$status" -ne 0
contains "denied by the policy: names the file" "$err" /etc/banger/policy.conf
check "denied by the policy: nothing left" until_true 5 nothing_left dave
as dave banger daemon stop >/dev/null 2>&1

helper=/usr/local/libexec/banger/banger-helper
setcap -r "$helper"
bob daemon stop >/dev/null 2>&1
capture bob vm create --name no --memory 512M
check "helper without capabilities: refused" test "$status" -ne 0
contains "helper without capabilities: the remedy" "$err" "make install"
bob daemon stop >/dev/null 2>&1
setcap cap_net_admin,cap_sys_admin,cap_mknod=p "$helper"

capture bob vm create --name no --memory 999999M
check "more memory than the policy gives: refused" test "$status" -ne 0
contains "more memory than the policy gives: why" "$err" memory
capture bob vm create --name 'Bad_Name'
check "a name that is no DNS label" test "$status" -ne 0
capture bob vm create --name ok --image nosuch
contains "an image that is not there" "$err" "banger image list"
capture bob vm create --no-such-option
equal "an unknown option: 2" "$status" 2
contains "an unknown option: where to look" "$err" "--help"
capture bob vm delete -f nosuch
contains "a VM that is not there" "$err" "banger vm list"

# A home that cannot be written.
mount --bind /home/erin /home/erin
mount -o remount,ro,bind /home/erin
capture as erin banger vm list
check "read-only home: refused" test "$status" -ne 0
contains "read-only home: the remedy" "$err" "set XDG_"
umount /home/erin

# A disk that fills during a pull.
mkdir -p "$(state dave)-small" && mount -t tmpfs -o size=120m,mode=0700,uid="$(id -u dave)" tmpfs "$(state dave)-small"
capture outside dave env XDG_STATE_HOME="$(state dave)-small" banger image pull debian-bookworm
check "full disk during a pull: refused" test "$status" -ne 0
contains "full disk during a pull: the sentence" "$err" "space"
equal "full disk during a pull: nothing left" "$(find "$(state dave)-small" -name '*.ext4' | wc -l)" 0
as dave env XDG_STATE_HOME="$(state dave)-small" banger daemon stop >/dev/null 2>&1
umount "$(state dave)-small"
