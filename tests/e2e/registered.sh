# VMs of an image that is the user's own file.
# shellcheck shell=bash

mine=/home/bob/mine.ext4
cp --sparse=always "$(bob image show debian-bookworm --json | jq -r .path)" $mine
chown bob: $mine
capture bob image register --name mine --rootfs mine.ext4 --kernel-ref debian-cloud
equal "register" "$status" 0
capture bob vm create --name own --image mine --no-start --memory 512M
equal "a VM of a registered image" "$status" 0
equal "it has the image's kernel" "$(bob vm show own --json | jq -r '"\(.image) \(.kernel)"')" "mine debian-cloud"
slot=$(bob vm show own --json | jq .slot)
check "its root is what the file holds" cmp $mine "$(state bob)/vms/$(printf %03x "$slot")/root.ext4"
capture bob image delete mine
contains "the image is not deleted under it" "$err" "VM own uses this image"
capture bob vm create --image mine --no-start --root-disk snapshot
contains "a snapshot is refused" "$err" "banger image promote"
mv $mine $mine.away
capture bob vm create --image mine --no-start
contains "a file that is gone" "$err" "cannot open $mine"
mv $mine.away $mine
bob vm delete -f own
equal "the file stays" "$(bob image delete mine && ls $mine)" $mine
equal "no VM is left" "$(bob vm list --json | jq '.vms | length')" 0
rm $mine
