/* The rules' moving part: accounts and VMs are elements of ruleset.c's sets. */
#include "nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/capability.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#define BATCH_MAX  16384
#define DUMP_TRIES 8

static struct mnl_socket *nft;
static struct mnl_nlmsg_batch *batch;
static struct nlmsghdr *last; /* the batch's last message */

int nft_init(void) {
    static char bytes[2 * BATCH_MAX]; /* libmnl asks for room for a message beyond the limit */
    batch = mnl_nlmsg_batch_start(bytes, BATCH_MAX);
    cap_raise(CAP_NET_ADMIN); /* the kernel also asks what the opener had */
    nft = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
    cap_lower();
    if (!nft || !batch || mnl_socket_bind(nft, 0, MNL_SOCKET_AUTOPID))
        return -errno;
    return net_hear_kernel_only(mnl_socket_get_fd(nft));
}

/* --- talking ------------------------------------------------------------------- */

/* NLMSG_ERROR (also the acknowledgement) and NLMSG_DONE begin with an errno alike. */
static int on_end(const struct nlmsghdr *h, void *arg) {
    (void) arg;
    int error = EBADMSG;
    if (mnl_nlmsg_get_payload_len(h) >= sizeof(error))
        error = -*(const int *) mnl_nlmsg_get_payload(h);
    errno = error;
    return error > 0 ? MNL_CB_ERROR : MNL_CB_STOP;
}

/* Sends and reads all there is to read: the kernel handles a message within sendto(),
 * and goes on with a dump within recvmsg(). 0, or the first error. */
static int talk(const void *bytes, size_t size, mnl_cb_t callback, void *arg) {
    static mnl_cb_t control[] = {[NLMSG_ERROR] = on_end, [NLMSG_DONE] = on_end};
    static _Alignas(struct nlmsghdr) char answer[32768];
    int error = 0, complete = 0;
    cap_raise(CAP_NET_ADMIN);
    ssize_t n = mnl_socket_sendto(nft, bytes, size);
    cap_lower();
    if (n < 0)
        return -errno;
    while ((n = mnl_socket_recvfrom(nft, answer, sizeof(answer))) > 0) {
        int r = mnl_cb_run2(answer, (size_t) n, 0, 0, callback, arg, control, NLMSG_DONE + 1);
        if (r < 0 && !error)
            error = -errno;
        complete |= r <= 0;
    }
    if (n < 0 && errno != EAGAIN && !error)
        error = -errno;
    return error || complete ? error : -EPROTO;
}

static void end_message(void) {
    die_if(!mnl_nlmsg_batch_next(batch), "a batch of rules is longer than its buffer");
}

struct nlmsghdr *nft_message(uint16_t type, uint16_t flags, uint8_t family) {
    end_message();
    last = nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(batch), type, family, flags, 0);
    return last;
}

void nft_batch_begin(void) {
    mnl_nlmsg_batch_reset(batch);
    (void) nftnl_batch_begin(mnl_nlmsg_batch_current(batch), 0);
}

/* The last change asks for the acknowledgement: older kernels give none for the batch's end. */
int nft_batch_commit(void) {
    last->nlmsg_flags |= NLM_F_ACK;
    end_message();
    (void) nftnl_batch_end(mnl_nlmsg_batch_current(batch), 0);
    end_message();
    return talk(mnl_nlmsg_batch_head(batch), mnl_nlmsg_batch_size(batch), NULL, NULL);
}

/* --- set elements --------------------------------------------------------------------- */

struct nftnl_set *nft_set_named(enum set set) {
    struct nftnl_set *s = net_allocated(nftnl_set_alloc());
    (void) nftnl_set_set_str(s, NFTNL_SET_TABLE, NFT_TABLE);
    (void) nftnl_set_set_str(s, NFTNL_SET_NAME, nft_sets[set].name);
    return s;
}

static void put_key(struct nftnl_set *s, const void *key, uint32_t size, uint32_t flags) {
    struct nftnl_set_elem *element = net_allocated(nftnl_set_elem_alloc());
    (void) nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, size);
    if (flags)
        nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, flags);
    nftnl_set_elem_add(s, element);
}

/* Without elements in `s`, a NFT_MSG_DELSETELEM empties the set. */
static void put_elements(uint16_t type, enum set set, struct nftnl_set *s) {
    uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0;
    nftnl_set_elems_nlmsg_build_payload(nft_message(type, flags, nft_sets[set].family), s);
    nftnl_set_free(s);
}

static void put_element(uint16_t type, enum set set, const void *key) {
    struct nftnl_set *s = nft_set_named(set);
    put_key(s, key, nft_sets[set].size, 0);
    put_elements(type, set, s);
}

/* Deleting what is not there would void the batch, and kernels before 6.3 have no
 * other way: added first, it is there. */
static void change(enum set set, const void *key, int there) {
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
        put_key(s, &first, sizeof(first), 0);
        if (after <= UINT32_MAX)
            put_key(s, &end, sizeof(end), NFT_SET_ELEM_INTERVAL_END);
    }
    put_elements(NFT_MSG_NEWSETELEM, set, s);
}

/* Asked first, because a refused batch costs the kernel about 16 ms. */
int nft_ensure(void) {
    static const uint8_t families[] = {NFPROTO_BRIDGE, NFPROTO_INET};
    _Alignas(struct nlmsghdr) char bytes[256];
    int made = 0;
    for (size_t i = 0; i < sizeof(families); i++) {
        struct nlmsghdr *get = nftnl_nlmsg_build_hdr(bytes, NFT_MSG_GETTABLE, families[i], NLM_F_ACK, 0);
        mnl_attr_put_strz(get, NFTA_TABLE_NAME, NFT_TABLE);
        int r = talk(get, get->nlmsg_len, NULL, NULL);
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

static void change_guest(const struct net_account *account, uint32_t slot, int there) {
    struct guest_key key = {.address = htonl(addr_guest(account->subnet, slot))};
    addr_tap_name(key.port, account->uid, slot);
    addr_mac(key.mac, account->uid, slot);
    change(GUESTS, &key, there);
}

static void change_nat(const struct net_account *account, uint32_t slot, int there) {
    struct pair_key key = {.value = htonl(addr_guest(account->subnet, slot))};
    addr_bridge_name(key.name, account->uid);
    change(NAT, &key, there);
}

static void change_account(uint32_t uid, int there) {
    struct pair_key owner = {.value = uid};
    char peers[2][IFNAME_SIZE] = {{0}};
    addr_bridge_name(owner.name, uid);
    addr_bridge_name(peers[0], uid);
    addr_bridge_name(peers[1], uid);
    change(OWNERS, &owner, there);
    change(PEERS, peers, there);
}

int nft_up(const struct net_account *account, uint32_t slot) {
    for (int made = 0;; made = 1) {
        nft_batch_begin();
        change_account(account->uid, 1);
        change_nat(account, slot, 0);
        change_guest(account, slot, 1);
        int r = nft_batch_commit();
        if (r != -ENOENT || made)
            return r;
        r = nft_ensure();
        if (r < 0)
            return r;
    }
}

int nft_down(const struct net_account *account, uint32_t slot) {
    nft_batch_begin();
    change_nat(account, slot, 0);
    change_guest(account, slot, 0);
    int r = nft_batch_commit();
    return r == -ENOENT ? 0 : r; /* no table, no rules */
}

int nft_nat(const struct net_account *account, uint32_t slot, char uplinks[][IFNAME_SIZE], size_t count, int guard,
            const struct policy *policy) {
    static const enum set replaced[] = {UPLINKS, GUARDED, PRIVATE};
    nft_batch_begin();
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]); i++)
        put_elements(NFT_MSG_DELSETELEM, replaced[i], nft_set_named(replaced[i]));
    for (size_t i = 0; i < count; i++) {
        change(UPLINKS, uplinks[i], 1);
        if (guard)
            change(GUARDED, uplinks[i], 1);
    }
    if (policy->private_count)
        nft_add_ranges(PRIVATE, policy->private_allow, policy->private_count);
    change_nat(account, slot, 1);
    return nft_batch_commit();
}

int nft_nat_off(const struct net_account *account, uint32_t slot) {
    nft_batch_begin();
    change_nat(account, slot, 0);
    return nft_batch_commit();
}

int nft_account(uint32_t uid, int known) {
    nft_batch_begin();
    change_account(uid, known);
    return nft_batch_commit();
}

static int on_guest(struct nftnl_set_elem *element, void *slots) {
    uint32_t size = 0;
    const void *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size);
    if (key && size == sizeof(struct guest_key))
        net_add_tap(slots, key); /* it begins with the port */
    return 0;
}

static int on_elements(const struct nlmsghdr *h, void *arg) {
    struct nftnl_set *s = net_allocated(nftnl_set_alloc());
    int r = nftnl_set_elems_nlmsg_parse(h, s);
    if (r >= 0)
        r = nftnl_set_elem_foreach(s, on_guest, arg);
    nftnl_set_free(s);
    return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

int nft_list(struct net_slots *slots) {
    _Alignas(struct nlmsghdr) char bytes[256];
    struct nlmsghdr *get = nftnl_nlmsg_build_hdr(bytes, NFT_MSG_GETSETELEM, nft_sets[GUESTS].family, NLM_F_DUMP, 0);
    struct nftnl_set *s = nft_set_named(GUESTS);
    nftnl_set_elems_nlmsg_build_payload(get, s);
    nftnl_set_free(s);
    int r = -EINTR; /* changed meanwhile: from the start */
    for (int try = 0; try < DUMP_TRIES && r == -EINTR; try++)
        r = talk(get, get->nlmsg_len, on_elements, slots);
    return r;
}
