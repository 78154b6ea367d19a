# The hash-chained records, on this kernel's idmapped mounts. A world's /var/log is a tmpfs,
# which has none before Linux 6.3: here it is the disk below.
suite tests/world.sh bash -c 'umount /var/log && install -d -m 0700 /var/log/banger && exec tests/netns/audit.sh'
