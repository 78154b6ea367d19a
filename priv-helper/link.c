/* Links, addresses and routes by rtnetlink. Nothing is cached. */
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
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define VNET_HEADER 12 /* struct virtio_net_hdr_v1 (virtio 1.2, 5.1.6) */
#define NOBODY      UINT32_MAX
#define NOBODYS     0xf0000001u /* 240.0.0.1 (RFC 1112, 4): no interface has it, only a default route leads there */

/* About the interface of that name or, where `name` is NULL, of that index. */
static struct nlmsghdr *add_link(uint16_t type, uint16_t flags, uint8_t tolerated, const char *name, int index) {
    const struct ifinfomsg link = {.ifi_index = index};
    struct nlmsghdr *h = netlink_add(type, flags, tolerated, &link, sizeof(link));
    if (name)
        mnl_attr_put_strz(h, IFLA_IFNAME, name);
    return h;
}

/* Changes are RTM_SETLINK: RTM_NEWLINK without such an interface means the whole group
 * to kernels before 5.18. */
static struct nlmsghdr *add_up(const char *name) {
    struct nlmsghdr *h = add_link(RTM_SETLINK, 0, 0, name, 0);
    struct ifinfomsg *link = mnl_nlmsg_get_payload(h);
    link->ifi_flags = link->ifi_change = IFF_UP;
    return h;
}

static void add_conf(const char *name, uint16_t conf, uint32_t value) {
    struct nlmsghdr *h = add_link(RTM_SETLINK, 0, 0, name, 0);
    struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC), *inet = mnl_attr_nest_start(h, AF_INET);
    struct nlattr *list = mnl_attr_nest_start(h, IFLA_INET_CONF);
    mnl_attr_put_u32(h, conf, value);
    mnl_attr_nest_end(h, list);
    mnl_attr_nest_end(h, inet);
    mnl_attr_nest_end(h, spec);
}

/* Before it is up: which ARP requests it answers, and no link-local address, without
 * which the host sends its guests no IPv6 at all. A kernel may have none. */
static void add_settings(const char *name, uint32_t arp_ignore) {
    add_conf(name, IPV4_DEVCONF_ARP_IGNORE, arp_ignore);
    add_conf(name, IPV4_DEVCONF_ARP_ANNOUNCE, 2);
    struct nlmsghdr *h = add_link(RTM_SETLINK, 0, EAFNOSUPPORT, name, 0);
    struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC), *inet6 = mnl_attr_nest_start(h, AF_INET6);
    mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(h, inet6);
    mnl_attr_nest_end(h, spec);
}

/* --- looking ------------------------------------------------------------------ */

struct found {
    int index;
    unsigned flags;
    uint32_t group, owner;
    char name[IFNAME_SIZE]; /* filled up with zeros */
};

static int on_link(const struct nlmsghdr *h, void *arg) {
    const struct ifinfomsg *link = mnl_nlmsg_get_payload(h);
    const struct nlattr *group = netlink_find(h, sizeof(*link), IFLA_GROUP, sizeof(uint32_t));
    const struct nlattr *name = netlink_find(h, sizeof(*link), IFLA_IFNAME, 1);
    const struct nlattr *info = netlink_find(h, sizeof(*link), IFLA_LINKINFO, 0);
    const struct nlattr *owner =
        netlink_within(netlink_within(info, IFLA_INFO_DATA, 0), IFLA_TUN_OWNER, sizeof(uint32_t));
    struct found *f = arg;
    if (h->nlmsg_type != RTM_NEWLINK || !group || !name || mnl_attr_get_payload_len(name) > sizeof(f->name))
        return -1;
    *f = (struct found){.index = link->ifi_index,
                        .flags = link->ifi_flags,
                        .group = mnl_attr_get_u32(group),
                        .owner = owner ? mnl_attr_get_u32(owner) : NOBODY};
    memcpy(f->name, mnl_attr_get_payload(name), mnl_attr_get_payload_len(name));
    return 0;
}

static int look(const char *name, int index, struct found *f) {
    *f = (struct found){0};
    (void) add_link(RTM_GETLINK, 0, 0, name, index);
    int r = netlink_talk(NETLINK_LINKS, on_link, f);
    return !r && f->index <= 0 ? -ENODEV : r;
}

int link_find(const char *name, uint32_t group) {
    struct found f;
    int r = look(name, 0, &f);
    if (r)
        return r;
    return f.group == group ? f.index : -EEXIST;
}

static int on_tap(const struct nlmsghdr *h, void *arg) {
    struct found f;
    if (on_link(h, &f))
        return -1;
    net_add_tap(arg, f.name);
    return 0;
}

int link_list(struct net_slots *slots) {
    struct nlmsghdr *h = add_link(RTM_GETLINK, NLM_F_DUMP, 0, NULL, 0);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "tun");
    mnl_attr_nest_end(h, info);
    return netlink_talk(NETLINK_LINKS, on_tap, slots);
}

/* --- making ------------------------------------------------------------------- */

/* A persistent tap of the name may be waiting. One that has an owner is a live slot's
 * that nobody has open. Any other was a descriptor's, whose last user can make it
 * persistent without any capability: attaching to it is not making one, it is ended. */
int link_tap(const char *name, int *fd) {
    struct ifreq want = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR}, have = {0};
    struct found f;
    int header = VNET_HEADER;
    memcpy(want.ifr_name, name, strlen(name) + 1);
    *fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return -errno;
    cap_raise(CAP_NET_ADMIN);
    int r = ioctl(*fd, TUNSETIFF, &want);
    cap_lower();
    int error = r || ioctl(*fd, TUNGETIFF, &have) || ioctl(*fd, TUNSETVNETHDRSZ, &header) ? errno : 0;
    if (!error && (have.ifr_flags & IFF_PERSIST)) {
        error = EEXIST;
        if (look(name, 0, &f) == 0 && f.owner == NOBODY)
            (void) ioctl(*fd, TUNSETPERSIST, 0);
    }
    if (!error)
        return 0;
    (void) close(*fd);
    *fd = -1;
    return error == EBUSY || error == EINVAL ? -EEXIST : -error;
}

int link_keep(int fd, uint32_t uid) {
    return ioctl(fd, TUNSETOWNER, (unsigned long) uid) || ioctl(fd, TUNSETPERSIST, 1) ? -errno : 0;
}

/* With a MAC of its own; without one it takes over a port's, and that changes. No slot has 0xffff. */
static int bridge_create(const char *name, uint32_t uid) {
    uint8_t mac[6];
    addr_mac(mac, uid, 0xffff);
    /* another helper of the account may be faster */
    struct nlmsghdr *h = add_link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, EEXIST, name, 0);
    mnl_attr_put(h, IFLA_ADDRESS, sizeof(mac), mac);
    mnl_attr_put_u32(h, IFLA_GROUP, NET_GROUP_BRIDGE);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
    mnl_attr_put_u32(h, IFLA_BR_STP_STATE, 0);
    mnl_attr_put_u8(h, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    return netlink_talk(NETLINK_LINKS, NULL, NULL);
}

static void add_address(int index, struct ifaddrmsg address, const void *bytes, size_t size) {
    address.ifa_index = (uint32_t) index;
    struct nlmsghdr *h = netlink_add(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, EEXIST, &address, sizeof(address));
    mnl_attr_put(h, IFA_LOCAL, size, bytes);
}

/* Without the link-local one the kernel does not ask for the guest that it forwards something to. */
static int bridge_ipv6(int index, uint32_t gateway) {
    /* Nobody else can have them, and guests' answers to the question would be dropped. */
    static const struct ifaddrmsg address = {
        .ifa_family = AF_INET6, .ifa_prefixlen = SUBNET6_PREFIX, .ifa_flags = IFA_F_NODAD};
    uint8_t bytes[2][16] = {{0xfe, 0x80, [15] = 1}};
    addr_ipv6(bytes[1], gateway);
    for (int i = 0; i < 2; i++)
        add_address(index, address, bytes[i], sizeof(bytes[i]));
    return netlink_talk(NETLINK_LINKS, NULL, NULL);
}

/* Each step may have been made by a helper that was killed before the next; `up`
 * comes last and says that all are done. */
static int bridge_finish(const char *name, int index, uint32_t subnet) {
    const struct ifaddrmsg ipv4 = {.ifa_family = AF_INET, .ifa_prefixlen = SUBNET_PREFIX};
    const uint32_t gateway = htonl(addr_gateway(subnet));
    add_settings(name, 1); /* ARP answers for the bridge's own address only */
    add_address(index, ipv4, &gateway, sizeof(gateway));
    int r = netlink_talk(NETLINK_LINKS, NULL, NULL);
    if (r)
        return r;
    (void) add_up(name);
    return netlink_talk(NETLINK_LINKS, NULL, NULL);
}

int link_bridge(const struct net_account *account, int ipv6) {
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
    if (!r && ipv6)
        r = bridge_ipv6(f.index, addr_gateway(account->subnet));
    return r ? r : f.index;
}

/* LLDP frames are given to the port itself past every hook of the bridge: the port
 * answers no ARP, and the rules drop what is IP. */
int link_attach(const char *tap, int bridge) {
    add_settings(tap, 8);
    struct nlmsghdr *h = add_up(tap);
    mnl_attr_put_u32(h, IFLA_GROUP, NET_GROUP_PORT);
    mnl_attr_put_u32(h, IFLA_MASTER, (uint32_t) bridge);
    return netlink_talk(NETLINK_LINKS, NULL, NULL);
}

/* By then the number may be another interface's: what is not banger's stays. */
int link_delete(int index) {
    struct found f;
    int r = look(NULL, index, &f);
    if (r || (f.group != NET_GROUP_PORT && f.group != NET_GROUP_BRIDGE))
        return r ? r : -ENODEV;
    (void) add_link(RTM_DELLINK, 0, 0, NULL, index);
    return netlink_talk(NETLINK_LINKS, NULL, NULL);
}

/* --- forwarding and the default route ------------------------------------------ */

int link_forward(const char *bridge, char uplinks[][IFNAME_SIZE], size_t count) {
    for (size_t i = 0; i < count; i++)
        add_conf(uplinks[i], IPV4_DEVCONF_FORWARDING, 1);
    add_conf(bridge, IPV4_DEVCONF_FORWARDING, 1);
    return netlink_talk(NETLINK_LINKS, NULL, NULL);
}

static int on_netconf(const struct nlmsghdr *h, void *arg) {
    const struct nlattr *on = netlink_find(h, sizeof(struct netconfmsg), NETCONFA_FORWARDING, sizeof(uint32_t));
    if (on)
        *(int *) arg = mnl_attr_get_u32(on) != 0;
    return !on;
}

int link_host_forwards(void) {
    int on = 0;
    const struct netconfmsg ipv4 = {.ncm_family = AF_INET};
    mnl_attr_put_u32(netlink_add(RTM_GETNETCONF, 0, 0, &ipv4, sizeof(ipv4)), NETCONFA_IFINDEX,
                     (uint32_t) NETCONFA_IFINDEX_ALL);
    int r = netlink_talk(NETLINK_LINKS, on_netconf, &on);
    return r ? r : on;
}

static int on_route(const struct nlmsghdr *h, void *index) {
    const struct nlattr *out = netlink_find(h, sizeof(struct rtmsg), RTA_OIF, sizeof(int));
    if (out)
        *(int *) index = (int) mnl_attr_get_u32(out);
    return !out;
}

int link_default(char name[IFNAME_SIZE]) {
    const struct rtmsg ipv4 = {.rtm_family = AF_INET, .rtm_dst_len = 32};
    struct found f;
    int index = 0;
    mnl_attr_put_u32(netlink_add(RTM_GETROUTE, 0, 0, &ipv4, sizeof(ipv4)), RTA_DST, htonl(NOBODYS));
    int r = netlink_talk(NETLINK_LINKS, on_route, &index);
    if (!r)
        r = look(NULL, index, &f);
    if (!r)
        memcpy(name, f.name, IFNAME_SIZE);
    return r;
}
