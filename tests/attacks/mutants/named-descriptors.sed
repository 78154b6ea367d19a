# file: policy/policy.c
# tests: 20.1
s/if ((fd->flags & O_PATH) && !S_ISDIR(fd->mode))/if (0)/
