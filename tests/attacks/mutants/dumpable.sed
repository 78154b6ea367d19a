# file: priv-helper/main.c
# tests: 3.1 3.2
s/prctl(PR_SET_DUMPABLE, 0,/prctl(PR_SET_DUMPABLE, 1,/
