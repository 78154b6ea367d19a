# What an attacker would try, on this kernel.
# limit: 2400 s
export MUST_WORK=1 ATTACK_SLOW=10
suite tests/world.sh tests/attacks/run.sh
