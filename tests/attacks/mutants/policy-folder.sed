# file: policy/load.c
# tests: 8.8
s/return !others_can_write(&st); .*/return 1;/
