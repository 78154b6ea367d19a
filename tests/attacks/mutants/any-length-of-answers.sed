# file: priv-helper/netlink.c
# tests: 31.5
s/if (left < (int) sizeof(\*h) || h->nlmsg_len .*/if (0)/
