# VMM_SPAWN with a guest kernel that the host prepared; KVM works here.
export JAIL_KERNEL=build/jail-guest
suite tests/world.sh tests/netns/jail.sh
