/* The rules' moving part: accounts and VMs are elements of ruleset.c's sets. */
#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

static int nft_fd = -1;
struct nl_request nft_rq;

int nft_init(void) {
    nft_fd = nl_open(NETLINK_NETFILTER);
    return nft_fd < 0 ? nft_fd : 0;
}

/* --- messages ------------------------------------------------------------------ */

void nft_message(uint16_t type, uint16_t flags, uint8_t family) {
    struct nfgenmsg *nfg = nl_message(&nft_rq, (uint16_t) (NFNL_SUBSYS_NFTABLES << 8 | type), flags, sizeof(*nfg));
    nfg->nfgen_family = family;
    nfg->version = NFNETLINK_V0;
}

static void batch_edge(uint16_t type) {
    struct nfgenmsg *nfg = nl_message(&nft_rq, type, 0, sizeof(*nfg));
    nfg->version = NFNETLINK_V0;
    nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

void nft_batch_begin(void) {
    nl_begin(&nft_rq, nft_fd);
    batch_edge(NFNL_MSG_BATCH_BEGIN);
}

/* The last change asks for the acknowledgement (older kernels give none for the
 * batch's end), and the answer is complete with it. */
int nft_batch_commit(void) {
    uint32_t last = nft_rq.last;
    nft_rq.message->nlmsg_flags |= NLM_F_ACK;
    batch_edge(NFNL_MSG_BATCH_END);
    nft_rq.last = last;
    return nl_talk(&nft_rq, NULL, NULL);
}

void nft_put_be32(uint16_t type, uint32_t value) {
    mnl_attr_put_u32(nft_rq.message, type, htonl(value));
}

void nft_put_data(uint16_t type, const void *data, size_t size) {
    struct nlattr *nest = mnl_attr_nest_start(nft_rq.message, type);
    mnl_attr_put(nft_rq.message, NFTA_DATA_VALUE, size, data);
    mnl_attr_nest_end(nft_rq.message, nest);
}

/* --- set elements --------------------------------------------------------------------- */

static void put_key(const void *key, size_t size, uint32_t flags) {
    struct nlattr *element = mnl_attr_nest_start(nft_rq.message, NFTA_LIST_ELEM);
    if (flags)
        nft_put_be32(NFTA_SET_ELEM_FLAGS, flags);
    nft_put_data(NFTA_SET_ELEM_KEY, key, size);
    mnl_attr_nest_end(nft_rq.message, element);
}

static void element(uint16_t type, enum set set, const void *key) {
    nft_message(type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, nft_sets[set].family);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_SET, nft_sets[set].name);
    struct nlattr *list = mnl_attr_nest_start(nft_rq.message, NFTA_SET_ELEM_LIST_ELEMENTS);
    put_key(key, nft_sets[set].size, 0);
    mnl_attr_nest_end(nft_rq.message, list);
}

static void add(enum set set, const void *key) {
    element(NFT_MSG_NEWSETELEM, set, key);
}

/* Deleting what is not there would void the batch, and kernels before 6.3 have no
 * other way: added first, it is there. */
static void drop(enum set set, const void *key) {
    add(set, key);
    element(NFT_MSG_DELSETELEM, set, key);
}

static void empty(enum set set) {
    nft_message(NFT_MSG_DELSETELEM, 0, nft_sets[set].family);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_SET, nft_sets[set].name);
}

/* A range is its first address and, marked as an end, the one after its last. */
void nft_add_ranges(enum set set, const struct policy_cidr *ranges, size_t count) {
    nft_message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, nft_sets[set].family);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_SET, nft_sets[set].name);
    struct nlattr *list = mnl_attr_nest_start(nft_rq.message, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (size_t i = 0; i < count; i++) {
        uint32_t first = htonl(ranges[i].address);
        uint64_t after = ranges[i].address + (1ull << (32 - ranges[i].prefix));
        uint32_t end = htonl((uint32_t) after);
        put_key(&first, sizeof(first), 0);
        if (after <= UINT32_MAX)
            put_key(&end, sizeof(end), NFT_SET_ELEM_INTERVAL_END);
    }
    mnl_attr_nest_end(nft_rq.message, list);
}

/* Asked first, because a refused batch costs the kernel about 16 ms. */
int nft_ensure(void) {
    static const uint8_t families[] = {NFPROTO_BRIDGE, NFPROTO_INET};
    int made = 0;
    for (size_t i = 0; i < sizeof(families); i++) {
        nl_begin(&nft_rq, nft_fd);
        nft_message(NFT_MSG_GETTABLE, NLM_F_ACK, families[i]);
        mnl_attr_put_strz(nft_rq.message, NFTA_TABLE_NAME, NFT_TABLE);
        int r = nl_talk(&nft_rq, NULL, NULL);
        if (r == -ENOENT) {
            r = ruleset_make(families[i]);
            made = 1;
        }
        if (r && r != -EEXIST)
            return r;
    }
    return made;
}

/* --- accounts and VMs ------------------------------------------------------------------- */

struct guest_key {
    char port[IFNAME_SIZE];
    uint8_t mac[8]; /* padded to a whole register */
    uint32_t address;
};
struct pair_key {
    char name[IFNAME_SIZE];
    uint32_t value;
};
_Static_assert(sizeof(struct guest_key) == 28 && sizeof(struct pair_key) == 20, "keys have no padding");

static struct guest_key guest_key(uint32_t uid, uint32_t slot, uint32_t subnet) {
    struct guest_key key = {.address = htonl(addr_guest(subnet, slot))};
    addr_tap_name(key.port, uid, slot);
    addr_mac(key.mac, uid, slot);
    return key;
}

static struct pair_key nat_key(uint32_t uid, uint32_t slot, uint32_t subnet) {
    struct pair_key key = {.value = htonl(addr_guest(subnet, slot))};
    addr_bridge_name(key.name, uid);
    return key;
}

static void account(uint32_t uid, void (*change)(enum set, const void *)) {
    struct pair_key owner = {.value = uid};
    char peers[2][IFNAME_SIZE] = {{0}};
    addr_bridge_name(owner.name, uid);
    addr_bridge_name(peers[0], uid);
    addr_bridge_name(peers[1], uid);
    change(OWNERS, &owner);
    change(PEERS, peers);
}

static void up(uint32_t uid, uint32_t slot, uint32_t subnet) {
    struct guest_key guest = guest_key(uid, slot, subnet);
    struct pair_key nat = nat_key(uid, slot, subnet);
    nft_batch_begin();
    account(uid, add);
    drop(NAT, &nat);
    add(GUESTS, &guest);
}

int nft_up(uint32_t uid, uint32_t slot, uint32_t subnet) {
    up(uid, slot, subnet);
    int r = nft_batch_commit();
    if (r != -ENOENT)
        return r;
    r = nft_ensure();
    if (r < 0)
        return r;
    up(uid, slot, subnet);
    return nft_batch_commit();
}

int nft_down(uint32_t uid, uint32_t slot, uint32_t subnet) {
    struct guest_key guest = guest_key(uid, slot, subnet);
    struct pair_key nat = nat_key(uid, slot, subnet);
    nft_batch_begin();
    drop(NAT, &nat);
    drop(GUESTS, &guest);
    int r = nft_batch_commit();
    return r == -ENOENT ? 0 : r; /* no table, no rules */
}

int nft_nat(uint32_t uid, uint32_t slot, uint32_t subnet, char uplinks[][IFNAME_SIZE], size_t count, int guard,
            const struct policy *policy) {
    struct pair_key nat = nat_key(uid, slot, subnet);
    nft_batch_begin();
    empty(UPLINKS);
    empty(GUARDED);
    empty(PRIVATE);
    for (size_t i = 0; i < count; i++) {
        add(UPLINKS, uplinks[i]);
        if (guard)
            add(GUARDED, uplinks[i]);
    }
    if (policy->private_count)
        nft_add_ranges(PRIVATE, policy->private_allow, policy->private_count);
    add(NAT, &nat);
    return nft_batch_commit();
}

int nft_nat_off(uint32_t uid, uint32_t slot, uint32_t subnet) {
    struct pair_key nat = nat_key(uid, slot, subnet);
    nft_batch_begin();
    drop(NAT, &nat);
    return nft_batch_commit();
}

int nft_account(uint32_t uid, int known) {
    nft_batch_begin();
    account(uid, known ? add : drop);
    return nft_batch_commit();
}

struct listing {
    uint32_t uid;
    uint64_t *slots;
};

/* One key of GUESTS: the slot is in the port's name, which must be ours to the byte. */
static void on_key(const struct nlattr *value, const struct listing *l) {
    struct guest_key key;
    char name[IFNAME_SIZE] = {0};
    if (mnl_attr_get_payload_len(value) != sizeof(key))
        return;
    memcpy(&key, mnl_attr_get_payload(value), sizeof(key));
    uint32_t slot = (uint32_t) key.mac[4] << 8 | key.mac[5];
    addr_tap_name(name, l->uid, slot);
    if (slot < SLOT_MAX && memcmp(name, key.port, sizeof(name)) == 0)
        l->slots[slot / 64] |= 1ull << slot % 64;
}

static void on_elements(const struct nlmsghdr *h, void *arg) {
    const struct nlattr *list, *item, *key, *value;
    NL_FOR_EACH(list, h, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(list) != NFTA_SET_ELEM_LIST_ELEMENTS)
            continue;
        NL_FOR_EACH_NESTED(item, list) {
            NL_FOR_EACH_NESTED(key, item) {
                if (mnl_attr_get_type(key) != NFTA_SET_ELEM_KEY)
                    continue;
                NL_FOR_EACH_NESTED(value, key) {
                    on_key(value, arg);
                }
            }
        }
    }
}

int nft_list(uint32_t uid, uint64_t slots[NET_SLOT_WORDS]) {
    struct listing l = {.uid = uid, .slots = slots};
    nl_begin(&nft_rq, nft_fd);
    nft_message(NFT_MSG_GETSETELEM, NLM_F_DUMP, nft_sets[GUESTS].family);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_ELEM_LIST_SET, nft_sets[GUESTS].name);
    return nl_talk(&nft_rq, on_elements, &l);
}
