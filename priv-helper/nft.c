/* The rules' moving part: accounts and VMs are elements of ruleset.c's sets. */
#include "nft.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#define CHANGE_TRIES 3
#define LIST_MAX     512 /* ranges a slot; a message with all of them fits NETLINK_MESSAGE_MAX */

void *nft_allocated(void *object) {
    die_if(!object, "out of memory");
    return object;
}

struct nlmsghdr *nft_add(uint16_t type, uint16_t flags, uint8_t tolerated, uint8_t family) {
    const struct nfgenmsg header = {.nfgen_family = family, .version = NFNETLINK_V0};
    return netlink_add(NFNL_SUBSYS_NFTABLES << 8 | type, flags, tolerated, &header, sizeof(header));
}

void nft_batch(void) {
    const struct nfgenmsg rules = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
    (void) netlink_add(NFNL_MSG_BATCH_BEGIN, 0, 0, &rules, sizeof(rules));
}

static int commit(void) {
    return netlink_talk(NETLINK_RULES, NULL, NULL);
}

/* --- set elements --------------------------------------------------------------------- */

struct guest_key {
    char port[IFNAME_SIZE];
    uint8_t mac[8]; /* padded to a whole register */
    uint32_t address;
};
struct pair_key {
    char name[IFNAME_SIZE];
    uint32_t value;
};
struct listed_key {
    uint32_t guest, to;
};
_Static_assert(sizeof(struct guest_key) == 28 && sizeof(struct pair_key) == 20, "keys have no padding");

struct nftnl_set *nft_set_named(enum set set) {
    struct nftnl_set *s = nft_allocated(nftnl_set_alloc());
    (void) nftnl_set_set_str(s, NFTNL_SET_TABLE, NFT_TABLE);
    (void) nftnl_set_set_str(s, NFTNL_SET_NAME, nft_sets[set].name);
    return s;
}

static struct nftnl_set_elem *put_key(struct nftnl_set *s, const void *key, uint32_t size) {
    struct nftnl_set_elem *element = nft_allocated(nftnl_set_elem_alloc());
    (void) nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, size);
    nftnl_set_elem_add(s, element);
    return element;
}

/* Without elements in `s`, a NFT_MSG_DELSETELEM empties the set. */
static void put_elements(uint16_t type, enum set set, struct nftnl_set *s) {
    uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
    nftnl_set_elems_nlmsg_build_payload(nft_add(type, flags, 0, nft_sets[set].family), s);
    nftnl_set_free(s);
}

static void put_element(uint16_t type, enum set set, const void *key) {
    struct nftnl_set *s = nft_set_named(set);
    (void) put_key(s, key, nft_sets[set].size);
    put_elements(type, set, s);
}

void nft_empty(enum set set) {
    put_elements(NFT_MSG_DELSETELEM, set, nft_set_named(set));
}

/* Deleting what is not there would void the batch, and kernels before 6.3 have no
 * other way: added first, it is there. */
void nft_change_element(enum set set, const void *key, int there) {
    put_element(NFT_MSG_NEWSETELEM, set, key);
    if (!there)
        put_element(NFT_MSG_DELSETELEM, set, key);
}

/* A range is its first address and, marked as an end, the one after its last. */
void nft_add_ranges(enum set set, const struct policy_cidr *ranges, size_t count) {
    struct nftnl_set *s = nft_set_named(set);
    for (size_t i = 0; i < count; i++) {
        uint32_t first = htonl(ranges[i].address);
        uint64_t after = ranges[i].address + (1ull << (32 - ranges[i].prefix));
        uint32_t end = htonl((uint32_t) after);
        (void) put_key(s, &first, sizeof(first));
        if (after <= UINT32_MAX)
            nftnl_set_elem_set_u32(put_key(s, &end, sizeof(end)), NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    }
    put_elements(NFT_MSG_NEWSETELEM, set, s);
}

/* --- looking ------------------------------------------------------------------------------ */

static int on_any(const struct nlmsghdr *h, void *there) {
    (void) h;
    *(int *) there = 1;
    return 0;
}

/* Whether what the last message asks for is there, or a negative errno. */
static int is_there(void) {
    int there = 0;
    int r = netlink_talk(NETLINK_RULES, on_any, &there);
    return r ? r : there;
}

static int has_element(enum set set, const void *key) {
    struct nftnl_set *s = nft_set_named(set);
    (void) put_key(s, key, nft_sets[set].size);
    nftnl_set_elems_nlmsg_build_payload(nft_add(NFT_MSG_GETSETELEM, 0, ENOENT, nft_sets[set].family), s);
    nftnl_set_free(s);
    return is_there();
}

/* An element as it is listed. */
struct element {
    const void *key, *end; /* in the set's form; NULL where there is none */
    uint16_t size, end_size;
    uint64_t expires; /* milliseconds; 0: never */
};
/* Gets each element; negative: no kernel writes that. */
typedef int each_element(const struct element *element, void *arg);
static each_element *dump_each;

static const void *data_of(const struct nlattr *element, uint16_t type, uint16_t *size) {
    const struct nlattr *value = netlink_within(netlink_within(element, type, 0), NFTA_DATA_VALUE, 1);
    *size = value ? mnl_attr_get_payload_len(value) : 0;
    return value ? mnl_attr_get_payload(value) : NULL;
}

static int on_elements(const struct nlmsghdr *h, void *arg) {
    const struct nlattr *list = netlink_find(h, sizeof(struct nfgenmsg), NFTA_SET_ELEM_LIST_ELEMENTS, 0);
    int r = 0;
    if (!list)
        return 0;
    const char *end = (const char *) mnl_attr_get_payload(list) + mnl_attr_get_payload_len(list);
    for (const struct nlattr *at = mnl_attr_get_payload(list); mnl_attr_ok(at, (int) (end - (const char *) at));
         at = mnl_attr_next(at)) {
        const struct nlattr *expires = netlink_within(at, NFTA_SET_ELEM_EXPIRATION, sizeof(uint64_t));
        struct element e = {.expires = expires ? be64toh(mnl_attr_get_u64(expires)) | 1 : 0};
        e.key = data_of(at, NFTA_SET_ELEM_KEY, &e.size);
        e.end = data_of(at, NFTA_SET_ELEM_KEY_END, &e.end_size);
        r |= dump_each(&e, arg) < 0;
    }
    return r;
}

static int dump_set(enum set set, each_element *each, void *arg) {
    struct nftnl_set *s = nft_set_named(set);
    nftnl_set_elems_nlmsg_build_payload(nft_add(NFT_MSG_GETSETELEM, NLM_F_DUMP, 0, nft_sets[set].family), s);
    nftnl_set_free(s);
    dump_each = each;
    return netlink_talk(NETLINK_RULES, on_elements, arg);
}

static int on_guest(const struct element *element, void *slots) {
    if (element->size != sizeof(struct guest_key))
        return -1;
    net_add_tap(slots, element->key); /* it begins with the port */
    return 0;
}

int nft_list(struct net_slots *slots, int ipv6) {
    return dump_set(ipv6 ? GUESTS6 : GUESTS, on_guest, slots);
}

static int on_change(const struct nlmsghdr *h, void *removed) {
    const struct nlattr *name = netlink_find(h, sizeof(struct nfgenmsg), NFTA_TABLE_NAME, sizeof(NFT_TABLE));
    if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE) && name &&
        memcmp(mnl_attr_get_payload(name), NFT_TABLE, sizeof(NFT_TABLE)) == 0)
        *(int *) removed = 1;
    return 0;
}

int nft_removed(void) {
    int removed = 0;
    return netlink_notifications(on_change, &removed) || removed;
}

/* --- a slot's list of what it may reach ---------------------------------------------------- */

struct range {
    uint32_t first, last;
    uint64_t left; /* milliseconds; 0: for ever */
};
static struct list {
    uint32_t guest; /* network byte order */
    size_t count;
    struct range ranges[LIST_MAX];
} kept, gone, new; /* what stays in the kernel's set, leaves it, enters it */

static int lasts_longer(const struct range *a, const struct range *b) {
    return a->left == 0 || (b->left && b->left <= a->left);
}

static int holds(const struct range *a, const struct range *b) {
    return a->first <= b->first && b->last <= a->last;
}

/* Takes what `range` replaces from `list`; `replaced` (may be NULL) gets it. 1 when it is in
 * there already. The kernel takes no ranges that overlap; CIDRs do only where one holds the other. */
static int replace(struct list *list, const struct range *range, struct list *replaced) {
    for (size_t i = 0; i < list->count;) {
        struct range *old = &list->ranges[i];
        if (holds(old, range) && lasts_longer(old, range))
            return 1;
        if (!holds(old, range) && !holds(range, old)) {
            i++;
            continue;
        }
        if (!holds(range, old) || !lasts_longer(range, old))
            return -ENOTEMPTY;
        if (replaced)
            replaced->ranges[replaced->count++] = *old;
        *old = list->ranges[--list->count];
    }
    return 0;
}

static int merge(const struct wire_cidr *cidr) {
    struct range range = {cidr->address, cidr->address + (uint32_t) ((1ull << (32 - cidr->prefix)) - 1),
                          cidr->lifetime * 1000ull};
    int r = replace(&kept, &range, &gone);
    if (!r)
        r = replace(&new, &range, NULL);
    if (r)
        return r < 0 ? r : 0;
    if (kept.count + new.count == LIST_MAX)
        return -ENOSPC;
    new.ranges[new.count++] = range;
    return 0;
}

static void put_list(uint16_t type, const struct list *list) {
    struct nftnl_set *s = nft_set_named(LISTED);
    for (size_t i = 0; i < list->count; i++) {
        const struct range *r = &list->ranges[i];
        struct listed_key first = {list->guest, htonl(r->first)}, last = {list->guest, htonl(r->last)};
        struct nftnl_set_elem *element = put_key(s, &first, sizeof(first));
        (void) nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, &last, sizeof(last));
        if (r->left && type == NFT_MSG_NEWSETELEM)
            nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, r->left);
    }
    if (list->count)
        put_elements(type, LISTED, s);
    else
        nftnl_set_free(s);
}

static int on_listed(const struct element *element, void *arg) {
    const struct listed_key *key = element->key, *end = element->end;
    struct list *list = arg;
    if (element->size != sizeof(*key) || element->end_size != sizeof(*end))
        return -1;
    if (key->guest == list->guest && list->count < LIST_MAX)
        list->ranges[list->count++] = (struct range){ntohl(key->to), ntohl(end->to), element->expires};
    return 0;
}

/* --- accounts and VMs ------------------------------------------------------------------- */

static struct pair_key pair_of(uint32_t uid, uint32_t value) {
    struct pair_key key = {.value = value};
    addr_bridge_name(key.name, uid);
    return key;
}

static void change_guest(const struct net_account *account, uint32_t slot, int there, int ipv6) {
    struct guest_key key = {.address = htonl(addr_guest(account->subnet, slot))};
    addr_tap_name(key.port, account->uid, slot);
    addr_mac(key.mac, account->uid, slot);
    nft_change_element(GUESTS, &key, there);
    nft_change_element(GUESTS6, &key, ipv6);
}

static void change_account(uint32_t uid, int there) {
    struct pair_key owner = pair_of(uid, uid);
    char peers[2][IFNAME_SIZE];
    memcpy(peers[0], owner.name, IFNAME_SIZE);
    memcpy(peers[1], owner.name, IFNAME_SIZE);
    nft_change_element(OWNERS, &owner, there);
    nft_change_element(PEERS, peers, there);
}

/* Begins a batch with the slot's egress. */
static int begin_slot(const struct net_account *account, const struct wire_request *request) {
    uint32_t kind = request->op == WIRE_NET_EGRESS ? request->kind : WIRE_EGRESS_NONE;
    struct pair_key guest = pair_of(account->uid, htonl(addr_guest(account->subnet, request->slot)));
    kept.guest = gone.guest = new.guest = guest.value;
    kept.count = gone.count = new.count = 0;
    int r = has_element(LISTERS, &guest);
    if (r > 0)
        r = dump_set(LISTED, on_listed, kind == WIRE_EGRESS_LIST_ADD ? &kept : &gone);
    for (uint32_t i = 0; !r && i < request->cidr_count; i++)
        r = merge(&request->cidrs[i]);
    if (r)
        return r;
    nft_batch();
    nft_change_element(NAT, &guest, kind == WIRE_EGRESS_NAT);
    nft_change_element(LISTERS, &guest, kind >= WIRE_EGRESS_LIST);
    put_list(NFT_MSG_DELSETELEM, &gone);
    put_list(NFT_MSG_NEWSETELEM, &new);
    return 0;
}

static int has_set(enum set set) {
    struct nftnl_set *s = nft_set_named(set);
    nftnl_set_nlmsg_build_payload(nft_add(NFT_MSG_GETSET, 0, ENOENT, nft_sets[set].family), s);
    nftnl_set_free(s);
    return is_there();
}

static int ensured; /* in this helper's life: tables of an earlier version may be there */

/* Asked first, because a refused batch costs the kernel about 16 ms. A table is ours when it has
 * the set that each version has; an administrator's of our name stays, and without rules of ours
 * there nothing is brought up. */
int nft_ensure(uint32_t uid) {
    static const struct { enum set always, version; } tables[] = {{GUESTS, BRIDGE_VERSION}, {OWNERS, INET_VERSION}};
    struct pair_key owner = pair_of(uid, uid);
    int missing = 0;
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        int ours = has_set(tables[i].always);
        int current = ours > 0 ? has_element(tables[i].version, &ruleset_version) : ours;
        int r = current ? current : ruleset_make(nft_sets[tables[i].always].family, ours);
        if (r < 0 && r != -EEXIST)
            return r;
        missing |= !ours;
    }
    int known = has_element(OWNERS, &owner);
    ensured = known >= 0;
    return known < 0 ? known : missing || !known;
}

static void put_uplinks(const struct nft_uplinks *uplinks) {
    static const enum set replaced[] = {UPLINKS, GUARDED, PRIVATE};
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++)
        nft_empty(replaced[i]);
    for (size_t i = 0; i < uplinks->count; i++) {
        nft_change_element(UPLINKS, uplinks->names[i], 1);
        if (uplinks->guard)
            nft_change_element(GUARDED, uplinks->names[i], 1);
    }
    if (uplinks->policy->private_count)
        nft_add_ranges(PRIVATE, uplinks->policy->private_allow, uplinks->policy->private_count);
}

/* -ENOENT: the tables are gone, or a range ended between the look and its removal. */
int nft_change(const struct net_account *account, const struct wire_request *request,
               const struct nft_uplinks *uplinks) {
    int r = -ENOENT;
    for (int try = 0; try < CHANGE_TRIES && r == -ENOENT; try++) {
        r = (try || !ensured) && request->op == WIRE_NET_UP ? nft_ensure(account->uid) : 0;
        r = r < 0 ? r : begin_slot(account, request);
        if (r)
            return r;
        if (request->op == WIRE_NET_UP)
            change_account(account->uid, 1);
        if (request->op != WIRE_NET_EGRESS)
            change_guest(account, request->slot, request->op == WIRE_NET_UP, (request->kind & WIRE_TAP_IPV6) != 0);
        if (uplinks)
            put_uplinks(uplinks);
        r = commit();
    }
    return r == -ENOENT && request->op == WIRE_NET_DOWN ? 0 : r; /* no table, no rules */
}

int nft_account(uint32_t uid, int known) {
    nft_batch();
    change_account(uid, known);
    return commit();
}
