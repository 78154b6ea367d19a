# The disk worker's operations, which the host may not have, with their system calls failed.
export FAULTS_COVER=1
suite tests/world.sh tests/faults/run.sh snap_up snap_down snap_list "snap_list of none"
