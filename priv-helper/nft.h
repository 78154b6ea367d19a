/* Between nft.c (elements) and ruleset.c (what is made once). */
#ifndef BANGER_HELPER_NFT_H
#define BANGER_HELPER_NFT_H

#include "net.h"

#include <libnftnl/set.h>

#define NFT_TABLE "banger" /* in each family */

enum set {
    BRIDGE_VERSION,
    INET_VERSION,
    GUESTS,
    GUESTS6,
    OWNERS,
    PEERS,
    NAT,
    LISTERS,
    LISTED,
    UPLINKS,
    GUARDED,
    PRIVATE,
    REFUSED,
    REFUSED6,
    SETS
};

struct nft_set {
    const char *name;
    uint32_t type; /* for nft's listing */
    uint8_t family;
    uint8_t size; /* of a key, bytes */
    uint8_t flags;
};
extern const struct nft_set nft_sets[SETS];

void nft_batch(void); /* begins one; netlink_talk() ends it */
struct nlmsghdr *nft_add(uint16_t type, uint16_t flags, uint8_t tolerated, uint8_t family);
/* The set by its name, without elements; the caller frees it. */
struct nftnl_set *nft_set_named(enum set set);
/* Into the batch: an element is there or not afterwards; none is; these are, too. */
void nft_change_element(enum set set, const void *key, int there);
void nft_empty(enum set set);
void nft_add_ranges(enum set set, const struct policy_cidr *ranges, size_t count);
/* What a library could not allocate ends the worker. */
void *nft_allocated(void *object);

/* A table is as this helper makes it when its set `version` has this element. */
extern const uint32_t ruleset_version;
/* One family's table. With `ours` it is there, as another version of the helper made it: its rules
 * are replaced at once, and its sets keep their elements. Else -EEXIST: another helper was faster,
 * or the table is an administrator's. */
int ruleset_make(uint8_t family, int ours);

#endif
