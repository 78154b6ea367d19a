# file: priv-helper/net.c
# tests: 15.1
s/ || memcmp(own, name, IFNAME_SIZE) != 0//
