# Ceilings of memory and processes, by the controllers of this kernel.
suite tests/world.sh tests/netns/cgroup.sh
