/* The rules. Two tables, made once for all accounts, whose number of rules never
 * changes; accounts and VMs are elements of sets. As `nft list table` shows them:
 *
 * table bridge banger: at a guest's port everything but IPv4, ARP and (for those that
 *   have it) IPv6 with the port's own MAC and address is dropped.
 * table inet banger: what may pass between guests, host and uplinks. */
#include "nft.h"

#include <libnftnl/chain.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>

/* --- the fixed part: sets, chains, rules ----------------------------------------- */

/* nft's own numbers of data types, for its listing (6 bits a part of a concatenation). */
enum { T_IPV4 = 7, T_ETHER = 9, T_MARK = 19, T_UID = 24, T_IFNAME = 41 };

/* One more with every change of a set, chain or rule (tests/netns/upgrade.c says so). A set that
 * keeps its name keeps its form, for it also keeps its elements. */
const uint32_t ruleset_version = 1;

const struct nft_set nft_sets[SETS] = {
    [BRIDGE_VERSION] = {"version", T_MARK, NFPROTO_BRIDGE, 4, 0},
    [INET_VERSION] = {"version", T_MARK, NFPROTO_INET, 4, 0},
    [GUESTS] = {"guests", T_IFNAME << 12 | T_ETHER << 6 | T_IPV4, NFPROTO_BRIDGE, 28, 0},
    [GUESTS6] = {"guests6", T_IFNAME << 12 | T_ETHER << 6 | T_IPV4, NFPROTO_BRIDGE, 28, 0}, /* see addr_ipv6() */
    [OWNERS] = {"owners", T_IFNAME << 6 | T_UID, NFPROTO_INET, 20, 0},
    [PEERS] = {"peers", T_IFNAME << 6 | T_IFNAME, NFPROTO_INET, 32, 0},
    [NAT] = {"nat", T_IFNAME << 6 | T_IPV4, NFPROTO_INET, 20, 0},
    [LISTERS] = {"listers", T_IFNAME << 6 | T_IPV4, NFPROTO_INET, 20, 0},
    [LISTED] = {"listed", T_IPV4 << 6 | T_IPV4, NFPROTO_INET, 8, NFT_SET_INTERVAL | NFT_SET_CONCAT | NFT_SET_TIMEOUT},
    [UPLINKS] = {"uplinks", T_IFNAME, NFPROTO_INET, 16, 0},
    [GUARDED] = {"guarded", T_IFNAME, NFPROTO_INET, 16, 0},
    [PRIVATE] = {"private", T_IPV4, NFPROTO_INET, 4, NFT_SET_INTERVAL},
    [REFUSED] = {"refused", T_IPV4, NFPROTO_INET, 4, NFT_SET_INTERVAL},
    [REFUSED6] = {"refused6", T_IPV4, NFPROTO_INET, 4, NFT_SET_INTERVAL}, /* an address's first 4 bytes */
};

/* What is no unicast on the Internet (2000::/3), and in it what IANA's IPv6 special-purpose registry
 * (RFC 6890) has: protocol assignments with Teredo, documentation twice, 6to4. */
static const struct policy_cidr refused6[] = {{0x00000000, 3},  {0x20010000, 23}, {0x20010db8, 32}, {0x20020000, 16},
                                              {0x3fff0000, 20}, {0x40000000, 2},  {0x80000000, 1}};

enum chain {
    PORT_IN,
    PORT_IPV6,
    PORT_LOCAL,
    RAW,
    INPUT,
    OUTPUT,
    FORWARD,
    FROM_GUEST,
    FROM_GUEST6,
    TO_GUEST,
    MASQUERADE,
    CHAINS
};

static const struct {
    const char *name;
    const char *type; /* NULL: a chain that is jumped to */
    int32_t priority;
    uint8_t family;
    uint8_t hook;
} chains[CHAINS] = {
    [PORT_IN] = {"prerouting", "filter", -300, NFPROTO_BRIDGE, NF_BR_PRE_ROUTING},
    [PORT_IPV6] = {"ipv6", NULL, 0, NFPROTO_BRIDGE, 0},
    [PORT_LOCAL] = {"input", "filter", -300, NFPROTO_BRIDGE, NF_BR_LOCAL_IN},
    [RAW] = {"prerouting", "filter", -300, NFPROTO_INET, NF_INET_PRE_ROUTING},
    [INPUT] = {"input", "filter", 0, NFPROTO_INET, NF_INET_LOCAL_IN},
    [OUTPUT] = {"output", "filter", 0, NFPROTO_INET, NF_INET_LOCAL_OUT},
    [FORWARD] = {"forward", "filter", 0, NFPROTO_INET, NF_INET_FORWARD},
    [FROM_GUEST] = {"from_guest", NULL, 0, NFPROTO_INET, 0},
    [FROM_GUEST6] = {"from_guest6", NULL, 0, NFPROTO_INET, 0},
    [TO_GUEST] = {"to_guest", NULL, 0, NFPROTO_INET, 0},
    [MASQUERADE] = {"postrouting", "nat", 100, NFPROTO_INET, NF_INET_POST_ROUTING},
};

/* Registers of 4 bytes. A concatenated key lies in consecutive ones. */
enum { R0 = NFT_REG32_00, R1 = NFT_REG32_01, R4 = NFT_REG32_04, R6 = NFT_REG32_06 };

/* As libnftnl takes it: the expression's name and its attributes; attribute 0 ends the list. */
struct expression {
    const char *name;
    struct {
        uint16_t attribute;
        uint32_t size;
        const void *bytes;
    } attributes[6];
};

#define RULE_MAX 12
struct rule {
    enum chain chain;
    struct expression e[RULE_MAX];
};

static const uint32_t port_group = NET_GROUP_PORT;
static const uint32_t bridge_group = NET_GROUP_BRIDGE;

/* clang-format off */
#define NUMBER(attribute, value) {NFTNL_EXPR_##attribute, 4, &(const uint32_t){value}}
#define META_TO(r, key) {"meta", {NUMBER(META_KEY, NFT_META_##key), NUMBER(META_DREG, r)}}
#define PAYLOAD(r, base, from, n) \
    {"payload", {NUMBER(PAYLOAD_BASE, base), NUMBER(PAYLOAD_OFFSET, from), NUMBER(PAYLOAD_LEN, n), NUMBER(PAYLOAD_DREG, r)}}
#define COMPARE(op, n, value) {"cmp", {NUMBER(CMP_SREG, R0), NUMBER(CMP_OP, op), {NFTNL_EXPR_CMP_DATA, n, value}}}
#define LOOKUP(set, how) \
    {"lookup", {NUMBER(LOOKUP_SREG, R0), NUMBER(LOOKUP_FLAGS, how), {NFTNL_EXPR_LOOKUP_SET, sizeof(set), set}}}
#define VERDICT(code) {"immediate", {NUMBER(IMM_DREG, NFT_REG_VERDICT), NUMBER(IMM_VERDICT, (uint32_t) (code))}}
#define GOTO(chain) \
    {"immediate", {NUMBER(IMM_DREG, NFT_REG_VERDICT), NUMBER(IMM_VERDICT, (uint32_t) NFT_GOTO), \
                   {NFTNL_EXPR_IMM_CHAIN, sizeof(chain), chain}}}
#define REPLY /* ct state & (established | related) != 0; the bits are as IP_CT_* gives them */ \
    {"ct", {NUMBER(CT_KEY, NFT_CT_STATE), NUMBER(CT_DREG, R0)}}, \
    {"bitwise", {NUMBER(BITWISE_SREG, R0), NUMBER(BITWISE_DREG, R0), NUMBER(BITWISE_LEN, 4), \
                 NUMBER(BITWISE_MASK, 1u << 1 | 1u << 2), NUMBER(BITWISE_XOR, 0)}}, \
    COMPARE(NFT_CMP_NEQ, 4, "\0\0\0")
#define MASQUERADED {.name = "masq"}
#define NEXTHOP6    {"rt", {NUMBER(RT_KEY, NFT_RT_NEXTHOP6), NUMBER(RT_DREG, R0)}}
#define MASK(mask) \
    {"bitwise", {NUMBER(BITWISE_SREG, R0), NUMBER(BITWISE_DREG, R0), NUMBER(BITWISE_LEN, 4), \
                 {NFTNL_EXPR_BITWISE_MASK, 4, mask}, NUMBER(BITWISE_XOR, 0)}}
/* clang-format on */
#define META(key)        META_TO(R0, key)
#define LINK(r, from, n) PAYLOAD(r, NFT_PAYLOAD_LL_HEADER, from, n)
#define NET(r, from, n)  PAYLOAD(r, NFT_PAYLOAD_NETWORK_HEADER, from, n)
#define IS(n, bytes)     COMPARE(NFT_CMP_EQ, n, bytes)
#define NOT(n, bytes)    COMPARE(NFT_CMP_NEQ, n, bytes)
#define IN(set)          LOOKUP(set, 0)
#define NOT_IN(set)      LOOKUP(set, NFT_LOOKUP_F_INV)
#define ACCEPT           VERDICT(NF_ACCEPT)
#define DROP             VERDICT(NF_DROP)
#define FROM_PORT        META(IIFGROUP), IS(4, &port_group)
#define FROM_BRIDGE      META(IIFGROUP), IS(4, &bridge_group)
#define TO_BRIDGE        META(OIFGROUP), IS(4, &bridge_group)
/* Compared in the frame, not by what the kernel took the frame for: there a VLAN tag is gone. */
#define ETHERTYPE(bytes)    LINK(R0, 12, 2), IS(2, bytes)
#define IN_AND_SENDER(ipv4) META(IIFNAME), LINK(R4, 6, 6), NET(R6, ipv4, 4)
#define OURS(at)            NET(R0, at, ADDR6_BYTES), IS(ADDR6_BYTES, addr6_net)
#define IPV6                META(NFPROTO), IS(1, "\x0a")
#define IPV4                META(NFPROTO), IS(1, "\x02")
/* What IPv6's header carries; of ICMPv6 (RFC 4443, RFC 4861) the type, and at 64 a neighbour message's option. */
#define CARRIES(protocol)  NET(R0, 6, 1), IS(1, protocol)
#define LENGTH(bytes)      NET(R0, 4, 2), IS(2, bytes)
#define TYPES(first, last) NET(R0, 40, 1), COMPARE(NFT_CMP_GTE, 1, first), COMPARE(NFT_CMP_LTE, 1, last)
#define OPTION_MAC(kind, ipv6)                                                                                         \
    NET(R0, 64, 2), IS(2, kind "\x01"), META(IIFNAME), NET(R4, 66, 6), NET(R6, (ipv6) + 12, 4), IN("guests6")
#define NEIGHBOURS IPV6, CARRIES("\x3a"), TYPES("\x87", "\x88")

static const struct rule rules[] = {
    {PORT_IN, {META(IIFGROUP), NOT(4, &port_group), ACCEPT}},
    {PORT_IN, {ETHERTYPE("\x08\x00"), IN_AND_SENDER(12), IN("guests"), ACCEPT}},
    /* ARP for Ethernet and IPv4; the sender in the frame's header and in ARP's own. */
    {PORT_IN,
     {ETHERTYPE("\x08\x06"), NET(R0, 0, 6), IS(6, "\x00\x01\x08\x00\x06\x04"), IN_AND_SENDER(14), IN("guests"),
      NET(R4, 8, 6), IN("guests"), ACCEPT}},
    {PORT_IN, {ETHERTYPE("\x86\xdd"), OURS(8), IN_AND_SENDER(20), IN("guests6"), GOTO("ipv6")}},
    {PORT_IN, {DROP}},

    /* TCP, UDP, and of ICMPv6 errors, echo and neighbour discovery: a link-layer address (the
     * message's one option) and what an advertisement is about are the sender's own. No extension
     * header, so no fragment either; no link-local sender; nothing of routers. */
    {PORT_IPV6, {CARRIES("\x06"), ACCEPT}},
    {PORT_IPV6, {CARRIES("\x11"), ACCEPT}},
    {PORT_IPV6, {NET(R0, 6, 1), NOT(1, "\x3a"), DROP}},
    {PORT_IPV6, {TYPES("\x01", "\x04"), ACCEPT}},
    {PORT_IPV6, {TYPES("\x80", "\x81"), ACCEPT}},
    {PORT_IPV6, {TYPES("\x87", "\x87"), LENGTH("\0\x20"), OPTION_MAC("\x01", 8), ACCEPT}},
    {PORT_IPV6, {NET(R0, 40, 1), NOT(1, "\x88"), DROP}},
    {PORT_IPV6, {LENGTH("\0\x18"), OURS(48), IN_AND_SENDER(60), IN("guests6"), ACCEPT}},
    {PORT_IPV6, {LENGTH("\0\x20"), OURS(48), OPTION_MAC("\x02", 48), ACCEPT}},
    {PORT_IPV6, {DROP}},

    /* Frames to 01:80:c2:00:00:0X are given to the port itself and do not pass the hook
     * above; LLDP's (0E) pass neither, see link_attach() and RAW. */
    {PORT_LOCAL, {FROM_PORT, LINK(R0, 0, 5), IS(5, "\x01\x80\xc2\x00\x00"), DROP}},
    {RAW, {FROM_PORT, DROP}},

    {INPUT, {FROM_BRIDGE, REPLY, ACCEPT}},
    {INPUT, {FROM_BRIDGE, NEIGHBOURS, ACCEPT}},
    {INPUT, {FROM_BRIDGE, DROP}},

    /* Only the owner's sockets reach guests. What has no socket (a kernel's reset, the
     * end of a closed connection) passes as part of a connection; another account's
     * socket does not even then, for it may have taken over a closed one's port. */
    {OUTPUT, {META(OIFGROUP), NOT(4, &bridge_group), ACCEPT}},
    {OUTPUT, {META(OIFNAME), META_TO(R4, SKUID), IN("owners"), ACCEPT}},
    {OUTPUT, {META(SKUID), NOT(4, "\xff\xff\xff\xff"), DROP}},
    {OUTPUT, {REPLY, ACCEPT}},
    {OUTPUT, {NEIGHBOURS, ACCEPT}},
    {OUTPUT, {DROP}},

    /* Frames within one bridge come by here where br_netfilter is on: PEERS. Of IPv6 banger
     * has nothing forwarded that the host does not: there is nothing to guard. */
    {FORWARD, {FROM_BRIDGE, GOTO("from_guest")}},
    {FORWARD, {TO_BRIDGE, GOTO("to_guest")}},
    {FORWARD, {IPV4, META(IIFNAME), IN("guarded"), DROP}},
    {FROM_GUEST, {META(IIFNAME), META_TO(R4, OIFNAME), IN("peers"), ACCEPT}},
    {FROM_GUEST, {META(OIFNAME), NOT_IN("uplinks"), DROP}},
    {FROM_GUEST, {IPV6, GOTO("from_guest6")}},
    {FROM_GUEST, {META(IIFNAME), NET(R4, 12, 4), IN("listers"), NET(R0, 12, 4), NET(R1, 16, 4), IN("listed"), ACCEPT}},
    {FROM_GUEST, {META(IIFNAME), NET(R4, 12, 4), NOT_IN("nat"), DROP}},
    {FROM_GUEST, {NET(R0, 16, 4), IN("private"), ACCEPT}},
    {FROM_GUEST, {NET(R0, 16, 4), IN("refused"), DROP}},
    {FROM_GUEST, {ACCEPT}},
    /* A list opens nothing here. The last four bytes of a guest's address are its IPv4 address. Neighbours
     * of the host have addresses of the Internet: only what lies behind a router (fe80::/10) is reached. */
    {FROM_GUEST6, {META(IIFNAME), NET(R4, 20, 4), NOT_IN("nat"), DROP}},
    {FROM_GUEST6, {NET(R0, 24, 4), IN("refused6"), DROP}},
    {FROM_GUEST6, {NEXTHOP6, MASK("\xff\xc0\0\0"), IS(4, "\xfe\x80\0\0"), ACCEPT}},
    {FROM_GUEST6, {DROP}},
    {TO_GUEST, {META(IIFNAME), IN("uplinks"), REPLY, ACCEPT}},
    {TO_GUEST, {DROP}},
    {MASQUERADE, {FROM_BRIDGE, META(OIFNAME), IN("uplinks"), MASQUERADED}},
};

/* --- making the tables ------------------------------------------------------------------ */

static void make_set(enum set set) {
    struct nftnl_set *s = nft_set_named(set);
    nftnl_set_set_u32(s, NFTNL_SET_ID, (uint32_t) set + 1);
    nftnl_set_set_u32(s, NFTNL_SET_FLAGS, nft_sets[set].flags);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, nft_sets[set].type);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, nft_sets[set].size);
    /* For nft's listing alone: type 0 (the key's byte order), 4 bytes, 1 (the host's). */
    if (nft_sets[set].type == T_IFNAME || nft_sets[set].type == T_MARK)
        (void) nftnl_set_set_data(s, NFTNL_SET_USERDATA, "\x00\x04\x01\x00\x00\x00", 6);
    if (nft_sets[set].flags & NFT_SET_CONCAT)
        (void) nftnl_set_set_data(s, NFTNL_SET_DESC_CONCAT, "\x04\x04", 2);
    nftnl_set_nlmsg_build_payload(nft_add(NFT_MSG_NEWSET, NLM_F_CREATE, 0, nft_sets[set].family), s);
    nftnl_set_free(s);
}

static void make_chain(enum chain chain) {
    struct nftnl_chain *c = nft_allocated(nftnl_chain_alloc());
    (void) nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, NFT_TABLE);
    (void) nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chains[chain].name);
    if (chains[chain].type) {
        nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, chains[chain].hook);
        nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, chains[chain].priority);
        (void) nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, chains[chain].type);
    }
    nftnl_chain_nlmsg_build_payload(nft_add(NFT_MSG_NEWCHAIN, NLM_F_CREATE, 0, chains[chain].family), c);
    nftnl_chain_free(c);
}

static void add_expression(struct nftnl_rule *rule, const struct expression *from) {
    struct nftnl_expr *e = nft_allocated(nftnl_expr_alloc(from->name));
    for (size_t i = 0; from->attributes[i].attribute; i++)
        (void) nftnl_expr_set(e, from->attributes[i].attribute, from->attributes[i].bytes, from->attributes[i].size);
    nftnl_rule_add_expr(rule, e);
}

static void make_rule(const struct rule *rule) {
    struct nftnl_rule *r = nft_allocated(nftnl_rule_alloc());
    (void) nftnl_rule_set_str(r, NFTNL_RULE_TABLE, NFT_TABLE);
    (void) nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chains[rule->chain].name);
    for (size_t i = 0; i < RULE_MAX && rule->e[i].name; i++)
        add_expression(r, &rule->e[i]);
    nftnl_rule_nlmsg_build_payload(nft_add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, 0, chains[rule->chain].family),
                                   r);
    nftnl_rule_free(r);
}

static void add_refused(void) {
    nft_empty(REFUSED);
    nft_add_ranges(REFUSED, policy_refused, POLICY_REFUSED);
    nft_empty(REFUSED6);
    nft_add_ranges(REFUSED6, refused6, sizeof(refused6) / sizeof(refused6[0]));
}

/* The version's element says of which versions' helpers these rules are good enough: all up to
 * this one. So of two versions that run side by side (each account has its own helper) the newer
 * has its way, and the older leaves that alone. */
static void add_versions(enum set set) {
    for (uint32_t version = 1; version <= ruleset_version; version++)
        nft_change_element(set, &version, 1);
}

/* All of it or nothing. */
int ruleset_make(uint8_t family, int ours) {
    nft_batch();
    mnl_attr_put_strz(nft_add(NFT_MSG_NEWTABLE, NLM_F_CREATE | (ours ? 0 : NLM_F_EXCL), 0, family), NFTA_TABLE_NAME,
                      NFT_TABLE);
    mnl_attr_put_strz(nft_add(NFT_MSG_DELRULE, 0, 0, family), NFTA_RULE_TABLE, NFT_TABLE); /* all of its rules */
    for (enum set s = 0; s < SETS; s++) {
        if (nft_sets[s].family == family)
            make_set(s);
    }
    if (family == NFPROTO_INET)
        add_refused();
    add_versions(family == NFPROTO_INET ? INET_VERSION : BRIDGE_VERSION);
    for (enum chain c = 0; c < CHAINS; c++) {
        if (chains[c].family == family)
            make_chain(c);
    }
    for (size_t r = 0; r < sizeof(rules) / sizeof(rules[0]); r++) {
        if (chains[rules[r].chain].family == family)
            make_rule(&rules[r]);
    }
    return netlink_talk(NETLINK_RULES, NULL, NULL);
}
