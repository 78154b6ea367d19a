#include "net.h"
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define VNET_HEADER 12 /* struct virtio_net_hdr_v1 (virtio 1.2, 5.1.6) */

static int route_fd = -1;
static struct nl_request rq;

int link_init(void) {
    route_fd = nl_open(NETLINK_ROUTE);
    return route_fd < 0 ? route_fd : 0;
}

/* --- small message parts ------------------------------------------------------ */

static struct ifinfomsg *link_message(uint16_t type, uint16_t flags, int index, const char *name) {
    struct ifinfomsg *ifi = nl_message(&rq, type, flags, sizeof(*ifi));
    ifi->ifi_index = index;
    if (name)
        mnl_attr_put_strz(rq.message, IFLA_IFNAME, name);
    return ifi;
}

/* Without a link-local address the host sends its guests no IPv6 at all. */
static void no_ipv6_address(int index, const char *name) {
    (void) link_message(RTM_SETLINK, NLM_F_ACK, index, name);
    struct nlattr *spec = mnl_attr_nest_start(rq.message, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(rq.message, AF_INET6);
    mnl_attr_put_u8(rq.message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(rq.message, inet6);
    mnl_attr_nest_end(rq.message, spec);
}

struct conf {
    uint16_t id;
    uint32_t value;
};

static void inet_conf(int index, const char *name, const struct conf *conf, size_t count) {
    (void) link_message(RTM_SETLINK, NLM_F_ACK, index, name);
    struct nlattr *spec = mnl_attr_nest_start(rq.message, IFLA_AF_SPEC);
    struct nlattr *inet = mnl_attr_nest_start(rq.message, AF_INET);
    struct nlattr *list = mnl_attr_nest_start(rq.message, IFLA_INET_CONF);
    for (size_t i = 0; i < count; i++)
        mnl_attr_put_u32(rq.message, conf[i].id, conf[i].value);
    mnl_attr_nest_end(rq.message, list);
    mnl_attr_nest_end(rq.message, inet);
    mnl_attr_nest_end(rq.message, spec);
}

/* --- looking ------------------------------------------------------------------ */

struct found {
    int index;
    unsigned flags;
    uint32_t group;
    char name[IFNAME_SIZE];
};

static void on_link(const struct nlmsghdr *h, void *arg) {
    struct found *f = arg;
    const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
    const struct nlattr *attr;
    if (h->nlmsg_type != RTM_NEWLINK)
        return;
    f->index = ifi->ifi_index;
    f->flags = ifi->ifi_flags;
    NL_FOR_EACH(attr, h, sizeof(*ifi)) {
        if (mnl_attr_get_type(attr) == IFLA_GROUP && mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
            f->group = mnl_attr_get_u32(attr);
        if (mnl_attr_get_type(attr) == IFLA_IFNAME && mnl_attr_get_payload_len(attr) <= IFNAME_SIZE)
            memcpy(f->name, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
    }
    f->name[IFNAME_SIZE - 1] = '\0';
}

static int look(const char *name, int index, struct found *f) {
    memset(f, 0, sizeof(*f));
    nl_begin(&rq, route_fd);
    (void) link_message(RTM_GETLINK, NLM_F_ACK, index, name);
    return nl_talk(&rq, on_link, f);
}

int link_find(const char *name, uint32_t group) {
    struct found f;
    int r = look(name, 0, &f);
    if (r)
        return r;
    return f.group == group ? f.index : -EEXIST;
}

struct listing {
    uint32_t uid;
    uint64_t *slots;
};

static void on_tap(const struct nlmsghdr *h, void *arg) {
    const struct listing *l = arg;
    struct found f = {0};
    char name[IFNAME_SIZE];
    on_link(h, &f);
    if (strlen(f.name) != 13)
        return;
    unsigned long slot = strtoul(f.name + 10, NULL, 16);
    addr_tap_name(name, l->uid, (uint32_t) slot);
    if (slot < SLOT_MAX && strcmp(name, f.name) == 0)
        l->slots[slot / 64] |= 1ull << slot % 64;
}

int link_list(uint32_t uid, uint64_t slots[NET_SLOT_WORDS]) {
    struct listing l = {.uid = uid, .slots = slots};
    nl_begin(&rq, route_fd);
    (void) link_message(RTM_GETLINK, NLM_F_DUMP, 0, NULL);
    struct nlattr *info = mnl_attr_nest_start(rq.message, IFLA_LINKINFO);
    mnl_attr_put_strz(rq.message, IFLA_INFO_KIND, "tun");
    mnl_attr_nest_end(rq.message, info);
    return nl_talk(&rq, on_tap, &l);
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

static int bridge_create(const char *name, uint32_t uid) {
    /* The bridge's own MAC; without one it takes over a port's, and that changes. No slot has 0xffff. */
    uint8_t mac[6];
    addr_mac(mac, uid, 0xffff);
    nl_begin(&rq, route_fd);
    (void) link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, 0, name);
    mnl_attr_put(rq.message, IFLA_ADDRESS, sizeof(mac), mac);
    mnl_attr_put_u32(rq.message, IFLA_GROUP, NET_GROUP_BRIDGE);
    struct nlattr *info = mnl_attr_nest_start(rq.message, IFLA_LINKINFO);
    mnl_attr_put_strz(rq.message, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(rq.message, IFLA_INFO_DATA);
    mnl_attr_put_u32(rq.message, IFLA_BR_STP_STATE, 0);
    mnl_attr_put_u8(rq.message, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(rq.message, data);
    mnl_attr_nest_end(rq.message, info);
    int r = nl_talk(&rq, NULL, NULL);
    return r == -EEXIST ? 0 : r; /* another helper of the account was faster */
}

static int bridge_address(int index, uint32_t subnet) {
    uint32_t gateway = htonl(addr_gateway(subnet));
    nl_begin(&rq, route_fd);
    struct ifaddrmsg *ifa = nl_message(&rq, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof(*ifa));
    ifa->ifa_family = AF_INET;
    ifa->ifa_prefixlen = SUBNET_PREFIX;
    ifa->ifa_index = (uint32_t) index;
    mnl_attr_put_u32(rq.message, IFA_LOCAL, gateway);
    mnl_attr_put_u32(rq.message, IFA_ADDRESS, gateway);
    int r = nl_talk(&rq, NULL, NULL);
    return r == -EEXIST ? 0 : r;
}

static int ipv6_off(int index, const char *name) {
    nl_begin(&rq, route_fd);
    no_ipv6_address(index, name);
    int r = nl_talk(&rq, NULL, NULL);
    return r == -EAFNOSUPPORT ? 0 : r; /* a kernel without IPv6 */
}

/* Each step may have been made by a helper that was killed before the next; `up`
 * comes last and says that all are done. */
static int bridge_finish(int index, uint32_t subnet) {
    /* ARP answers for the bridge's own address only. */
    static const struct conf arp[] = {{IPV4_DEVCONF_ARP_IGNORE, 1}, {IPV4_DEVCONF_ARP_ANNOUNCE, 2}};
    int r = ipv6_off(index, NULL);
    if (!r)
        r = bridge_address(index, subnet);
    if (r)
        return r;
    nl_begin(&rq, route_fd);
    inet_conf(index, NULL, arp, 2);
    struct ifinfomsg *ifi = link_message(RTM_SETLINK, NLM_F_ACK, index, NULL);
    ifi->ifi_flags = IFF_UP;
    ifi->ifi_change = IFF_UP;
    return nl_talk(&rq, NULL, NULL);
}

int link_bridge(uint32_t uid, uint32_t subnet) {
    char name[IFNAME_SIZE];
    struct found f;
    addr_bridge_name(name, uid);
    int r = look(name, 0, &f);
    if (r == -ENODEV) {
        r = bridge_create(name, uid);
        if (!r)
            r = look(name, 0, &f);
    }
    if (r)
        return r;
    if (f.group != NET_GROUP_BRIDGE)
        return -EEXIST;
    if (!(f.flags & IFF_UP))
        r = bridge_finish(f.index, subnet);
    return r ? r : f.index;
}

int link_attach(const char *tap, int bridge) {
    /* LLDP frames are given to the port itself past every hook of the bridge: the port
     * answers no ARP, and the rules drop what is IP. */
    static const struct conf mute[] = {{IPV4_DEVCONF_ARP_IGNORE, 8}};
    int r = ipv6_off(0, tap);
    if (r)
        return r;
    nl_begin(&rq, route_fd);
    inet_conf(0, tap, mute, 1);
    struct ifinfomsg *ifi = link_message(RTM_SETLINK, NLM_F_ACK, 0, tap);
    ifi->ifi_flags = IFF_UP;
    ifi->ifi_change = IFF_UP;
    mnl_attr_put_u32(rq.message, IFLA_GROUP, NET_GROUP_PORT);
    mnl_attr_put_u32(rq.message, IFLA_MASTER, (uint32_t) bridge);
    return nl_talk(&rq, NULL, NULL);
}

int link_delete(int index) {
    nl_begin(&rq, route_fd);
    (void) link_message(RTM_DELLINK, NLM_F_ACK, index, NULL);
    return nl_talk(&rq, NULL, NULL);
}

/* --- forwarding and the default route ------------------------------------------ */

int link_forward(const char *name) {
    static const struct conf on[] = {{IPV4_DEVCONF_FORWARDING, 1}};
    nl_begin(&rq, route_fd);
    inet_conf(0, name, on, 1);
    return nl_talk(&rq, NULL, NULL);
}

static void on_netconf(const struct nlmsghdr *h, void *arg) {
    const struct nlattr *attr;
    if (h->nlmsg_type != RTM_NEWNETCONF)
        return;
    NL_FOR_EACH(attr, h, sizeof(struct netconfmsg)) {
        if (mnl_attr_get_type(attr) == NETCONFA_FORWARDING && mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
            *(int *) arg = mnl_attr_get_u32(attr) != 0;
    }
}

int link_host_forwards(void) {
    int on = 0;
    nl_begin(&rq, route_fd);
    struct netconfmsg *m = nl_message(&rq, RTM_GETNETCONF, NLM_F_ACK, sizeof(*m));
    m->ncm_family = AF_INET;
    mnl_attr_put_u32(rq.message, NETCONFA_IFINDEX, (uint32_t) NETCONFA_IFINDEX_ALL);
    int r = nl_talk(&rq, on_netconf, &on);
    return r ? r : on;
}

struct best {
    uint32_t metric;
    int index;
};

/* The first nexthop of a route with several. */
static int first_hop(const struct nlattr *attr) {
    const struct rtnexthop *hop = mnl_attr_get_payload(attr);
    return mnl_attr_get_payload_len(attr) >= sizeof(*hop) ? hop->rtnh_ifindex : 0;
}

static void on_route(const struct nlmsghdr *h, void *arg) {
    struct best *best = arg;
    const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
    const struct nlattr *attr;
    uint32_t metric = 0;
    int index = 0;
    if (h->nlmsg_type != RTM_NEWROUTE || rt->rtm_family != AF_INET || rt->rtm_dst_len != 0 ||
        rt->rtm_table != RT_TABLE_MAIN || rt->rtm_type != RTN_UNICAST)
        return;
    NL_FOR_EACH(attr, h, sizeof(*rt)) {
        if (mnl_attr_get_type(attr) == RTA_OIF)
            index = (int) mnl_attr_get_u32(attr);
        else if (mnl_attr_get_type(attr) == RTA_MULTIPATH)
            index = first_hop(attr);
        else if (mnl_attr_get_type(attr) == RTA_PRIORITY)
            metric = mnl_attr_get_u32(attr);
    }
    if (index > 0 && (best->index == 0 || metric < best->metric))
        *best = (struct best){.metric = metric, .index = index};
}

int link_default(char name[IFNAME_SIZE]) {
    struct best best = {0};
    struct found f;
    nl_begin(&rq, route_fd);
    struct rtmsg *rt = nl_message(&rq, RTM_GETROUTE, NLM_F_DUMP, sizeof(*rt));
    rt->rtm_family = AF_INET;
    int r = nl_talk(&rq, on_route, &best);
    if (!r && best.index == 0)
        r = -ENETUNREACH;
    if (!r)
        r = look(NULL, best.index, &f);
    if (!r)
        memcpy(name, f.name, IFNAME_SIZE);
    return r;
}
