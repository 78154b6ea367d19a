#include "doctor.h"

#include "../../common/addr.h"
#include "../../common/cleanup.h"
#include "ipv6.h"
#include "output.h"
#include "privileges.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOBODYS 0xf0000001u /* 240.0.0.1: only a way to the world leads there (as for the helper) */
#define MASK    (~0u << (32 - SUBNET_PREFIX))

static void dotted(uint32_t address, char out[INET_ADDRSTRLEN]) {
    const struct in_addr in = {htonl(address)};
    (void) inet_ntop(AF_INET, &in, out, INET_ADDRSTRLEN);
}

/* --- the subnet -------------------------------------------------------------------------- */

/* What of others overlaps the account's subnet. */
struct overlap {
    char text[128]; /* "" while nothing does */
    int inside;     /* it takes addresses away, instead of having banger's hidden ones in it */
};

/* Addresses: an interface in the subnet that is not the account's bridge. */
static void find_addresses(uint32_t subnet, const char *bridge, struct overlap *o) {
    struct ifaddrs *all = NULL;
    char text[INET_ADDRSTRLEN];
    if (getifaddrs(&all))
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct sockaddr_in in;
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || strcmp(i->ifa_name, bridge) == 0)
            continue;
        memcpy(&in, i->ifa_addr, sizeof(in));
        if ((ntohl(in.sin_addr.s_addr) & MASK) != subnet)
            continue;
        dotted(ntohl(in.sin_addr.s_addr), text);
        (void) snprintf(o->text, sizeof(o->text), "%s has the address %s", i->ifa_name, text);
        o->inside = 1;
    }
    freeifaddrs(all);
}

/* Takes the next field of a line apart. */
static uint32_t hex_field(char **line) {
    const char *field = strsep(line, "\t");
    return field ? (uint32_t) strtoul(field, NULL, 16) : 0;
}

/* One route of the main table. One that is no wider than the subnet wins over the bridge's. */
static void look_at_route(char *line, uint32_t subnet, const char *bridge, struct overlap *o) {
    char text[INET_ADDRSTRLEN];
    const char *name = strsep(&line, "\t");
    const uint32_t net = ntohl(hex_field(&line));
    (void) hex_field(&line); /* gateway */
    const uint32_t flags = hex_field(&line);
    for (int i = 0; i < 3; i++) /* uses, metric, counts */
        (void) hex_field(&line);
    const uint32_t bits = ntohl(hex_field(&line)), both = bits & MASK;
    /* Half of all addresses is a VPN's default route, not a claim. */
    if (bits == 0 || bits == 0x80000000u || !(flags & RTF_UP) || strcmp(name, bridge) == 0 ||
        (net & both) != (subnet & both) || o->inside)
        return;
    dotted(net, text);
    o->inside = bits >= MASK;
    (void) snprintf(o->text, sizeof(o->text), "%s/%d is routed to %s", text, __builtin_popcount(bits), name);
}

/* /proc/net/route: addresses are in network byte order, written as a host's number. */
static void find_routes(uint32_t subnet, const char *bridge, struct overlap *o) {
    cleanup_file FILE *f = fopen("/proc/net/route", "re");
    char line[256];
    while (f && fgets(line, sizeof(line), f))
        look_at_route(line, subnet, bridge, o);
}

static void check_subnet(cJSON *checks, const char *text) {
    static const char remedy[] =
        "have the administrator give `pool` in " BANGER_POLICY " a range that nothing else has";
    char bridge[IFNAME_SIZE], address[INET_ADDRSTRLEN];
    struct overlap o = {0};
    struct in_addr in;
    (void) snprintf(address, sizeof(address), "%.*s", (int) strcspn(text, "/"), text);
    if (inet_pton(AF_INET, address, &in) != 1)
        return;
    addr_bridge_name(bridge, getuid());
    find_addresses(ntohl(in.s_addr), bridge, &o);
    find_routes(ntohl(in.s_addr), bridge, &o);
    if (o.inside)
        doctor_add(checks, "subnet", FAIL, remedy, "%s is for VMs, but %s: packets to VMs go there", text, o.text);
    else if (*o.text)
        doctor_add(checks, "subnet", WARN, remedy, "%s is for VMs, and %s: what has these addresses there is hidden",
                   text, o.text);
    else
        doctor_add(checks, "subnet", PASS, "", "nothing else has %s", text);
}

/* --- the way out -------------------------------------------------------------------------- */

/* The interface that packets to the world leave by, and its kind (ARPHRD_*); "" without one. As the
 * kernel routes: rules, several tables and halves of 0.0.0.0/0 are in it. */
static int find_way_out(char name[IFNAMSIZ]) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(NOBODYS)};
    struct sockaddr_in from = {0};
    socklen_t size = sizeof(from);
    struct ifaddrs *all = NULL;
    struct ifreq request = {0};
    cleanup_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    name[0] = '\0';
    /* Connecting a datagram socket sends nothing. */
    if (sock < 0 || connect(sock, (struct sockaddr *) &to, sizeof(to)) ||
        getsockname(sock, (struct sockaddr *) &from, &size) || getifaddrs(&all))
        return 0;
    for (const struct ifaddrs *i = all; i && !*name; i = i->ifa_next) {
        struct sockaddr_in in;
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
            continue;
        memcpy(&in, i->ifa_addr, sizeof(in));
        if (in.sin_addr.s_addr == from.sin_addr.s_addr)
            (void) snprintf(name, IFNAMSIZ, "%s", i->ifa_name);
    }
    freeifaddrs(all);
    memcpy(request.ifr_name, name, IFNAMSIZ);
    return *name && ioctl(sock, SIOCGIFHWADDR, &request) == 0 ? request.ifr_hwaddr.sa_family : 0;
}

static int names_uplink(const cJSON *policy, const char *name) {
    const cJSON *uplink = NULL;
    cJSON_ArrayForEach(uplink, cJSON_GetObjectItemCaseSensitive(policy, "uplinks")) {
        if (strcmp(cJSON_GetStringValue(uplink), name) == 0)
            return 1;
    }
    return 0;
}

/* tun, wireguard and ppp have no link layer. */
static void check_way_out(cJSON *checks, const cJSON *policy) {
    char name[IFNAMSIZ], remedy[256];
    const int kind = find_way_out(name);
    const int tunnel = kind == ARPHRD_NONE || kind == ARPHRD_PPP || kind == ARPHRD_TUNNEL;
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(policy, "nat"))) {
        doctor_add(checks, "way out", PASS, "", "the policy has no guest reach the network");
    } else if (!*name) {
        doctor_add(checks, "way out", WARN, "connect this host, if guests are to reach a network",
                   "there is no IPv4 default route: guests with --nat reach nothing");
    } else if (!names_uplink(policy, name) && !names_uplink(policy, "default")) {
        (void) snprintf(remedy, sizeof(remedy), "have the administrator add `uplink %s` to " BANGER_POLICY, name);
        doctor_add(checks, "way out", WARN, remedy,
                   "packets leave by %s, which no uplink line of the policy names: guests with --nat reach nothing",
                   name);
    } else if (tunnel) {
        doctor_add(checks, "way out", WARN,
                   "if guests with --nat reach nothing, allow the VPN to forward (a kill switch may not), or have the "
                   "administrator name the interface to leave by: `uplink NAME` in " BANGER_POLICY,
                   "the default route is a tunnel's (%s): guests with --nat leave by it too", name);
    } else {
        doctor_add(checks, "way out", PASS, "", "guests with --nat leave by %s", name);
    }
}

/* What guests that ask for it have of it: nothing is wrong where that is little. */
static void check_ipv6(cJSON *checks, const cJSON *policy) {
    const enum ipv6_reach reach = ipv6_reach();
    const int nat = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(policy, "nat"));
    if (reach == IPV6_OFF)
        doctor_add(checks, "ipv6", PASS, "", "this host has IPv6 switched off: no guest can have it (--ipv6)");
    else if (reach == IPV6_HERE || !nat)
        doctor_add(checks, "ipv6", PASS, "", "by IPv6 guests with --ipv6 reach each other, and this account them: %s",
                   nat ? "this host forwards none (net.ipv6.conf.all.forwarding is 0)"
                       : "the policy has no guest reach the network");
    else
        doctor_add(checks, "ipv6", PASS, "", "guests with --ipv6 and --nat reach by IPv6 what is behind a router");
}

/* --- Docker -------------------------------------------------------------------------------- */

static int docker_runs(void) {
    DIR *proc = opendir("/proc");
    const struct dirent *entry = NULL;
    int found = 0;
    while (proc && !found && (entry = readdir(proc))) {
        char path[300], name[32] = "";
        (void) snprintf(path, sizeof(path), "/proc/%.255s/comm", entry->d_name);
        cleanup_file FILE *f = *entry->d_name >= '1' && *entry->d_name <= '9' ? fopen(path, "re") : NULL;
        found = f && fgets(name, sizeof(name), f) && strcmp(name, "dockerd\n") == 0;
    }
    if (proc)
        (void) closedir(proc);
    return found || if_nametoindex("docker0") != 0;
}

/* Rules are root's to read. Docker's own are known: it has FORWARD drop what it does not know, where it was
 * what switched forwarding on, and leaves the chain DOCKER-USER to the administrator. */
static void check_docker(cJSON *checks) {
    char bridge[IFNAME_SIZE], remedy[400];
    addr_bridge_name(bridge, getuid());
    (void) snprintf(remedy, sizeof(remedy),
                    "if guests with --nat reach nothing, have the administrator run `iptables -I DOCKER-USER -i %s -j "
                    "ACCEPT; iptables -I DOCKER-USER -o %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`",
                    bridge, bridge);
    if (docker_runs())
        doctor_add(checks, "docker", WARN, remedy,
                   "Docker is here: its FORWARD policy may drop what guests with --nat send. Whether it does only root "
                   "can see: `iptables -S FORWARD`");
    else
        doctor_add(checks, "docker", PASS, "", "no Docker whose FORWARD policy could cut guests off");
}

void doctor_network(cJSON *checks) {
    cJSON *policy = privileges_policy(getuid());
    const char *subnet = output_member(policy, "subnet");
    if (*subnet) {
        check_subnet(checks, subnet);
        check_way_out(checks, policy);
        check_ipv6(checks, policy);
        check_docker(checks);
    }
    cJSON_Delete(policy);
}
