/* The rules. Two tables, made once for all accounts, whose number of rules never
 * changes; accounts and VMs are elements of sets. As `nft list table` shows them:
 *
 * table bridge banger: at a guest's port everything but IPv4 and ARP with the port's
 *   own MAC and address is dropped.
 * table inet banger: what may pass between guests, host and uplinks. */
#include "nft.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>

/* --- the fixed part: sets, chains, rules ----------------------------------------- */

/* nft's own numbers of data types, for its listing (6 bits a part of a concatenation). */
enum { T_IPV4 = 7, T_ETHER = 9, T_UID = 24, T_IFNAME = 41 };

const struct nft_set nft_sets[SETS] = {
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
    const char *type;
    int32_t priority;
    uint8_t family;
    int8_t hook; /* -1: a chain that is jumped to */
} chains[CHAINS] = {
    [PORT_IN] = {"prerouting", "filter", -300, NFPROTO_BRIDGE, NF_BR_PRE_ROUTING},
    [PORT_LOCAL] = {"input", "filter", -300, NFPROTO_BRIDGE, NF_BR_LOCAL_IN},
    [RAW] = {"prerouting", "filter", -300, NFPROTO_INET, NF_INET_PRE_ROUTING},
    [INPUT] = {"input", "filter", 0, NFPROTO_INET, NF_INET_LOCAL_IN},
    [OUTPUT] = {"output", "filter", 0, NFPROTO_INET, NF_INET_LOCAL_OUT},
    [FORWARD] = {"forward", "filter", 0, NFPROTO_INET, NF_INET_FORWARD},
    [FROM_GUEST] = {"from_guest", NULL, 0, NFPROTO_INET, -1},
    [TO_GUEST] = {"to_guest", NULL, 0, NFPROTO_INET, -1},
    [MASQUERADE] = {"postrouting", "nat", 100, NFPROTO_INET, NF_INET_POST_ROUTING},
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

    /* Frames to 01:80:c2:00:00:0X are given to the port itself and do not pass the hook
     * above; LLDP's (0E) pass neither, see link_attach() and RAW. */
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

static struct nlattr *put_name(const char *name, struct nlattr **element) {
    *element = mnl_attr_nest_start(nft_rq.message, NFTA_LIST_ELEM);
    mnl_attr_put_strz(nft_rq.message, NFTA_EXPR_NAME, name);
    return mnl_attr_nest_start(nft_rq.message, NFTA_EXPR_DATA);
}

static void put_end(struct nlattr *data, struct nlattr *element) {
    mnl_attr_nest_end(nft_rq.message, data);
    mnl_attr_nest_end(nft_rq.message, element);
}

static void put_meta(const struct expression *e) {
    struct nlattr *element;
    struct nlattr *data = put_name("meta", &element);
    nft_put_be32(NFTA_META_DREG, e->reg);
    nft_put_be32(NFTA_META_KEY, (uint32_t) e->arg);
    put_end(data, element);
}

static void put_payload(const struct expression *e) {
    struct nlattr *element;
    struct nlattr *data = put_name("payload", &element);
    nft_put_be32(NFTA_PAYLOAD_DREG, e->reg);
    nft_put_be32(NFTA_PAYLOAD_BASE, e->what == E_LINK ? NFT_PAYLOAD_LL_HEADER : NFT_PAYLOAD_NETWORK_HEADER);
    nft_put_be32(NFTA_PAYLOAD_OFFSET, (uint32_t) e->arg);
    nft_put_be32(NFTA_PAYLOAD_LEN, e->size);
    put_end(data, element);
}

static void put_compare(uint8_t reg, enum nft_cmp_ops op, const void *value, size_t size) {
    struct nlattr *element;
    struct nlattr *data = put_name("cmp", &element);
    nft_put_be32(NFTA_CMP_SREG, reg);
    nft_put_be32(NFTA_CMP_OP, op);
    nft_put_data(NFTA_CMP_DATA, value, size);
    put_end(data, element);
}

static void put_lookup(const struct expression *e) {
    struct nlattr *element;
    struct nlattr *data = put_name("lookup", &element);
    mnl_attr_put_strz(nft_rq.message, NFTA_LOOKUP_SET, nft_sets[e->arg].name);
    nft_put_be32(NFTA_LOOKUP_SREG, e->reg);
    if (e->what == E_NOT_SET)
        nft_put_be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    put_end(data, element);
}

/* ct state & (established | related) != 0, bits as IP_CT_* gives them. */
static void put_reply(void) {
    static const uint32_t mask = 1u << 1 | 1u << 2;
    static const uint32_t none = 0;
    struct nlattr *element;
    struct nlattr *data = put_name("ct", &element);
    nft_put_be32(NFTA_CT_DREG, R0);
    nft_put_be32(NFTA_CT_KEY, NFT_CT_STATE);
    put_end(data, element);
    data = put_name("bitwise", &element);
    nft_put_be32(NFTA_BITWISE_SREG, R0);
    nft_put_be32(NFTA_BITWISE_DREG, R0);
    nft_put_be32(NFTA_BITWISE_LEN, sizeof(mask));
    nft_put_data(NFTA_BITWISE_MASK, &mask, sizeof(mask));
    nft_put_data(NFTA_BITWISE_XOR, &none, sizeof(none));
    put_end(data, element);
    put_compare(R0, NFT_CMP_NEQ, &none, sizeof(none));
}

static void put_verdict(int code, const char *chain) {
    struct nlattr *element;
    struct nlattr *data = put_name("immediate", &element);
    nft_put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    struct nlattr *value = mnl_attr_nest_start(nft_rq.message, NFTA_IMMEDIATE_DATA);
    struct nlattr *verdict = mnl_attr_nest_start(nft_rq.message, NFTA_DATA_VERDICT);
    nft_put_be32(NFTA_VERDICT_CODE, (uint32_t) code);
    if (chain)
        mnl_attr_put_strz(nft_rq.message, NFTA_VERDICT_CHAIN, chain);
    mnl_attr_nest_end(nft_rq.message, verdict);
    mnl_attr_nest_end(nft_rq.message, value);
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

/* --- making the tables ------------------------------------------------------------------ */

static void make_set(enum set set) {
    nft_message(NFT_MSG_NEWSET, NLM_F_CREATE, nft_sets[set].family);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_TABLE, NFT_TABLE);
    mnl_attr_put_strz(nft_rq.message, NFTA_SET_NAME, nft_sets[set].name);
    nft_put_be32(NFTA_SET_ID, (uint32_t) set + 1);
    nft_put_be32(NFTA_SET_FLAGS, nft_sets[set].flags);
    nft_put_be32(NFTA_SET_KEY_TYPE, nft_sets[set].type);
    nft_put_be32(NFTA_SET_KEY_LEN, nft_sets[set].size);
    /* For nft's listing alone: type 0 (the key's byte order), 4 bytes, 1 (the host's). */
    if (nft_sets[set].type == T_IFNAME)
        mnl_attr_put(nft_rq.message, NFTA_SET_USERDATA, 6, "\x00\x04\x01\x00\x00\x00");
}

static void make_chain(enum chain chain) {
    nft_message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, chains[chain].family);
    mnl_attr_put_strz(nft_rq.message, NFTA_CHAIN_TABLE, NFT_TABLE);
    mnl_attr_put_strz(nft_rq.message, NFTA_CHAIN_NAME, chains[chain].name);
    if (chains[chain].hook < 0)
        return;
    struct nlattr *hook = mnl_attr_nest_start(nft_rq.message, NFTA_CHAIN_HOOK);
    nft_put_be32(NFTA_HOOK_HOOKNUM, (uint32_t) chains[chain].hook);
    nft_put_be32(NFTA_HOOK_PRIORITY, (uint32_t) chains[chain].priority);
    mnl_attr_nest_end(nft_rq.message, hook);
    mnl_attr_put_strz(nft_rq.message, NFTA_CHAIN_TYPE, chains[chain].type);
}

static void make_rule(const struct rule *rule) {
    nft_message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, chains[rule->chain].family);
    mnl_attr_put_strz(nft_rq.message, NFTA_RULE_TABLE, NFT_TABLE);
    mnl_attr_put_strz(nft_rq.message, NFTA_RULE_CHAIN, chains[rule->chain].name);
    struct nlattr *list = mnl_attr_nest_start(nft_rq.message, NFTA_RULE_EXPRESSIONS);
    for (size_t i = 0; i < RULE_MAX && rule->e[i].what != E_END; i++)
        put_expression(&rule->e[i]);
    mnl_attr_nest_end(nft_rq.message, list);
}

/* All of it or nothing, and not twice: NLM_F_EXCL makes the later of two helpers
 * fail as a whole. */
int ruleset_make(uint8_t family) {
    nft_batch_begin();
    nft_message(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, family);
    mnl_attr_put_strz(nft_rq.message, NFTA_TABLE_NAME, NFT_TABLE);
    for (unsigned s = 0; s < SETS; s++) {
        if (nft_sets[s].family == family)
            make_set((enum set) s);
    }
    if (family == NFPROTO_INET)
        nft_add_ranges(REFUSED, refused, sizeof(refused) / sizeof(refused[0]));
    for (unsigned c = 0; c < CHAINS; c++) {
        if (chains[c].family == family)
            make_chain((enum chain) c);
    }
    for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
        if (chains[rules[r].chain].family == family)
            make_rule(&rules[r]);
    }
    return nft_batch_commit();
}
