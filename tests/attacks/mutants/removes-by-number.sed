# file: priv-helper/link.c
# tests: 31.1
s/if (r || (f\.group != NET_GROUP_PORT && f\.group != NET_GROUP_BRIDGE))/if (r)/
