# file: priv-helper/worker.c
# tests: 10.7 13.1 22.2
s/if (n == 0)/if (n == 0) continue; if (0)/
