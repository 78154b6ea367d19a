# file: priv-helper/audit.c
# tests: 27.1
s/op=%016llx /op=%llu /
