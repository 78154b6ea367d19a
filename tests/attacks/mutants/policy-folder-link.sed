# file: policy/load.c
# tests: 19.1
s/if (lstat(folder, &st))/if (stat(folder, \&st))/
s/return !others_can_write(&st); .*/return 1;/
