#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The value of banger.KEY= at the start of a word; 1 when the word is it. */
static int word_take(const char *word, size_t length, const char *key, char *out, size_t size) {
    size_t prefix = strlen(key);
    if (length <= prefix || strncmp(word, key, prefix) != 0)
        return 0;
    if (length - prefix < size) {
        memcpy(out, word + prefix, length - prefix);
        out[length - prefix] = '\0';
    }
    return 1;
}

void agent_cmdline_parse(const char *text, struct agent_cmdline *out) {
    *out = (struct agent_cmdline){0};
    for (const char *word = text; *word;) {
        size_t length = strcspn(word, " \t\n");
        (void) (word_take(word, length, "banger.addr=", out->address, sizeof out->address) ||
                word_take(word, length, "banger.gw=", out->gateway, sizeof out->gateway) ||
                word_take(word, length, "banger.addr6=", out->address6, sizeof out->address6) ||
                word_take(word, length, "banger.gw6=", out->gateway6, sizeof out->gateway6) ||
                word_take(word, length, "banger.name=", out->name, sizeof out->name) ||
                word_take(word, length, "banger.dns=", out->dns, sizeof out->dns) ||
                word_take(word, length, "banger.root=", out->root, sizeof out->root) ||
                word_take(word, length, "banger.work=", out->work, sizeof out->work) ||
                word_take(word, length, "banger.off=", out->off, sizeof out->off));
        word += length;
        word += strspn(word, " \t\n");
    }
}

static struct sockaddr ipv4(uint32_t host_order) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host_order)};
    struct sockaddr out;
    memcpy(&out, &in, sizeof out);
    return out;
}

static int link_up(int sock, const char *name) {
    struct ifreq request = {0};
    (void) snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
    if (ioctl(sock, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    request.ifr_flags = (short) (request.ifr_flags | IFF_UP);
    return ioctl(sock, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

/* A.B.C.D/LEN to host-order address and mask. */
static int address_parse(const char *text, uint32_t *address, uint32_t *mask) {
    char dotted[32];
    const char *slash = strchr(text, '/');
    struct in_addr in;
    if (!slash || (size_t) (slash - text) >= sizeof dotted)
        return -EINVAL;
    (void) snprintf(dotted, sizeof dotted, "%.*s", (int) (slash - text), text);
    char *end = NULL;
    long length = strtol(slash + 1, &end, 10);
    if (!slash[1] || *end || length < 1 || length > 32 || inet_pton(AF_INET, dotted, &in) != 1)
        return -EINVAL;
    *address = ntohl(in.s_addr);
    *mask = UINT32_MAX << (32 - length);
    return 0;
}

static int address_set(int sock, uint32_t address, uint32_t mask) {
    struct ifreq request = {.ifr_name = "eth0"};
    request.ifr_addr = ipv4(address);
    if (ioctl(sock, SIOCSIFADDR, &request) < 0)
        return -errno;
    request.ifr_netmask = ipv4(mask);
    return ioctl(sock, SIOCSIFNETMASK, &request) < 0 ? -errno : 0;
}

static int route_set(int sock, const char *gateway) {
    struct in_addr in;
    if (inet_pton(AF_INET, gateway, &in) != 1)
        return -EINVAL;
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    route.rt_dst = ipv4(0);
    route.rt_genmask = ipv4(0);
    route.rt_gateway = ipv4(ntohl(in.s_addr));
    return ioctl(sock, SIOCADDRT, &route) < 0 && errno != EEXIST ? -errno : 0;
}

/* --- IPv6 --------------------------------------------------------------------- */

/* Before eth0 is up. All is as the host says: what routers advertise, addresses that the kernel makes
 * for itself and its search for another who has its own would not pass the host's rules. */
static void ipv6_prepare(void) {
    static const char *const settings[][2] = {{"accept_ra", "0"},
                                              {"accept_redirects", "0"},
                                              {"autoconf", "0"},
                                              {"addr_gen_mode", "1"},
                                              {"accept_dad", "0"},
                                              {"dad_transmits", "0"},
                                              {"router_solicitations", "0"},
                                              {"disable_ipv6", "0"}};
    char path[96];
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        (void) snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/eth0/%s", settings[i][0]);
        int code = agent_write_file(path, settings[i][1], 0);
        if (code < 0)
            agent_log("cannot set %s: %s", path, strerror(-code));
    }
}

/* As the kernel's SIOCSIFADDR takes it: struct in6_ifreq, whose header cannot be had with the C library's. */
struct address6 {
    struct in6_addr address;
    uint32_t prefix;
    int index;
};

static int ipv6_set(int sock, const char *address, const char *gateway) {
    char text[48];
    const char *slash = strchr(address, '/');
    const int index = (int) if_nametoindex("eth0");
    struct address6 own = {.index = index};
    struct in6_rtmsg route = {.rtmsg_metric = 1024, .rtmsg_flags = RTF_UP | RTF_GATEWAY, .rtmsg_ifindex = index};
    (void) snprintf(text, sizeof text, "%.*s", slash ? (int) (slash - address) : 0, address);
    long length = slash ? strtol(slash + 1, NULL, 10) : 0;
    if (length < 1 || length > 128 || inet_pton(AF_INET6, text, &own.address) != 1 ||
        inet_pton(AF_INET6, gateway, &route.rtmsg_gateway) != 1)
        return -EINVAL;
    own.prefix = (uint32_t) length;
    if (ioctl(sock, SIOCSIFADDR, &own) < 0)
        return -errno;
    return ioctl(sock, SIOCADDRT, &route) < 0 ? -errno : 0;
}

static void ipv6_up(const struct agent_cmdline *cmdline) {
    int sock = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int code = sock < 0 ? -errno : ipv6_set(sock, cmdline->address6, cmdline->gateway6);
    if (code < 0)
        agent_log("cannot set eth0 to %s: %s", cmdline->address6, strerror(-code));
    if (sock >= 0)
        (void) close(sock);
}

/* ------------------------------------------------------------------------------ */

void agent_net_up(const struct agent_cmdline *cmdline) {
    uint32_t address = 0, mask = 0;
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0 || link_up(sock, "lo") < 0)
        agent_log("cannot bring up lo: %s", strerror(errno));
    if (sock >= 0 && cmdline->address[0]) {
        int code = address_parse(cmdline->address, &address, &mask);
        if (cmdline->address6[0])
            ipv6_prepare();
        if (code == 0)
            code = link_up(sock, "eth0");
        if (code == 0)
            code = address_set(sock, address, mask);
        if (code == 0 && cmdline->gateway[0])
            code = route_set(sock, cmdline->gateway);
        if (code < 0)
            agent_log("cannot set eth0 to %s: %s", cmdline->address, strerror(-code));
        if (cmdline->address6[0])
            ipv6_up(cmdline);
    }
    if (sock >= 0)
        (void) close(sock);
}
