# What an attacker would try, on this kernel.
export MUST_WORK=1
suite tests/world.sh tests/attacks/run.sh
