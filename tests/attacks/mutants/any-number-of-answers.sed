# file: priv-helper/netlink.c
# tests: 31.4
s/if (h->nlmsg_seq - x->first <= x->last - x->first) {/if (1) {/
