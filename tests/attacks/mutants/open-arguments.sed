# file: policy/policy.c
# tests: 20.5
s/return (fd->flags & O_ACCMODE) == O_RDONLY || (fd->seals.*/return 1;/
