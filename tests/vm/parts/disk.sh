# The disk worker: dm-snapshot, loop devices, what is left after a kill. As the helper is
# installed, but for the group's number, which the driver knows. /dev/log is a link into
# /run, which is empty in a world: somebody listens there.
suite tests/world.sh bash -c 'groupmod -g 61999 banger && .make/install.sh install && mkdir -p /run/systemd/journal || exit 1
    socat -u UNIX-RECV:/run/systemd/journal/dev-log,mode=0666 OPEN:/dev/null &
    for _ in {1..50}; do [ -S /dev/log ] && break; sleep 0.1; done
    exec tests/vm/disk.sh --inside build'
