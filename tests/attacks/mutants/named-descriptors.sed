# file: policy/policy.c
# tests: 20.1
s/if ((fd->flags & O_PATH) && !S_ISDIR(fd->st\.st_mode))/if (0)/
