# file: priv-helper/net.c
# tests: 28.4
s/\.kill = 1/.kill = 0/
