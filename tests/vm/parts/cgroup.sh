# Ceilings of memory and processes, by the controllers of this kernel.
echo $$ >/sys/fs/cgroup/cgroup.procs # the root: below it, a cgroup with processes gives its children no controllers
suite tests/world.sh tests/netns/cgroup.sh
