/* Between nft.c (batches, elements) and ruleset.c (what is made once). */
#ifndef BANGER_HELPER_NFT_H
#define BANGER_HELPER_NFT_H

#include "net.h"
#include "netlink.h"

#define NFT_TABLE "banger" /* in each family */

enum set { GUESTS, OWNERS, PEERS, NAT, UPLINKS, GUARDED, PRIVATE, REFUSED, SETS };

struct nft_set {
    const char *name;
    uint32_t type; /* for nft's listing */
    uint8_t family;
    uint8_t size; /* of a key, bytes */
    uint8_t flags;
};
extern const struct nft_set nft_sets[SETS];

/* The batch being built. */
extern struct nl_request nft_rq;
void nft_batch_begin(void);
/* 0 or the first error of any of its messages: then nothing of it counts. */
int nft_batch_commit(void);
void nft_message(uint16_t type, uint16_t flags, uint8_t family);
void nft_put_be32(uint16_t type, uint32_t value);
void nft_put_data(uint16_t type, const void *data, size_t size);
void nft_add_ranges(enum set set, const struct policy_cidr *ranges, size_t count);

/* One family's table with all it holds. -EEXIST: another helper was faster. */
int ruleset_make(uint8_t family);

#endif
