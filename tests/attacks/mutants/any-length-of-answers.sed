# file: priv-helper/netlink.c
# tests: 31.5
s/if (!mnl_nlmsg_ok(h, left))/if (0)/
