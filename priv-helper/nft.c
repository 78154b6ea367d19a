/* The rules. Two tables, made once for all accounts, whose number of rules never
 * changes; accounts and VMs are elements of sets. As `nft list table` shows them:
 *
 * table bridge banger: at a guest's port everything but IPv4 and ARP with the port's
 *   own MAC and address is dropped.
 * table inet banger: what may pass between guests, host and uplinks. */
#include "net.h"
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#define TABLE "banger"

static int nft_fd = -1;
static struct nl_request rq;

int nft_init(void) {
    nft_fd = nl_open(NETLINK_NETFILTER);
    return nft_fd < 0 ? nft_fd : 0;
}

/* --- messages ------------------------------------------------------------------ */

static void nft_message(uint16_t type, uint16_t flags, uint8_t family) {
    struct nfgenmsg *nfg = nl_message(&rq, (uint16_t) (NFNL_SUBSYS_NFTABLES << 8 | type), flags, sizeof(*nfg));
    nfg->nfgen_family = family;
    nfg->version = NFNETLINK_V0;
}

static void batch_edge(uint16_t type) {
    struct nfgenmsg *nfg = nl_message(&rq, type, 0, sizeof(*nfg));
    nfg->version = NFNETLINK_V0;
    nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

static void batch_begin(void) {
    nl_begin(&rq, nft_fd);
    batch_edge(NFNL_MSG_BATCH_BEGIN);
}

/* The last change asks for the acknowledgement (older kernels give none for the
 * batch's end), and the answer is complete with it. */
static int batch_commit(void) {
    uint32_t last = rq.last;
    rq.message->nlmsg_flags |= NLM_F_ACK;
    batch_edge(NFNL_MSG_BATCH_END);
    rq.last = last;
    return nl_talk(&rq, NULL, NULL);
}

static void put_be32(uint16_t type, uint32_t value) {
    mnl_attr_put_u32(rq.message, type, htonl(value));
}

/* --- the fixed part: sets, chains, rules ----------------------------------------- */

enum set { GUESTS, OWNERS, PEERS, NAT, UPLINKS, GUARDED, PRIVATE, REFUSED, SETS };

/* nft's own numbers of data types, for its listing (6 bits a part of a concatenation). */
enum { T_IPV4 = 7, T_ETHER = 9, T_UID = 24, T_IFNAME = 41 };

static const struct {
    const char *name;
    uint32_t type;
    uint8_t family;
    uint8_t size;
    uint8_t flags;
} sets[SETS] = {
    [GUESTS] = {"guests", T_IFNAME << 12 | T_ETHER << 6 | T_IPV4, NFPROTO_BRIDGE, 28, 0},
    [OWNERS] = {"owners", T_IFNAME << 6 | T_UID, NFPROTO_INET, 20, 0},
    [PEERS] = {"peers", T_IFNAME << 6 | T_IFNAME, NFPROTO_INET, 32, 0},
    [NAT] = {"nat", T_IFNAME << 6 | T_IPV4, NFPROTO_INET, 20, 0},
    [UPLINKS] = {"uplinks", T_IFNAME, NFPROTO_INET, 16, 0},
    [GUARDED] = {"guarded", T_IFNAME, NFPROTO_INET, 16, 0},
    [PRIVATE] = {"private", T_IPV4, NFPROTO_INET, 4, NFT_SET_INTERVAL},
    [REFUSED] = {"refused", T_IPV4, NFPROTO_INET, 4, NFT_SET_INTERVAL},
};

/* RFC 6890's ranges that are not the Internet; multicast and reserved at the end. */
static const struct policy_cidr refused[] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xe0000000, 3},
};

enum chain { PORT_IN, PORT_LOCAL, RAW, INPUT, OUTPUT, FORWARD, FROM_GUEST, TO_GUEST, MASQUERADE, CHAINS };

static const struct {
    const char *name;
    uint8_t family;
    int8_t hook; /* -1: a chain that is jumped to */
    const char *type;
    int32_t priority;
} chains[CHAINS] = {
    [PORT_IN] = {"prerouting", NFPROTO_BRIDGE, NF_BR_PRE_ROUTING, "filter", -300},
    [PORT_LOCAL] = {"input", NFPROTO_BRIDGE, NF_BR_LOCAL_IN, "filter", -300},
    [RAW] = {"prerouting", NFPROTO_INET, NF_INET_PRE_ROUTING, "filter", -300},
    [INPUT] = {"input", NFPROTO_INET, NF_INET_LOCAL_IN, "filter", 0},
    [OUTPUT] = {"output", NFPROTO_INET, NF_INET_LOCAL_OUT, "filter", 0},
    [FORWARD] = {"forward", NFPROTO_INET, NF_INET_FORWARD, "filter", 0},
    [FROM_GUEST] = {"from_guest", NFPROTO_INET, -1, NULL, 0},
    [TO_GUEST] = {"to_guest", NFPROTO_INET, -1, NULL, 0},
    [MASQUERADE] = {"postrouting", NFPROTO_INET, NF_INET_POST_ROUTING, "nat", 100},
};

/* Registers of 4 bytes. A concatenated key lies in consecutive ones. */
enum { R0 = NFT_REG32_00, R4 = NFT_REG32_04, R6 = NFT_REG32_06 };

enum expr {
    E_END,
    E_META, /* arg = NFT_META_* -> reg */
    E_LINK, /* `size` bytes of the Ethernet header from offset arg -> reg */
    E_NET,  /* the same, network header */
    E_IS,   /* reg equals `size` bytes of data */
    E_NOT,
    E_SET,       /* key from reg on is in set arg */
    E_NOT_SET,   /* is not */
    E_REPLY,     /* conntrack says established or related */
    E_VERDICT,   /* arg: NF_ACCEPT, NF_DROP */
    E_GOTO,      /* chain arg */
    E_MASQUERADE /* to the outgoing interface's address */
};

struct expression {
    enum expr what;
    uint8_t reg;
    uint8_t size;
    int arg;
    const void *data;
};

#define RULE_MAX 14
struct rule {
    enum chain chain;
    struct expression e[RULE_MAX];
};

static const uint32_t port_group = NET_GROUP_PORT;
static const uint32_t bridge_group = NET_GROUP_BRIDGE;
static const uint8_t ipv4_only = NFPROTO_IPV4;

#define META(key)                                                                                                      \
    { E_META, R0, 0, NFT_META_##key, NULL }
#define META_TO(r, key)                                                                                                \
    { E_META, r, 0, NFT_META_##key, NULL }
#define LINK(r, from, n)                                                                                               \
    { E_LINK, r, n, from, NULL }
#define NET(r, from, n)                                                                                                \
    { E_NET, r, n, from, NULL }
#define IS(n, bytes)                                                                                                   \
    { E_IS, R0, n, 0, bytes }
#define NOT(n, bytes)                                                                                                  \
    { E_NOT, R0, n, 0, bytes }
#define IN(set)                                                                                                        \
    { E_SET, R0, 0, set, NULL }
#define NOT_IN(set)                                                                                                    \
    { E_NOT_SET, R0, 0, set, NULL }
#define REPLY                                                                                                          \
    { E_REPLY, R0, 0, 0, NULL }
#define GOTO(chain)                                                                                                    \
    { E_GOTO, 0, 0, chain, NULL }
#define ACCEPT                                                                                                         \
    { E_VERDICT, 0, 0, NF_ACCEPT, NULL }
#define DROP                                                                                                           \
    { E_VERDICT, 0, 0, NF_DROP, NULL }
#define FROM_PORT   META(IIFGROUP), IS(4, &port_group)
#define FROM_BRIDGE META(IIFGROUP), IS(4, &bridge_group)
#define TO_BRIDGE   META(OIFGROUP), IS(4, &bridge_group)
/* Compared in the frame, not by what the kernel took the frame for: there a VLAN tag is gone. */
#define ETHERTYPE(bytes)    LINK(R0, 12, 2), IS(2, bytes)
#define IN_AND_SENDER(ipv4) META(IIFNAME), LINK(R4, 6, 6), NET(R6, ipv4, 4)

static const struct rule rules[] = {
    {PORT_IN, {META(IIFGROUP), NOT(4, &port_group), ACCEPT}},
    {PORT_IN, {ETHERTYPE("\x08\x00"), IN_AND_SENDER(12), IN(GUESTS), ACCEPT}},
    /* ARP for Ethernet and IPv4; the sender in the frame's header and in ARP's own. */
    {PORT_IN,
     {ETHERTYPE("\x08\x06"), NET(R0, 0, 6), IS(6, "\x00\x01\x08\x00\x06\x04"), IN_AND_SENDER(14), IN(GUESTS),
      NET(R4, 8, 6), IN(GUESTS), ACCEPT}},
    {PORT_IN, {DROP}},

    /* Frames to 01:80:c2:00:00:0X (LLDP and the like) are given to the port itself,
     * and do not pass the hook above. */
    {PORT_LOCAL, {FROM_PORT, LINK(R0, 0, 5), IS(5, "\x01\x80\xc2\x00\x00"), DROP}},
    {RAW, {FROM_PORT, DROP}},

    {INPUT, {FROM_BRIDGE, REPLY, ACCEPT}},
    {INPUT, {FROM_BRIDGE, DROP}},

    /* Only the owner's sockets reach guests. What has no socket (a kernel's reset, the
     * end of a closed connection) passes as part of a connection; another account's
     * socket does not even then, for it may have taken over a closed one's port. */
    {OUTPUT, {META(OIFGROUP), NOT(4, &bridge_group), ACCEPT}},
    {OUTPUT, {META(OIFNAME), META_TO(R4, SKUID), IN(OWNERS), ACCEPT}},
    {OUTPUT, {META(SKUID), NOT(4, "\xff\xff\xff\xff"), DROP}},
    {OUTPUT, {REPLY, ACCEPT}},
    {OUTPUT, {DROP}},

    /* Frames within one bridge come by here where br_netfilter is on: PEERS. */
    {FORWARD, {FROM_BRIDGE, GOTO(FROM_GUEST)}},
    {FORWARD, {TO_BRIDGE, GOTO(TO_GUEST)}},
    {FORWARD, {META(IIFNAME), IN(GUARDED), DROP}},
    {FROM_GUEST, {META(NFPROTO), NOT(1, &ipv4_only), DROP}},
    {FROM_GUEST, {META(IIFNAME), META_TO(R4, OIFNAME), IN(PEERS), ACCEPT}},
    {FROM_GUEST, {META(OIFNAME), NOT_IN(UPLINKS), DROP}},
    {FROM_GUEST, {META(IIFNAME), NET(R4, 12, 4), NOT_IN(NAT), DROP}},
    {FROM_GUEST, {NET(R0, 16, 4), IN(PRIVATE), ACCEPT}},
    {FROM_GUEST, {NET(R0, 16, 4), IN(REFUSED), DROP}},
    {FROM_GUEST, {ACCEPT}},
    {TO_GUEST, {META(IIFNAME), IN(UPLINKS), REPLY, ACCEPT}},
    {TO_GUEST, {DROP}},
    {MASQUERADE, {FROM_BRIDGE, META(OIFNAME), IN(UPLINKS), {E_MASQUERADE, 0, 0, 0, NULL}}},
};

/* --- expressions to attributes ------------------------------------------------------ */

static void put_data(uint16_t type, const void *data, size_t size) {
    struct nlattr *nest = mnl_attr_nest_start(rq.message, type);
    mnl_attr_put(rq.message, NFTA_DATA_VALUE, size, data);
    mnl_attr_nest_end(rq.message, nest);
}

static struct nlattr *put_name(const char *name, struct nlattr **element) {
    *element = mnl_attr_nest_start(rq.message, NFTA_LIST_ELEM);
    mnl_attr_put_strz(rq.message, NFTA_EXPR_NAME, name);
    return mnl_attr_nest_start(rq.message, NFTA_EXPR_DATA);
}

static void put_end(struct nlattr *data, struct nlattr *element) {
    mnl_attr_nest_end(rq.message, data);
    mnl_attr_nest_end(rq.message, element);
}

static void put_meta(const struct expression *e) {
    struct nlattr *element;
    struct nlattr *data = put_name("meta", &element);
    put_be32(NFTA_META_DREG, e->reg);
    put_be32(NFTA_META_KEY, (uint32_t) e->arg);
    put_end(data, element);
}

static void put_payload(const struct expression *e) {
    struct nlattr *element;
    struct nlattr *data = put_name("payload", &element);
    put_be32(NFTA_PAYLOAD_DREG, e->reg);
    put_be32(NFTA_PAYLOAD_BASE, e->what == E_LINK ? NFT_PAYLOAD_LL_HEADER : NFT_PAYLOAD_NETWORK_HEADER);
    put_be32(NFTA_PAYLOAD_OFFSET, (uint32_t) e->arg);
    put_be32(NFTA_PAYLOAD_LEN, e->size);
    put_end(data, element);
}

static void put_compare(uint8_t reg, enum nft_cmp_ops op, const void *value, size_t size) {
    struct nlattr *element;
    struct nlattr *data = put_name("cmp", &element);
    put_be32(NFTA_CMP_SREG, reg);
    put_be32(NFTA_CMP_OP, op);
    put_data(NFTA_CMP_DATA, value, size);
    put_end(data, element);
}

static void put_lookup(const struct expression *e) {
    struct nlattr *element;
    struct nlattr *data = put_name("lookup", &element);
    mnl_attr_put_strz(rq.message, NFTA_LOOKUP_SET, sets[e->arg].name);
    put_be32(NFTA_LOOKUP_SREG, e->reg);
    if (e->what == E_NOT_SET)
        put_be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    put_end(data, element);
}

/* ct state & (established | related) != 0, bits as IP_CT_* gives them. */
static void put_reply(void) {
    static const uint32_t mask = 1u << 1 | 1u << 2;
    static const uint32_t none = 0;
    struct nlattr *element;
    struct nlattr *data = put_name("ct", &element);
    put_be32(NFTA_CT_DREG, R0);
    put_be32(NFTA_CT_KEY, NFT_CT_STATE);
    put_end(data, element);
    data = put_name("bitwise", &element);
    put_be32(NFTA_BITWISE_SREG, R0);
    put_be32(NFTA_BITWISE_DREG, R0);
    put_be32(NFTA_BITWISE_LEN, sizeof(mask));
    put_data(NFTA_BITWISE_MASK, &mask, sizeof(mask));
    put_data(NFTA_BITWISE_XOR, &none, sizeof(none));
    put_end(data, element);
    put_compare(R0, NFT_CMP_NEQ, &none, sizeof(none));
}

static void put_verdict(int code, const char *chain) {
    struct nlattr *element;
    struct nlattr *data = put_name("immediate", &element);
    put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    struct nlattr *value = mnl_attr_nest_start(rq.message, NFTA_IMMEDIATE_DATA);
    struct nlattr *verdict = mnl_attr_nest_start(rq.message, NFTA_DATA_VERDICT);
    put_be32(NFTA_VERDICT_CODE, (uint32_t) code);
    if (chain)
        mnl_attr_put_strz(rq.message, NFTA_VERDICT_CHAIN, chain);
    mnl_attr_nest_end(rq.message, verdict);
    mnl_attr_nest_end(rq.message, value);
    put_end(data, element);
}

static void put_expression(const struct expression *e) {
    struct nlattr *element;
    struct nlattr *data;
    switch (e->what) {
    case E_META:
        put_meta(e);
        break;
    case E_LINK:
    case E_NET:
        put_payload(e);
        break;
    case E_IS:
    case E_NOT:
        put_compare(e->reg, e->what == E_IS ? NFT_CMP_EQ : NFT_CMP_NEQ, e->data, e->size);
        break;
    case E_SET:
    case E_NOT_SET:
        put_lookup(e);
        break;
    case E_REPLY:
        put_reply();
        break;
    case E_VERDICT:
        put_verdict(e->arg, NULL);
        break;
    case E_GOTO:
        put_verdict(NFT_GOTO, chains[e->arg].name);
        break;
    case E_MASQUERADE:
        data = put_name("masq", &element);
        put_end(data, element);
        break;
    case E_END:
    default:
        break;
    }
}

/* --- set elements --------------------------------------------------------------------- */

static void put_key(const void *key, size_t size, uint32_t flags) {
    struct nlattr *element = mnl_attr_nest_start(rq.message, NFTA_LIST_ELEM);
    if (flags)
        put_be32(NFTA_SET_ELEM_FLAGS, flags);
    put_data(NFTA_SET_ELEM_KEY, key, size);
    mnl_attr_nest_end(rq.message, element);
}

static void element(uint16_t type, enum set set, const void *key) {
    nft_message(type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, sets[set].family);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_TABLE, TABLE);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_SET, sets[set].name);
    struct nlattr *list = mnl_attr_nest_start(rq.message, NFTA_SET_ELEM_LIST_ELEMENTS);
    put_key(key, sets[set].size, 0);
    mnl_attr_nest_end(rq.message, list);
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
    nft_message(NFT_MSG_DELSETELEM, 0, sets[set].family);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_TABLE, TABLE);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_SET, sets[set].name);
}

/* A range is its first address and, marked as an end, the one after its last. */
static void add_ranges(enum set set, const struct policy_cidr *ranges, size_t count) {
    nft_message(NFT_MSG_NEWSETELEM, NLM_F_CREATE, sets[set].family);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_TABLE, TABLE);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_SET, sets[set].name);
    struct nlattr *list = mnl_attr_nest_start(rq.message, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (size_t i = 0; i < count; i++) {
        uint32_t first = htonl(ranges[i].address);
        uint64_t after = ranges[i].address + (1ull << (32 - ranges[i].prefix));
        uint32_t end = htonl((uint32_t) after);
        put_key(&first, sizeof(first), 0);
        if (after <= UINT32_MAX)
            put_key(&end, sizeof(end), NFT_SET_ELEM_INTERVAL_END);
    }
    mnl_attr_nest_end(rq.message, list);
}

/* --- making the tables ------------------------------------------------------------------ */

static void make_set(enum set set) {
    nft_message(NFT_MSG_NEWSET, NLM_F_CREATE, sets[set].family);
    mnl_attr_put_strz(rq.message, NFTA_SET_TABLE, TABLE);
    mnl_attr_put_strz(rq.message, NFTA_SET_NAME, sets[set].name);
    put_be32(NFTA_SET_ID, (uint32_t) set + 1);
    put_be32(NFTA_SET_FLAGS, sets[set].flags);
    put_be32(NFTA_SET_KEY_TYPE, sets[set].type);
    put_be32(NFTA_SET_KEY_LEN, sets[set].size);
    /* For nft's listing alone: type 0 (the key's byte order), 4 bytes, 1 (the host's). */
    if (sets[set].type == T_IFNAME)
        mnl_attr_put(rq.message, NFTA_SET_USERDATA, 6, "\x00\x04\x01\x00\x00\x00");
}

static void make_chain(enum chain chain) {
    nft_message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, chains[chain].family);
    mnl_attr_put_strz(rq.message, NFTA_CHAIN_TABLE, TABLE);
    mnl_attr_put_strz(rq.message, NFTA_CHAIN_NAME, chains[chain].name);
    if (chains[chain].hook < 0)
        return;
    struct nlattr *hook = mnl_attr_nest_start(rq.message, NFTA_CHAIN_HOOK);
    put_be32(NFTA_HOOK_HOOKNUM, (uint32_t) chains[chain].hook);
    put_be32(NFTA_HOOK_PRIORITY, (uint32_t) chains[chain].priority);
    mnl_attr_nest_end(rq.message, hook);
    mnl_attr_put_strz(rq.message, NFTA_CHAIN_TYPE, chains[chain].type);
}

static void make_rule(const struct rule *rule) {
    nft_message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, chains[rule->chain].family);
    mnl_attr_put_strz(rq.message, NFTA_RULE_TABLE, TABLE);
    mnl_attr_put_strz(rq.message, NFTA_RULE_CHAIN, chains[rule->chain].name);
    struct nlattr *list = mnl_attr_nest_start(rq.message, NFTA_RULE_EXPRESSIONS);
    for (size_t i = 0; i < RULE_MAX && rule->e[i].what != E_END; i++)
        put_expression(&rule->e[i]);
    mnl_attr_nest_end(rq.message, list);
}

/* All of it or nothing, and not twice: NLM_F_EXCL makes the later of two helpers
 * fail as a whole. */
static int make_table(uint8_t family) {
    batch_begin();
    nft_message(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, family);
    mnl_attr_put_strz(rq.message, NFTA_TABLE_NAME, TABLE);
    for (unsigned s = 0; s < SETS; s++) {
        if (sets[s].family == family)
            make_set((enum set) s);
    }
    if (family == NFPROTO_INET)
        add_ranges(REFUSED, refused, sizeof(refused) / sizeof(refused[0]));
    for (unsigned c = 0; c < CHAINS; c++) {
        if (chains[c].family == family)
            make_chain((enum chain) c);
    }
    for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
        if (chains[rules[r].chain].family == family)
            make_rule(&rules[r]);
    }
    return batch_commit();
}

/* Asked first, because a refused batch costs the kernel about 16 ms. */
int nft_ensure(void) {
    static const uint8_t families[] = {NFPROTO_BRIDGE, NFPROTO_INET};
    int made = 0;
    for (size_t i = 0; i < sizeof(families); i++) {
        nl_begin(&rq, nft_fd);
        nft_message(NFT_MSG_GETTABLE, NLM_F_ACK, families[i]);
        mnl_attr_put_strz(rq.message, NFTA_TABLE_NAME, TABLE);
        int r = nl_talk(&rq, NULL, NULL);
        if (r == -ENOENT) {
            r = make_table(families[i]);
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
    batch_begin();
    account(uid, add);
    drop(NAT, &nat);
    add(GUESTS, &guest);
}

int nft_up(uint32_t uid, uint32_t slot, uint32_t subnet) {
    up(uid, slot, subnet);
    int r = batch_commit();
    if (r != -ENOENT)
        return r;
    r = nft_ensure();
    if (r < 0)
        return r;
    up(uid, slot, subnet);
    return batch_commit();
}

int nft_down(uint32_t uid, uint32_t slot, uint32_t subnet) {
    struct guest_key guest = guest_key(uid, slot, subnet);
    struct pair_key nat = nat_key(uid, slot, subnet);
    batch_begin();
    drop(NAT, &nat);
    drop(GUESTS, &guest);
    int r = batch_commit();
    return r == -ENOENT ? 0 : r; /* no table, no rules */
}

int nft_nat(uint32_t uid, uint32_t slot, uint32_t subnet, char uplinks[][IFNAME_SIZE], size_t count, int guard,
            const struct policy *policy) {
    struct pair_key nat = nat_key(uid, slot, subnet);
    batch_begin();
    empty(UPLINKS);
    empty(GUARDED);
    empty(PRIVATE);
    for (size_t i = 0; i < count; i++) {
        add(UPLINKS, uplinks[i]);
        if (guard)
            add(GUARDED, uplinks[i]);
    }
    if (policy->private_count)
        add_ranges(PRIVATE, policy->private_allow, policy->private_count);
    add(NAT, &nat);
    return batch_commit();
}

int nft_nat_off(uint32_t uid, uint32_t slot, uint32_t subnet) {
    struct pair_key nat = nat_key(uid, slot, subnet);
    batch_begin();
    drop(NAT, &nat);
    return batch_commit();
}

int nft_account(uint32_t uid, int known) {
    batch_begin();
    account(uid, known ? add : drop);
    return batch_commit();
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
    nl_begin(&rq, nft_fd);
    nft_message(NFT_MSG_GETSETELEM, NLM_F_DUMP, sets[GUESTS].family);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_TABLE, TABLE);
    mnl_attr_put_strz(rq.message, NFTA_SET_ELEM_LIST_SET, sets[GUESTS].name);
    return nl_talk(&rq, on_elements, &l);
}
