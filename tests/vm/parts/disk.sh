# The disk worker: dm-snapshot, loop devices, what is left after a kill.
suite tests/world.sh tests/vm/disk.sh --inside build
