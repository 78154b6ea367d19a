# The disk worker: dm-snapshot, loop devices, what is left after a kill. As the helper is
# installed, but for the group's number, which the driver knows.
suite tests/world.sh sh -c 'groupmod -g 61999 banger && .make/install.sh install && exec tests/vm/disk.sh --inside build'
