/* Inside the net worker: links (link.c) and rules (nft.c, ruleset.c), both by netlink.c.
 * All return 0 or a negative errno. Names and addresses follow from (uid, slot), see
 * common/addr.h. */
#ifndef BANGER_HELPER_NET_H
#define BANGER_HELPER_NET_H

#include "helper.h"
#include "netlink.h"

/* Interface groups (IFLA_GROUP) mark what is banger's, whatever the account: rules
 * match on them, and an interface of ours without one is never adopted. */
#define NET_GROUP_PORT   0x62670001u
#define NET_GROUP_BRIDGE 0x62670002u

struct net_account {
    uint32_t uid;
    uint32_t subnet; /* host byte order, as the caller's last request's policy had it; 0: there was none */
};

/* The slots of an account. */
struct net_slots {
    uint32_t uid, count;
    uint8_t has[SLOT_MAX];
};

/* Adds the slot whose tap `name` (filled up with zeros) is, if it is one of the account's. */
void net_add_tap(struct net_slots *slots, const char name[IFNAME_SIZE]);

/* --- link.c ------------------------------------------------------------------ */

/* A new tap of that name in `*fd`, gone with it. -EEXIST when there is one. */
int link_tap(const char *name, int *fd);
/* The tap stays without its descriptor, and `uid` may open it by its name. */
int link_keep(int fd, uint32_t uid);
/* Bridge with the gateway's address (`ipv6`: with both), up; made where it is missing. Its
 * index, or a negative errno. */
int link_bridge(const struct net_account *account, int ipv6);
/* Makes the tap a port of the bridge, in its group, up. */
int link_attach(const char *tap, int bridge);
/* Index, or a negative errno (-ENODEV); a foreign interface of the name is -EEXIST. */
int link_find(const char *name, uint32_t group);
int link_delete(int index);
/* Adds the slots whose tap exists. */
int link_list(struct net_slots *slots);
/* IPv4 forwarding on, for the bridge and the uplinks. */
int link_forward(const char *bridge, char uplinks[][IFNAME_SIZE], size_t count);
/* 1 when the host forwards anyway (net.ipv4.conf.all.forwarding), 0, or a negative errno. */
int link_host_forwards(void);
/* The interface that the IPv4 default route leads to; -ENETUNREACH when there is none. */
int link_default(char name[IFNAME_SIZE]);

/* --- nft.c ------------------------------------------------------------------- */

/* Through what guests go out. */
struct nft_uplinks {
    char names[POLICY_UPLINKS_MAX][IFNAME_SIZE];
    size_t count;
    int guard;                   /* keeps others from using the forwarding that it needs */
    const struct policy *policy; /* what guests may reach of private ranges */
};

/* Both tables exist afterwards and know of the account. 1 when they did not. */
int nft_ensure(uint32_t uid);
/* NET_UP: the slot's addresses count from now on, without egress. NET_DOWN: no more.
 * NET_EGRESS: as the request says; `uplinks` is NULL for none. Its cidrs are merged with
 * what the slot's list has: -ENOSPC when that gets too long, -ENOTEMPTY for a range that
 * overlaps one that ends at another time, and neither lies in the one that stays longer. */
int nft_change(const struct net_account *account, const struct wire_request *request,
               const struct nft_uplinks *uplinks);
/* Who may use the account's bridge: known, or forgotten when its last VM is gone. */
int nft_account(uint32_t uid, int known);
/* Adds the slots that have addresses, or with `ipv6` those that may speak it. -ENOENT: the tables are gone. */
int nft_list(struct net_slots *slots, int ipv6);
/* Whether a table of ours was removed, or the notification of it may have been lost. */
int nft_removed(void);

#endif
