# file: priv-helper/link.c
# tests: 7.5 30.1
s/return f\.group == group ? f\.index : -EEXIST;/return f.index;/
s/if (r || (f\.group != NET_GROUP_PORT && f\.group != NET_GROUP_BRIDGE))/if (r)/
