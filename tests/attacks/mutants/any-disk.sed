# file: policy/policy.c
# tests: 34.4
s/if ((role == SPAWN_ROOT || role == SPAWN_WORK) &&/if (0 \&\&/
