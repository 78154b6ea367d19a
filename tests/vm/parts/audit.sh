# The hash-chained records, on this kernel's idmapped mounts.
suite tests/world.sh tests/netns/audit.sh
