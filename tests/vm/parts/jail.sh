# VMM_SPAWN with a guest kernel that the host prepared; KVM works here.
# limit: 1800 s
# Of the calls of a spawn each fails the first two times it is made; the tests on the host fail all.
export JAIL_KERNEL=build/jail-guest JAIL_FAULT_TIMES=2
echo $$ >/sys/fs/cgroup/cgroup.procs # the root: below it, a cgroup with processes gives its children no controllers
suite tests/world.sh tests/netns/jail.sh
