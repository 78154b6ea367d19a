# file: priv-helper/link.c
# tests: 7.5 18.2 30.2
s/if (f\.group != NET_GROUP_BRIDGE)/if (0)/
