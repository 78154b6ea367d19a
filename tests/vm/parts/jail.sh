# VMM_SPAWN with a guest kernel that the host prepared; KVM works here.
export JAIL_KERNEL=build/jail-guest
echo $$ >/sys/fs/cgroup/cgroup.procs # the root: below it, a cgroup with processes gives its children no controllers
suite tests/world.sh tests/netns/jail.sh
