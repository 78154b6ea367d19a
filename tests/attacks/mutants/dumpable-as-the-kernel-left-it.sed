# file: priv-helper/main.c
# tests: 25.2
s/prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)/0/
