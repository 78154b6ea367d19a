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

void agent_net_up(const struct agent_cmdline *cmdline) {
    uint32_t address = 0, mask = 0;
    int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sock < 0 || link_up(sock, "lo") < 0)
        agent_log("cannot bring up lo: %s", strerror(errno));
    if (sock >= 0 && cmdline->address[0]) {
        int code = address_parse(cmdline->address, &address, &mask);
        if (code == 0)
            code = link_up(sock, "eth0");
        if (code == 0)
            code = address_set(sock, address, mask);
        if (code == 0 && cmdline->gateway[0])
            code = route_set(sock, cmdline->gateway);
        if (code < 0)
            agent_log("cannot set eth0 to %s: %s", cmdline->address, strerror(-code));
    }
    if (sock >= 0)
        (void) close(sock);
}
