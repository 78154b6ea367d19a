#!/bin/bash
# One VM's life as a script would have it: by_hand.sh FOLDER IMAGE. Bridge and table are there
# (tests/bench/scale_bench.sh); the VMM is a process that sleeps.
set -e
folder=$1 image=$2 element='{ theirs0 . 02:62:00:00:00:00 . 10.9.0.2 }'
mkdir "$folder"
cp --sparse=always "$image" "$folder/root.ext4"
truncate -s 64M "$folder/work.ext4"
mke2fs -q -t ext4 "$folder/work.ext4"
ip tuntap add dev theirs0 mode tap vnet_hdr
ip link set theirs0 master theirbr
ip link set theirs0 up
nft add element bridge theirs guests "$element"
sleep 1000 &
kill $!
wait $! || :
nft delete element bridge theirs guests "$element"
ip link del theirs0
rm -rf "$folder"
