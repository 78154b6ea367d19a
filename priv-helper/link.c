/* Links, addresses and routes by libnl-route. Nothing is cached: each message is built
 * for the one interface it is about. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DUMP_TRIES  8
#define ANSWER_MAX  32768 /* what the kernel fills at most in a dump */
#define VNET_HEADER 12    /* struct virtio_net_hdr_v1 (virtio 1.2, 5.1.6) */

static struct nl_sock *route;

/* --- talking ------------------------------------------------------------------- */

static int kernel_error; /* of the request under way: libnl's own numbers say less */

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *answer, void *arg) {
    (void) from, (void) arg;
    kernel_error = answer->error;
    return NL_STOP;
}

static int on_end(struct nl_msg *message, void *arg) {
    const struct nlmsghdr *h = nlmsg_hdr(message);
    (void) arg;
    if (nlmsg_datalen(h) >= (int) sizeof(int))
        kernel_error = *(const int *) nlmsg_data(h);
    return NL_OK;
}

/* Every message needs the capability while it is sent. */
static int send_raised(struct nl_sock *sock, struct nl_msg *message) {
    struct iovec iov = {nlmsg_hdr(message), nlmsg_hdr(message)->nlmsg_len};
    cap_raise(CAP_NET_ADMIN);
    int r = nl_send_iovec(sock, message, &iov, 1);
    cap_lower();
    return r;
}

int link_init(void) {
    struct nl_cb *cb = net_allocated(nl_cb_alloc(NL_CB_DEFAULT));
    route = net_allocated(nl_socket_alloc_cb(cb));
    nl_cb_overwrite_send(cb, send_raised);
    nl_socket_disable_msg_peek(route); /* its buffer holds the longest answer: one call to read it */
    die_if(nl_socket_set_msg_buf_size(route, ANSWER_MAX), "out of memory");
    if (nl_cb_err(cb, NL_CB_CUSTOM, on_error, NULL) || nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, NULL))
        return -EINVAL;
    cap_raise(CAP_NET_ADMIN); /* the kernel also asks what the opener had */
    int r = nl_connect(route, NETLINK_ROUTE);
    cap_lower();
    return r ? -EIO : net_hear_kernel_only(nl_socket_get_fd(route));
}

/* After a request: the kernel's errno. What libnl cannot read would leave every later
 * answer one behind: it ends the worker. */
static int result(int r) {
    int error = kernel_error;
    kernel_error = 0;
    die_if(r < 0 && error == 0, "the kernel's answer on netlink cannot be read");
    return error;
}

static struct nl_msg *request(int type, int flags, void *header, size_t size) {
    struct nl_msg *message = net_allocated(nlmsg_alloc_simple(type, flags));
    die_if(nlmsg_append(message, header, size, NLMSG_ALIGNTO), "out of memory");
    return message;
}

/* Sends `message` and frees it; `each` gets what is answered. */
static int ask(struct nl_msg *message, nl_recvmsg_msg_cb_t each, void *arg) {
    int r = -NLE_DUMP_INTR;
    int dump = nlmsg_hdr(message)->nlmsg_flags & NLM_F_DUMP;
    (void) nl_socket_modify_cb(route, NL_CB_VALID, NL_CB_CUSTOM, each, arg);
    for (int try = 0; try < DUMP_TRIES && r == -NLE_DUMP_INTR; try++) {
        nlmsg_hdr(message)->nlmsg_seq = NL_AUTO_SEQ;
        r = nl_send_auto(route, message);
        if (r >= 0)
            r = nl_recvmsgs_default(route);
    }
    if (r >= 0 && !dump)
        r = nl_wait_for_ack(route);
    nlmsg_free(message);
    return r == -NLE_DUMP_INTR ? -EINTR : result(r);
}

/* --- looking ------------------------------------------------------------------ */

struct found {
    int index;
    unsigned flags;
    uint32_t group;
    char name[IFNAME_SIZE]; /* filled up with zeros */
};

static int on_link(struct nl_msg *message, void *arg) {
    struct nlmsghdr *h = nlmsg_hdr(message);
    const struct ifinfomsg *link = nlmsg_data(h);
    struct nlattr *group = nlmsg_find_attr(h, sizeof(*link), IFLA_GROUP);
    struct nlattr *name = nlmsg_find_attr(h, sizeof(*link), IFLA_IFNAME);
    struct found *f = arg;
    if (nlmsg_datalen(h) < (int) sizeof(*link) || !group || !name)
        return NL_OK;
    *f = (struct found){.index = link->ifi_index, .flags = link->ifi_flags, .group = nla_get_u32(group)};
    (void) nla_strlcpy(f->name, name, sizeof(f->name));
    return NL_OK;
}

/* By index, or where `name` is not NULL by name. */
static int look(const char *name, int index, struct found *f) {
    struct ifinfomsg link = {.ifi_index = index};
    struct nl_msg *message = request(RTM_GETLINK, 0, &link, sizeof(link));
    if (name)
        (void) nla_put_string(message, IFLA_IFNAME, name);
    *f = (struct found){0};
    int r = ask(message, on_link, f);
    return !r && f->index <= 0 ? -ENODEV : r;
}

int link_find(const char *name, uint32_t group) {
    struct found f;
    int r = look(name, 0, &f);
    if (r)
        return r;
    return f.group == group ? f.index : -EEXIST;
}

static int on_tap(struct nl_msg *message, void *arg) {
    struct found f = {0};
    (void) on_link(message, &f);
    net_add_tap(arg, f.name);
    return NL_OK;
}

int link_list(struct net_slots *slots) {
    struct ifinfomsg all = {0};
    struct nl_msg *message = request(RTM_GETLINK, NLM_F_DUMP, &all, sizeof(all));
    struct nlattr *info = nla_nest_start(message, IFLA_LINKINFO);
    (void) nla_put_string(message, IFLA_INFO_KIND, "tun");
    (void) nla_nest_end(message, info);
    return ask(message, on_tap, slots);
}

/* --- making ------------------------------------------------------------------- */

/* A persistent tap of the name may be waiting: its last user can make it so without
 * any capability. Attaching to one is not making one: it is ended instead. */
int link_tap(const char *name, int *fd) {
    struct ifreq want = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    struct ifreq have = {0};
    int header = VNET_HEADER;
    memcpy(want.ifr_name, name, strlen(name) + 1);
    *fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return -errno;
    cap_raise(CAP_NET_ADMIN);
    int r = ioctl(*fd, TUNSETIFF, &want);
    cap_lower();
    int error = r ? errno : 0;
    if (!error && (ioctl(*fd, TUNGETIFF, &have) || ioctl(*fd, TUNSETVNETHDRSZ, &header)))
        error = errno;
    if (!error && (have.ifr_flags & IFF_PERSIST)) {
        (void) ioctl(*fd, TUNSETPERSIST, 0);
        error = EEXIST;
    }
    if (!error)
        return 0;
    (void) close(*fd);
    *fd = -1;
    return error == EBUSY || error == EINVAL ? -EEXIST : -error;
}

static struct rtnl_link *link_named(const char *name) {
    struct rtnl_link *link = net_allocated(rtnl_link_alloc());
    rtnl_link_set_name(link, name);
    return link;
}

/* Changes the interface of that name; frees `changes`. As RTM_SETLINK: RTM_NEWLINK
 * without such an interface means the whole group to kernels before 5.18. */
static int change(struct rtnl_link *changes) {
    struct rtnl_link *any = net_allocated(rtnl_link_alloc());
    struct nl_msg *message;
    die_if(rtnl_link_build_change_request(any, changes, 0, &message), "out of memory");
    nlmsg_hdr(message)->nlmsg_type = RTM_SETLINK;
    rtnl_link_put(any);
    rtnl_link_put(changes);
    return result(nl_send_sync(route, message));
}

/* Before it is up: which ARP requests it answers, and no link-local address, without
 * which the host sends its guests no IPv6 at all. */
static int settle(const char *name, uint32_t arp_ignore) {
    int r = -EAFNOSUPPORT;
    for (int ipv6 = 1; ipv6 >= 0 && r == -EAFNOSUPPORT; ipv6--) { /* a kernel may have none */
        struct rtnl_link *link = link_named(name);
        (void) rtnl_link_inet_set_conf(link, IPV4_DEVCONF_ARP_IGNORE, arp_ignore);
        (void) rtnl_link_inet_set_conf(link, IPV4_DEVCONF_ARP_ANNOUNCE, 2);
        if (ipv6)
            (void) rtnl_link_inet6_set_addr_gen_mode(link, IN6_ADDR_GEN_MODE_NONE);
        r = change(link);
    }
    return r;
}

static int bridge_create(const char *name, uint32_t uid) {
    /* The bridge's own MAC; without one it takes over a port's, and that changes. No slot has 0xffff. */
    uint8_t mac[6];
    addr_mac(mac, uid, 0xffff);
    struct ifinfomsg any = {0};
    struct nl_msg *message = request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &any, sizeof(any));
    (void) nla_put_string(message, IFLA_IFNAME, name);
    (void) nla_put(message, IFLA_ADDRESS, sizeof(mac), mac);
    (void) nla_put_u32(message, IFLA_GROUP, NET_GROUP_BRIDGE);
    struct nlattr *info = nla_nest_start(message, IFLA_LINKINFO);
    (void) nla_put_string(message, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = nla_nest_start(message, IFLA_INFO_DATA);
    (void) nla_put_u32(message, IFLA_BR_STP_STATE, 0);
    (void) nla_put_u8(message, IFLA_BR_MCAST_SNOOPING, 0);
    (void) nla_nest_end(message, data);
    (void) nla_nest_end(message, info);
    int r = result(nl_send_sync(route, message));
    return r == -EEXIST ? 0 : r; /* another helper of the account was faster */
}

static int bridge_address(int index, uint32_t gateway) {
    uint32_t bytes = htonl(gateway);
    struct nl_addr *local = net_allocated(nl_addr_build(AF_INET, &bytes, sizeof(bytes)));
    struct rtnl_addr *address = net_allocated(rtnl_addr_alloc());
    nl_addr_set_prefixlen(local, SUBNET_PREFIX);
    rtnl_addr_set_ifindex(address, index);
    (void) rtnl_addr_set_local(address, local);
    int r = result(rtnl_addr_add(route, address, NLM_F_CREATE | NLM_F_EXCL));
    rtnl_addr_put(address);
    nl_addr_put(local);
    return r == -EEXIST ? 0 : r;
}

static int bring_up(struct rtnl_link *link) {
    rtnl_link_set_flags(link, IFF_UP);
    return change(link);
}

/* Each step may have been made by a helper that was killed before the next; `up`
 * comes last and says that all are done. */
static int bridge_finish(const char *name, int index, uint32_t subnet) {
    int r = settle(name, 1); /* ARP answers for the bridge's own address only */
    if (!r)
        r = bridge_address(index, addr_gateway(subnet));
    return r ? r : bring_up(link_named(name));
}

int link_bridge(const struct net_account *account) {
    char name[IFNAME_SIZE];
    struct found f;
    addr_bridge_name(name, account->uid);
    int r = look(name, 0, &f);
    if (r == -ENODEV) {
        r = bridge_create(name, account->uid);
        if (!r)
            r = look(name, 0, &f);
    }
    if (r)
        return r;
    if (f.group != NET_GROUP_BRIDGE)
        return -EEXIST;
    if (!(f.flags & IFF_UP))
        r = bridge_finish(name, f.index, account->subnet);
    return r ? r : f.index;
}

/* LLDP frames are given to the port itself past every hook of the bridge: the port
 * answers no ARP, and the rules drop what is IP. */
int link_attach(const char *tap, int bridge) {
    int r = settle(tap, 8);
    if (r)
        return r;
    struct rtnl_link *link = link_named(tap);
    rtnl_link_set_group(link, NET_GROUP_PORT);
    rtnl_link_set_master(link, bridge);
    return bring_up(link);
}

int link_delete(int index) {
    struct rtnl_link *link = net_allocated(rtnl_link_alloc());
    rtnl_link_set_ifindex(link, index);
    int r = result(rtnl_link_delete(route, link));
    rtnl_link_put(link);
    return r;
}

/* --- forwarding and the default route ------------------------------------------ */

int link_forward(const char *name) {
    struct rtnl_link *link = link_named(name);
    (void) rtnl_link_inet_set_conf(link, IPV4_DEVCONF_FORWARDING, 1);
    return change(link);
}

static int on_netconf(struct nl_msg *message, void *arg) {
    struct nlattr *on = nlmsg_find_attr(nlmsg_hdr(message), sizeof(struct netconfmsg), NETCONFA_FORWARDING);
    if (on && nla_len(on) == sizeof(uint32_t))
        *(int *) arg = nla_get_u32(on) != 0;
    return NL_OK;
}

int link_host_forwards(void) {
    int on = 0;
    struct netconfmsg ipv4 = {.ncm_family = AF_INET};
    struct nl_msg *message = request(RTM_GETNETCONF, 0, &ipv4, sizeof(ipv4));
    (void) nla_put_s32(message, NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL);
    int r = ask(message, on_netconf, &on);
    return r ? r : on;
}

struct best {
    uint32_t metric;
    int index;
};

static int on_route(struct nl_msg *message, void *arg) {
    struct best *best = arg;
    const struct rtmsg *rt = nlmsg_data(nlmsg_hdr(message));
    struct rtnl_route *parsed;
    if (nlmsg_datalen(nlmsg_hdr(message)) < (int) sizeof(*rt) || rt->rtm_family != AF_INET || rt->rtm_dst_len != 0 ||
        rt->rtm_table != RT_TABLE_MAIN || rt->rtm_type != RTN_UNICAST ||
        rtnl_route_parse(nlmsg_hdr(message), &parsed) < 0)
        return NL_OK;
    struct rtnl_nexthop *hop = rtnl_route_nexthop_n(parsed, 0);
    int index = hop ? rtnl_route_nh_get_ifindex(hop) : 0;
    uint32_t metric = rtnl_route_get_priority(parsed);
    if (index > 0 && (best->index == 0 || metric < best->metric))
        *best = (struct best){.metric = metric, .index = index};
    rtnl_route_put(parsed);
    return NL_OK;
}

int link_default(char name[IFNAME_SIZE]) {
    struct best best = {0};
    struct rtmsg ipv4 = {.rtm_family = AF_INET};
    struct found f;
    int r = ask(request(RTM_GETROUTE, NLM_F_DUMP, &ipv4, sizeof(ipv4)), on_route, &best);
    if (!r && best.index == 0)
        r = -ENETUNREACH;
    if (!r)
        r = look(NULL, best.index, &f);
    if (!r)
        memcpy(name, f.name, IFNAME_SIZE);
    return r;
}
