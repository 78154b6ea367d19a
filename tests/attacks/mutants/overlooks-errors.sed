# file: priv-helper/netlink.c
# tests: 31.3
s/x->error = error;/(void) error;/
