# Root disks: each kind that can be had here, on this file system and on a btrfs of its
# own. Needs of its surroundings tests/lib.sh, `as` and `capture`; DISKS_ACCOUNT (alice)
# has an image and a kernel. tests/vm runs it where device-mapper is.
# shellcheck shell=bash

account=${DISKS_ACCOUNT:-alice}
home_state=/home/$account/.local/state
scratch=$(mktemp -d /var/tmp/banger-disks.XXXXXX)
chmod 0711 "$scratch"
place=$home_state # $XDG_STATE_HOME of what follows
banger() { as "$account" env XDG_STATE_HOME="$place" banger "$@"; }
show() { banger vm show "$1" --json | jq -r ".$2"; }
in_guest() { banger vm exec disk -- sh -c "$1"; }
says() { [ "$(in_guest "$1" 2>/dev/null)" = "$2" ]; }
is_stopped() { [ "$(show disk state)" = stopped ]; }
base_sum() { sha256sum "$place/banger/images/"*/rootfs.ext4 | cut -d' ' -f1; }
snapshots() { dmsetup ls 2>/dev/null | grep -c "^banger-$(printf %08x "$(id -u "$account")")-"; }
loops() { losetup --list --noheadings --output BACK-FILE 2>/dev/null | grep -c "^$place/banger/"; }
folders() { find "$place/banger/vms" -mindepth 1 -maxdepth 1 2>/dev/null; }
nothing_of_it() { [ "$(snapshots)/$(loops)/$(folders)" = 0/0/ ]; }

# file_system KIND SIZE: a file system of its own as the place, with image and kernel in it.
file_system() {
    local kind=$1 size=$2
    truncate -s "$size" "$scratch/$kind.img"
    "mkfs.$kind" -q "$scratch/$kind.img" >/dev/null 2>&1 && mkdir -p "$scratch/$kind" &&
        mount -o loop "$scratch/$kind.img" "$scratch/$kind" 2>"$scratch/why" || return 1
    place=$scratch/$kind
    mkdir "$place/banger"
    cp -a --sparse=always "$home_state/banger/images" "$home_state/banger/kernels" "$home_state/banger"/banger.db* "$place/banger/"
    chown -R "$account:" "$place"
    chmod 0700 "$place/banger"
}
leave_file_system() {
    banger daemon stop >/dev/null 2>&1
    until_true 10 umount "$place" 2>/dev/null
    place=$home_state
}

# can KIND: whether a root disk of that kind can be had at the place; else why is said in one line.
can() {
    capture banger vm create --quiet --name try --memory 512M --no-start --root-disk "$1"
    if [ "$status" -eq 0 ]; then
        banger vm delete -f try >/dev/null
        return 0
    fi
    equal "$here: $1 cannot be had: one sentence" "$(grep -c . <<<"$err")" 1
    contains "$here: $1 cannot be had: it is named" "$err" "\"$1\""
    check "$here: $1 cannot be had: nothing is left" until_true 5 nothing_of_it
    return 1
}

folder() { echo "$place/banger/vms/$(printf %03x "$(show disk slot)")"; }
shared() { filefrag -v "$(folder)/root.ext4" | grep -q shared; }
# reserved: the overlay has every block it can ever use.
reserved() {
    local overlay size
    overlay=$(folder)/root.cow
    size=$(stat -c %s "$overlay")
    [ "$(du -B1 "$overlay" | cut -f1)" -ge "$size" ] && [ "$size" -gt "$(stat -c %s "$place/banger/images/"*/rootfs.ext4)" ]
}

# whole KIND: its life, with the engine and the VMM killed on the way.
whole() {
    local kind=$1 sum image
    sum=$(base_sum)
    capture banger vm create --name disk --memory 512M --root-disk "$kind"
    equal "$here: $kind: create" "$status/$(show disk root_kind)" "0/$kind"
    image=$(show disk image)
    [ "$kind" != reflink ] || check "$here: reflink: its blocks are the image's" shared
    [ "$kind" != snapshot ] || check "$here: snapshot: the overlay is reserved" reserved
    [ "$kind" != snapshot ] || equal "$here: snapshot: it is up, on two loop devices" "$(snapshots)/$(loops)" 1/2
    capture banger image delete "$image"
    contains "$here: $kind: the image cannot be deleted meanwhile" "$err" " uses this image: delete the VM first"
    in_guest 'echo one >/var/one; sync'
    kill -9 "$(banger daemon status --json | jq -r .pid)"
    check "$here: $kind: the VM goes on without its engine" until_true 20 says 'cat /var/one' one
    in_guest 'echo two >/var/two; sync'
    kill -9 "$(show disk pid)"
    check "$here: $kind: VMM killed: found out" until_true 20 is_stopped
    banger vm start disk >/dev/null 2>&1
    check "$here: $kind: VMM killed: what was synced is there" says 'cat /var/one /var/two | tr "\n" " "' 'one two '
    in_guest 'echo three >/var/three'
    banger vm stop disk >/dev/null 2>&1
    check "$here: $kind: stopped: no snapshot stays up" until_true 5 test "$(snapshots)" = 0
    banger vm start disk >/dev/null 2>&1
    check "$here: $kind: a stop and a start keep what was written" says 'cat /var/three' three
    # A daemon that died with its VM finds both gone.
    kill -9 "$(banger daemon status --json | jq -r .monitor_pid)" "$(show disk pid)"
    check "$here: $kind: VMM and daemon killed: found out" until_true 20 is_stopped
    banger vm delete -f disk >/dev/null
    check "$here: $kind: nothing is left" until_true 10 nothing_of_it
    equal "$here: $kind: the image is as it was" "$(base_sum)" "$sum"
}

banger daemon stop >/dev/null 2>&1
here=$(stat -f -c %T "$place")
kinds=''
for kind in reflink snapshot copy; do
    can $kind || continue
    whole $kind
    kinds="$kinds${kinds:+ }$kind"
done
banger vm create --name disk --memory 512M --no-start >/dev/null 2>&1
equal "$here: left to choose, the cheapest is taken" "$(show disk root_kind)" "${kinds%% *}"
banger vm delete -f disk >/dev/null
banger daemon stop >/dev/null

# A snapshot that cannot have its overlay is refused, and one that has it outlives a full
# disk: the kernel throws a snapshot away that once could not write.
room() { as "$account" df --output=avail -B1 "$place" | tail -n 1 | tr -d ' '; }
# fill_up [BYTES]: but for so many; without them to the last byte.
fill_up() {
    as "$account" sh -c 'fallocate -l "$(($(df --output=avail -B1 "$1" | tail -n 1) - $2))" "$1/filler"
        [ "$2" -gt 0 ] || cat /dev/zero >>"$1/filler"' sh "$place" "${1:-0}" 2>/dev/null
}
sum_of() { in_guest "sha256sum $1" | cut -d' ' -f1; }
case " $kinds " in
*" snapshot "*)
    file_system ext4 1900M
    here='small ext4'
    banger vm create --name disk --memory 512M --root-disk snapshot >/dev/null 2>&1
    equal "$here: a snapshot" "$(show disk root_kind)" snapshot
    capture banger vm create --quiet --name more --memory 512M --no-start --root-disk snapshot
    contains "$here: no room for another: said" "$status $err" "1 banger: a root disk of the kind \"snapshot\" cannot be had here: not enough disk space"
    equal "$here: no room for another: nothing is left" "$(folders | wc -l)" 1
    banger vm create --name more --memory 512M --no-start >/dev/null 2>&1
    equal "$here: no room for another: left to choose, it is a copy" "$(show more root_kind)" copy
    banger vm delete -f more >/dev/null
    fill_up
    equal "$here: no byte is free" "$(room)" 0
    before=$(in_guest 'dd if=/dev/urandom of=/var/fill bs=1M count=200 2>/dev/null && sync && echo written')
    equal "$here: the host's disk is full: the guest writes on" "$before" written
    before=$(sum_of /var/fill)
    in_guest 'echo 3 >/proc/sys/vm/drop_caches'
    equal "$here: the host's disk is full: it reads what it wrote" "$(sum_of /var/fill)" "$before"
    rm "$place/filler"
    kill -9 "$(show disk pid)"
    until_true 20 is_stopped
    banger vm start disk >/dev/null 2>&1
    equal "$here: the snapshot is as good as before" "$(sum_of /var/fill)" "$before"
    banger vm delete -f disk >/dev/null
    check "$here: nothing is left" until_true 10 nothing_of_it
    leave_file_system
    ;;
*) skip "a snapshot on a full disk" "no snapshots here" ;;
esac

# Another kind waits, stopped by its VMM, until there is room.
held() { contains_text "$(show disk detail)" full; }
contains_text() { case $1 in *"$2"*) ;; *) false ;; esac; }
if file_system ext4 800M; then
    here='full ext4'
    banger vm create --name disk --memory 512M --root-disk copy >/dev/null 2>&1
    equal "$here: nothing to say of a VM that runs" "$(show disk detail)" ""
    # What is left is for the command to be started and answered: without room the guest waits.
    fill_up $((48 << 20))
    check "$here: less is free than will be written" test "$(room)" -le $((48 << 20))
    in_guest 'setsid sh -c "dd if=/dev/zero of=/var/fill bs=1M count=150; sync; echo >/var/written" </dev/null >/dev/null 2>&1 &'
    check "$here: a copy that cannot grow: vm show says why it waits" until_true 120 held
    kill -9 "$(banger daemon status --json | jq -r .pid)"
    check "$here: the next engine finds out too" until_true 60 held
    rm "$place/filler"
    check "$here: it goes on when there is room" until_true 60 says 'test -e /var/written && wc -c </var/fill' 157286400
    equal "$here: and nothing more is said" "$(show disk detail)" ""
    equal "$here: nothing was lost" "$(sum_of /var/fill)" "$(head -c 150M /dev/zero | sha256sum | cut -d' ' -f1)"
    banger vm delete -f disk >/dev/null
    leave_file_system
else
    skip "a full disk" "no loop device here"
fi

# A file system that shares blocks.
if file_system btrfs 2G; then
    here=btrfs
    whole reflink
    can snapshot && not_ok "btrfs: a snapshot, whose reservation btrfs does not keep"
    can copy || not_ok "btrfs: copy"
    banger vm create --name disk --memory 512M --no-start >/dev/null 2>&1
    equal "btrfs: left to choose, a reflink is taken" "$(show disk root_kind)" reflink
    banger vm delete -f disk >/dev/null
    leave_file_system
else
    skip "a reflink" "no btrfs here: $(cat "$scratch/why" 2>/dev/null || echo no mkfs.btrfs)"
fi
rm -rf "$scratch"
