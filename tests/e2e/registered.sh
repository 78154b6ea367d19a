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

# The user's own kernel and its modules, from two places.
package=/home/bob/package
as bob sh -c "dpkg-deb -x ~/.cache/banger/kernels/debian-cloud $package && mv $package/boot/vmlinuz-* ~/bzImage && mv $package/lib/modules/* ~/modules"
release=$(grep -aom1 "vermagic=[^ ]*" /home/bob/modules/kernel/drivers/virtio/virtio.ko | cut -d= -f2)
no_pair() { # NAME WORDS ARG...: refused, and no image or kernel of the name is left
    local name=$1 words=$2
    shift 2
    capture bob image register --name pair --rootfs mine.ext4 "$@"
    check "$name: not a success" test "$status" -ne 0
    equal "$name: one sentence" "$(grep -c '^banger: ' <<<"$err")" 1
    contains "$name" "$err" "$words"
    equal "$name: nothing is left" "$(bob image list --json | grep -c '"pair"'; bob kernel list --json | grep -c '"pair"')" $'0\n0'
}
no_pair "an initrd" "banger's own" --kernel bzImage --initrd bzImage
no_pair "modules without a kernel" "goes with --kernel" --kernel-ref debian-cloud --modules modules
no_pair "no folder of modules" "folder of modules nosuch" --kernel bzImage --modules nosuch
no_pair "a folder without modules" "neither a modules.builtin" --kernel bzImage --modules package
no_pair "a kernel that is not there" "cannot open the kernel" --kernel nosuch --modules modules
no_pair "a kernel without its modules" "neither built in nor as a module" --kernel bzImage
as bob cp -r modules others
sed -i "s/vermagic=$release/vermagic=${release//[0-9]/9}/" /home/bob/others/kernel/drivers/virtio/virtio.ko
no_pair "another kernel's modules" "is of ${release//[0-9]/9}" --kernel bzImage --modules others
capture bob image register --name pair --rootfs mine.ext4 --kernel bzImage --modules modules
equal "register with a kernel and its modules" "$status" 0
equal "the kernel has the image's name and says where it is from" "$(bob kernel show pair --json | jq -r '"\(.name) \(.release) \(.source)"')" "pair $release bzImage"
for file in vmlinux initrd; do # what guests boot here all the time
    check "$file is what the package gives" cmp "$(bob kernel show pair --json | jq -r .$file)" "$(bob kernel show debian-cloud --json | jq -r .$file)"
done
bob image delete pair
bob kernel rm pair
rm -rf /home/bob/package /home/bob/modules /home/bob/others /home/bob/bzImage
equal "the file stays" "$(bob image delete mine && ls $mine)" $mine
equal "no VM is left" "$(bob vm list --json | jq '.vms | length')" 0
rm $mine
