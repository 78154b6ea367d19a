# file: policy/load.c
# tests: 8.8
s/ && !others_can_write(&st))/)/
