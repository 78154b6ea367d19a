# The helper's network, on this kernel.
suite tests/world.sh tests/netns/run.sh
