# file: policy/policy.c
# tests: 20.2
s/if (fd->st\.st_uid != uid)/if (0)/
