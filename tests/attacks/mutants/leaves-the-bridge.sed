# file: priv-helper/net.c
# tests: 30.5 32.1 32.2
s/if ((r && r != -ENOENT) || slots\.count > 0)/if (1)/
