# file: policy/parse.c
# tests: 11.4
s/return n >= least && n <= most;/return 1;/
