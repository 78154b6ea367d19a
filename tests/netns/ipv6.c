/* Guests that asked for IPv6: what passes their port, whom they reach, and the way out. */
#include "net_world.h"

#include "../../common/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TCP = 6, UDP = 17, ICMP = 58 };
enum { ERROR = 1, ECHO = 128, REPLY = 129, SOLICIT = 135, ADVERTISE = 136 };

#define WAIT_MS 250
#define BEYOND  "2a02:2e8:7::7" /* behind the uplink's router */
#define ON_LINK "2a02:2e8:1::1" /* the router's own, a neighbour of the host */
#define HOSTS   "2a02:2e8:1::2" /* the host's at the uplink */
#define PRIVATE "fd11:2233::7"  /* behind the router */
#define EXAMPLE "2001:db8::7"   /* the same, of documentation */
#define TUNNEL  "2002:a00:1::7" /* the same, 6to4 to 10.0.0.1 */
#define BRIDGE  "bgr0000ee48"

typedef uint8_t ip6[16];

static const uint8_t *text_ip6(const char *text) {
    static ip6 turns[4];
    static int turn;
    uint8_t *out = turns[turn++ % 4];
    if (inet_pton(AF_INET6, text, out) != 1)
        exit(2);
    return out;
}

static const uint8_t *own_ip6(const struct guest *g) {
    static ip6 turns[8];
    static int turn;
    uint8_t *out = turns[turn++ % 8];
    addr_ipv6(out, g->address);
    return out;
}

static const uint8_t *gateway_ip6(const struct guest *g) {
    static ip6 out;
    addr_ipv6(out, g->gateway);
    return out;
}

/* --- frames ------------------------------------------------------------------------- */

static uint32_t add_up(const uint8_t *p, size_t size) {
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += (uint32_t) p[i] << (i % 2 ? 0 : 8);
    return sum;
}

/* RFC 8200, 8.1; `at` is where the checksum lies in `p`. */
static void put_checksum(uint8_t *p, size_t size, size_t at, const uint8_t *from, const uint8_t *to, uint8_t protocol) {
    p[at] = p[at + 1] = 0;
    uint32_t sum = add_up(p, size) + add_up(from, 16) + add_up(to, 16) + (uint32_t) size + protocol;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    p[at] = (uint8_t) (~sum >> 8);
    p[at + 1] = (uint8_t) ~sum;
}

static struct frame make(const uint8_t *to_mac, const uint8_t *mac, const uint8_t *from, const uint8_t *to,
                         uint8_t next, const void *payload, size_t size) {
    uint8_t p[40 + 128] = {0x60, 0, 0, 0, 0, (uint8_t) size, next, 255};
    memcpy(p + 8, from, 16);
    memcpy(p + 24, to, 16);
    memcpy(p + 40, payload, size);
    if (next == ICMP)
        put_checksum(p + 40, size, 2, from, to, ICMP);
    if (next == UDP)
        put_checksum(p + 40, size, 6, from, to, UDP);
    return frame_ether(to_mac, mac, 0x86dd, p, 40 + size);
}

static struct frame icmp(const struct guest *g, const uint8_t *to_mac, const uint8_t *from, const uint8_t *to,
                         uint8_t type) {
    static uint8_t number;
    const uint8_t p[40] = {type, 0, 0, 0, 0xba, 0, 0, ++number};
    return make(to_mac, g->mac, from, to, ICMP, p, sizeof(p));
}

/* A neighbour solicitation (source's option) or advertisement (target's), with `mac` in the option; NULL: none. */
static struct frame neighbour(const struct guest *g, const uint8_t *to_mac, const uint8_t *from, const uint8_t *to,
                              uint8_t type, const uint8_t *target, const uint8_t *mac) {
    uint8_t p[32] = {type, 0, 0, 0, type == ADVERTISE ? 0x60 : 0};
    memcpy(p + 8, target, 16);
    p[24] = type == ADVERTISE ? 2 : 1;
    p[25] = 1;
    if (mac)
        memcpy(p + 26, mac, 6);
    return make(to_mac, g->mac, from, to, ICMP, p, mac ? 32 : 24);
}

static struct frame udp(const struct guest *g, const uint8_t *to, uint16_t to_port, uint16_t from_port) {
    const uint8_t p[40] = {
        (uint8_t) (from_port >> 8), (uint8_t) from_port, (uint8_t) (to_port >> 8), (uint8_t) to_port, 0, sizeof(p)};
    return make(g->gateway_mac, g->mac, own_ip6(g), to, UDP, p, sizeof(p));
}

/* --- a guest's kernel ------------------------------------------------------------------ */

static int is_type(const uint8_t *f, size_t size, uint8_t type) {
    return size >= 62 && f[12] == 0x86 && f[13] == 0xdd && f[20] == ICMP && f[54] == type;
}

/* The next frame before `until`; solicitations of the guest's address are answered. */
static size_t next_frame(const struct guest *g, uint8_t *f, size_t size, long long until) {
    size_t n = 0;
    while (n == 0 && io_now_ms() < until)
        n = guest_next(g, f, size);
    if (n >= 78 && is_type(f, n, SOLICIT) && memcmp(f + 62, own_ip6(g), 16) == 0) {
        struct frame answer = neighbour(g, f + 6, own_ip6(g), f + 22, ADVERTISE, own_ip6(g), g->mac);
        guest_send(g, &answer);
    }
    return n;
}

/* Whether the gateway's MAC is told by `type` about `about`, after `f` was sent. */
static int answered(const struct guest *g, const struct frame *f, const uint8_t *about) {
    uint8_t in[2048];
    size_t n;
    long long until = io_now_ms() + WAIT_MS;
    guest_send(g, f);
    while ((n = next_frame(g, in, sizeof(in), until)) > 0) {
        if (n >= 86 && is_type(in, n, ADVERTISE) && memcmp(in + 62, about, 16) == 0)
            return memcmp(in + 80, g->gateway_mac, 6) == 0;
    }
    return 0;
}

static int resolves(const struct guest *g, const uint8_t *target) {
    ip6 group = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    uint8_t group_mac[6] = {0x33, 0x33, 0xff};
    memcpy(group + 13, target + 13, 3);
    memcpy(group_mac + 3, target + 13, 3);
    struct frame ask = neighbour(g, group_mac, own_ip6(g), group, SOLICIT, target, g->mac);
    return answered(g, &ask, target);
}

static int pings6(const struct guest *g, const uint8_t *to) {
    uint8_t in[2048];
    size_t n;
    struct frame f = icmp(g, g->gateway_mac, own_ip6(g), to, ECHO);
    long long until = io_now_ms() + 2 * WAIT_MS;
    guest_send(g, &f);
    while ((n = next_frame(g, in, sizeof(in), until)) > 0) {
        if (is_type(in, n, REPLY) && memcmp(in + 22, to, 16) == 0)
            return 1;
    }
    return 0;
}

static int hears6(const struct guest *g, const char *text) {
    uint8_t in[2048];
    size_t n;
    long long until = io_now_ms() + 2 * WAIT_MS;
    while ((n = next_frame(g, in, sizeof(in), until)) > 0) {
        if (n >= 62 + strlen(text) && in[12] == 0x86 && in[20] == UDP && memcmp(in + 62, text, strlen(text)) == 0)
            return 1;
    }
    return 0;
}

/* `text` by UDP to a guest, as `uid`, from the host. */
static void say6(uid_t uid, const uint8_t *to, const char *text) {
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_in6 where = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
        const struct sockaddr_in6 from = {.sin6_family = AF_INET6, .sin6_port = htons(SAY_PORT)};
        memcpy(&where.sin6_addr, to, 16);
        if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
            _exit(2);
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (bind(fd, (const struct sockaddr *) &from, sizeof(from)))
            _exit(2);
        (void) sendto(fd, text, strlen(text), 0, (struct sockaddr *) &where, sizeof(where));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

static struct guest up6(struct lab_helper *h, uid_t uid, uint32_t slot) {
    return lab_up_kind(h, uid, slot, WIRE_TAP_IPV6);
}

static int counted(const char *tap) {
    return lab_try("nft list set bridge banger guests6 2>/dev/null | grep -q %s", tap);
}

/* --- what guests may say ---------------------------------------------------------------- */

static void passes(const struct guest *from, const struct guest *to, struct frame f, const char *what) {
    guest_send(from, &f);
    check(guest_gets(to, &f), "ipv6 port: control: %s passes", what);
}

static void dropped(const struct guest *from, const struct guest *to, struct frame f, const char *what) {
    guest_send(from, &f);
    check(!guest_gets(to, &f), "ipv6 port: %s dropped", what);
}

static void test_protocols(const struct guest *a, const struct guest *b) {
    static const struct {
        uint8_t next;
        int type; /* the payload's first byte */
        const char *what;
        int good;
    } kinds[] = {{TCP, 0, "TCP", 1},
                 {UDP, 0, "UDP", 1},
                 {ICMP, ERROR, "an ICMP error", 1},
                 {ICMP, 4, "the last ICMP error", 1},
                 {ICMP, ECHO, "an echo request", 1},
                 {ICMP, REPLY, "an echo reply", 1},
                 {ICMP, 0, "ICMP type 0", 0},
                 {ICMP, 5, "an unknown ICMP error", 0},
                 {ICMP, 127, "ICMP type 127", 0},
                 {ICMP, 130, "a multicast listener query", 0},
                 {ICMP, 133, "a router solicitation", 0},
                 {ICMP, 134, "a router advertisement", 0},
                 {ICMP, 137, "a redirect", 0},
                 {ICMP, 143, "a multicast listener report", 0},
                 {ICMP, 255, "ICMP type 255", 0},
                 {0, ICMP, "hop-by-hop options", 0},
                 {43, UDP, "a routing header", 0},
                 {44, UDP, "a fragment", 0},
                 {44, ICMP, "a fragment of ICMP", 0},
                 {60, ICMP, "destination options", 0},
                 {51, UDP, "an authentication header", 0},
                 {4, 0x45, "IPv4 in IPv6", 0},
                 {41, 0x60, "IPv6 in IPv6", 0},
                 {59, 0, "no next header", 0}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        uint8_t p[40] = {(uint8_t) kinds[i].type};
        p[8] = (uint8_t) (i + 1);
        (kinds[i].good ? passes : dropped)(a, b, make(b->mac, a->mac, own_ip6(a), own_ip6(b), kinds[i].next, p, 40),
                                           kinds[i].what);
    }
    const uint8_t cut[] = {ECHO};
    dropped(a, b, make(b->mac, a->mac, own_ip6(a), own_ip6(b), ICMP, cut, 0), "ICMP without a byte of it");
}

static void test_senders(const struct guest *a, const struct guest *b) {
    static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
    ip6 address;
    passes(a, b, icmp(a, b->mac, own_ip6(a), own_ip6(b), ECHO), "the own address");
    passes(a, b, icmp(a, NULL, own_ip6(a), text_ip6("ff02::1"), ECHO), "to all nodes of the account");
    const char *const foreign[] = {"::", "::1", "fe80::1", "ff02::1", "fd62:616e:6766::ac10:2", "2a02:2e8::1"};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        dropped(a, b, icmp(a, b->mac, text_ip6(foreign[i]), own_ip6(b), ECHO), foreign[i]);
    dropped(a, b, icmp(a, b->mac, own_ip6(b), own_ip6(b), ECHO), "the neighbour's address");
    dropped(a, b, icmp(a, b->mac, gateway_ip6(a), own_ip6(b), ECHO), "the gateway's address");
    for (int at = 0; at < ADDR6_BYTES; at++) {
        memcpy(address, own_ip6(a), 16);
        address[at] ^= 1;
        dropped(a, b, icmp(a, b->mac, address, own_ip6(b), ECHO), "an address of another net");
    }
    struct frame f = icmp(a, b->mac, own_ip6(a), own_ip6(b), ECHO);
    memcpy(f.bytes + 6, other, 6);
    dropped(a, b, f, "a foreign MAC");
    memcpy(f.bytes + 6, b->mac, 6);
    dropped(a, b, f, "the neighbour's MAC");
    f = icmp(a, b->mac, own_ip6(a), own_ip6(b), ECHO);
    dropped(a, b, frame_vlan(&f), "a VLAN tag");
}

static void test_neighbours(const struct guest *a, const struct guest *b) {
    static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
    const uint8_t *all = text_ip6("ff02::1");
    passes(a, b, neighbour(a, NULL, own_ip6(a), own_ip6(b), SOLICIT, own_ip6(b), a->mac), "a solicitation");
    passes(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, own_ip6(a), a->mac), "an advertisement");
    passes(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, own_ip6(a), NULL), "one without a MAC");
    passes(a, b, neighbour(a, NULL, own_ip6(a), all, ADVERTISE, own_ip6(a), a->mac), "one that nobody asked for");
    dropped(a, b, neighbour(a, NULL, own_ip6(a), own_ip6(b), SOLICIT, own_ip6(b), other),
            "a solicitation's foreign MAC");
    dropped(a, b, neighbour(a, NULL, own_ip6(a), own_ip6(b), SOLICIT, own_ip6(b), b->mac), "a neighbour's MAC in it");
    dropped(a, b, neighbour(a, NULL, own_ip6(a), own_ip6(b), SOLICIT, own_ip6(b), NULL), "one without any");
    dropped(a, b, neighbour(a, NULL, gateway_ip6(a), own_ip6(b), SOLICIT, own_ip6(b), a->mac), "one as the gateway");
    dropped(a, b, neighbour(a, NULL, text_ip6("::"), all, SOLICIT, own_ip6(b), a->mac), "one for a new address");
    dropped(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, gateway_ip6(a), a->mac),
            "an advertisement of the gateway's address");
    dropped(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, gateway_ip6(a), NULL), "without a MAC too");
    dropped(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, own_ip6(b), a->mac), "of the neighbour's");
    dropped(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, text_ip6("fe80::1"), a->mac), "of fe80::1");
    dropped(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, own_ip6(a), other), "with a foreign MAC");
    dropped(a, b, neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, own_ip6(a), b->mac), "with the neighbour's");
    dropped(a, b, neighbour(a, b->mac, gateway_ip6(a), own_ip6(b), ADVERTISE, own_ip6(a), a->mac), "as the gateway");
    struct frame wrong = neighbour(a, b->mac, own_ip6(a), own_ip6(b), ADVERTISE, own_ip6(a), a->mac);
    wrong.bytes[14 + 64] = 1;
    dropped(a, b, wrong, "an advertisement with a solicitation's option");
    uint8_t two[40] = {SOLICIT};
    memcpy(two + 8, own_ip6(b), 16);
    two[24] = two[25] = two[33] = 1, two[32] = 1;
    memcpy(two + 26, a->mac, 6);
    memcpy(two + 34, other, 6);
    dropped(a, b, make(b->mac, a->mac, own_ip6(a), own_ip6(b), ICMP, two, sizeof(two)), "a second option");
}

/* --- whom they reach ------------------------------------------------------------------------ */

static void test_host6(const struct guest *a, const struct guest *b, const struct guest *plain) {
    check(lab_try("test \"$(ip -6 -o addr show dev " BRIDGE " | awk '{print $4}' | sort | tr '\\n' ' ')\" = "
                  "'fd62:616e:6765::ac10:1/118 fe80::1/118 '"),
          "ipv6 host: the bridge has the gateway's address, and one of the link");
    check(resolves(a, gateway_ip6(a)), "ipv6 host: the gateway is there");
    check(!resolves(a, text_ip6(HOSTS)), "ipv6 host: another address of the host's is not");
    check(!pings6(a, gateway_ip6(a)) && !pings6(a, text_ip6("fe80::1")) && !pings6(a, text_ip6(HOSTS)),
          "ipv6 host: no ping of any");
    check(!resolves(plain, gateway_ip6(plain)) && !counted("bt0000ee48002"),
          "ipv6 host: a guest that did not ask has none");
    say6(ALICE, own_ip6(a), "owner");
    check(hears6(a, "owner"), "ipv6 host: the owner's process reaches the guest");
    struct frame reply = udp(a, gateway_ip6(a), SAY_PORT, 9);
    guest_send(a, &reply);
    say6(ALICE, own_ip6(a), "again");
    check(hears6(a, "again"), "ipv6 host: and goes on after an answer");
    say6(BOB, own_ip6(a), "takeover");
    check(!hears6(a, "takeover"), "ipv6 host: another account does not take over the connection by its port");
    say6(BOB, own_ip6(b), "stranger");
    check(!hears6(b, "stranger"), "ipv6 host: nor reaches the account's other guest");
}

static void test_accounts6(const struct guest *a, const struct guest *other) {
    check(resolves(other, gateway_ip6(other)), "ipv6 accounts: control: the other has a gateway");
    struct frame direct = icmp(a, other->mac, own_ip6(a), own_ip6(other), ECHO);
    guest_send(a, &direct);
    check(!guest_gets(other, &direct), "ipv6 accounts: no frame passes between bridges");
    check(!pings6(a, own_ip6(other)) && !pings6(a, gateway_ip6(other)), "ipv6 accounts: nor a routed packet");
}

/* The uplink has IPv6 too: a router with a link-local address, as routers have, and what lies behind it. */
static void make_world6(void) {
    lab_sh("ip -6 addr add " HOSTS
           "/64 dev up0 nodad && nsenter -t %d -n sh -c 'ip -6 addr add fe80::1/64 dev far nodad && "
           "ip -6 addr add " ON_LINK "/64 dev far nodad && for i in " BEYOND " " PRIVATE " " EXAMPLE " " TUNNEL
           "; do ip -6 addr add $i/128 dev lo nodad; done && ip -6 route add fd62::/16 via " HOSTS "' && "
           "ip -6 route add default via fe80::1 dev up0 && ping -6 -c1 -W5 " BEYOND " >/dev/null && "
           "ping -6 -c1 -W5 " PRIVATE " >/dev/null && ping -6 -c1 -W5 " EXAMPLE " >/dev/null",
           world);
}

static void forwards(int on) {
    lab_sh("echo %d >/proc/sys/net/ipv6/conf/all/forwarding", on);
}

static void test_egress6(struct lab_helper *h, const struct guest *a, const struct guest *b,
                         const struct guest *other) {
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0 && !pings6(a, text_ip6(BEYOND)),
          "ipv6 egress: no way out of a host that forwards none");
    check(lab_try(
              "test $(cat /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv6/conf/up0/forwarding | tr -d '\\n') "
              "= 00"),
          "ipv6 egress: nat switches nothing on");
    forwards(1);
    check(pings6(a, text_ip6(BEYOND)), "ipv6 egress: nat, on a host that forwards");
    check(!pings6(b, text_ip6(BEYOND)), "ipv6 egress: but not for the account's other guest");
    check(!pings6(a, text_ip6(ON_LINK)), "ipv6 egress: no neighbour of the host's");
    check(!pings6(a, text_ip6(PRIVATE)) && !pings6(a, text_ip6(EXAMPLE)) && !pings6(a, text_ip6(TUNNEL)),
          "ipv6 egress: no private address, none of documentation, no 6to4");
    check(!pings6(a, text_ip6(HOSTS)) && !pings6(a, gateway_ip6(a)), "ipv6 egress: the host still is not reached");
    test_accounts6(a, other);
    check(!lab_try("nsenter -t %d -n ping -6 -c1 -W1 fd62:616e:6765::ac10:2 >/dev/null 2>&1", world),
          "ipv6 egress: what nobody asked for does not come in");
    check(ask_list(h, 0, WIRE_EGRESS_LIST, WORLD, 32, 0) == 0 && !pings6(a, text_ip6(BEYOND)),
          "ipv6 egress: a list opens none");
    lab_sh("ip -6 neigh flush dev " BRIDGE);
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0 && pings6(a, text_ip6(BEYOND)),
          "ipv6 egress: nat again, to a guest whose MAC the host has to ask for");
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NONE) == 0 && !pings6(a, text_ip6(BEYOND)),
          "ipv6 egress: none ends it at once");
    forwards(0);
}

/* --- what stays, and what does not ---------------------------------------------------------- */

static void test_flushed(struct lab_helper *h, const struct guest *a, const struct guest *plain) {
    lab_sh("nft flush ruleset");
    for (int i = 0; i < 50 && !counted("bt0000ee48000"); i++)
        (void) poll(NULL, 0, 20);
    check(resolves(a, gateway_ip6(a)), "ipv6 mend: it is back after the rules were removed, no request");
    check(!resolves(plain, gateway_ip6(plain)) && !counted("bt0000ee48002"), "ipv6 mend: for whom it was");
    lab_end(h);
    *h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(slots(h) == 7, "ipv6 mend: control: a fresh helper sees the guests");
    lab_sh("nft flush ruleset");
    check(slots(h) == 7 && resolves(a, gateway_ip6(a)) && !counted("bt0000ee48002"),
          "ipv6 mend: also by a helper that did not make them");
}

static void test_again(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct guest g = up6(&h, ALICE, 0);
    check(g.fd >= 0 && counted("bt0000ee48000"), "ipv6 again: control: up with it");
    kill(h.pid, SIGKILL);
    lab_end(&h);
    close(g.fd);
    h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    g = lab_up(&h, ALICE, 0);
    check(g.fd >= 0 && !counted("bt0000ee48000") && !resolves(&g, gateway_ip6(&g)),
          "ipv6 again: the slot's next guest does not have it");
    close(g.fd);
    check(ask(&h, WIRE_NET_DOWN, 0, 0) == 0, "ipv6 again: down");
    g = lab_up_kind(&h, ALICE, 0, WIRE_TAP_NAMED | WIRE_TAP_IPV6);
    check(g.fd >= 0 && guest_resolve(&g) && resolves(&g, gateway_ip6(&g)), "ipv6 again: with a tap by name");
    check(ask(&h, WIRE_NET_DOWN, 0, 0) == 0 && !counted("bt0"), "ipv6 again: down takes it away");
    close(g.fd);
    lab_end(&h);
    check(!lab_try("ip -o link | grep -q -e bgr -e bt0"), "ipv6 again: no interface is left");
}

static void test_no_ipv6(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    lab_sh("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    check(ask(&h, WIRE_NET_UP, 0, WIRE_TAP_IPV6) == FAILED(EACCES), "ipv6 off: refused where the host has it off");
    check(slots(&h) == 0 && !counted("bt0"), "ipv6 off: and nothing is left");
    struct guest g = lab_up(&h, ALICE, 0);
    check(g.fd >= 0 && guest_resolve(&g), "ipv6 off: without it a guest comes up");
    lab_sh("echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    close(g.fd);
    (void) ask(&h, WIRE_NET_DOWN, 0, 0);
    lab_end(&h);
}

void test_ipv6(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL), bobs = lab_start(LAB_HELPER, BOB, 1, NULL);
    struct guest a = up6(&h, ALICE, 0), b = up6(&h, ALICE, 1), plain = lab_up(&h, ALICE, 2), other = up6(&bobs, BOB, 0);
    make_world6();
    if (a.fd < 0 || b.fd < 0 || plain.fd < 0 || other.fd < 0 || !guest_resolve(&a) || !guest_resolve(&b)) {
        check(0, "ipv6: four guests are up");
        return;
    }
    test_protocols(&a, &b);
    test_senders(&a, &b);
    test_neighbours(&a, &b);
    test_host6(&a, &b, &plain);
    test_accounts6(&a, &other);
    test_egress6(&h, &a, &b, &other);
    test_flushed(&h, &a, &plain);
    for (uint32_t slot = 0; slot < 3; slot++)
        (void) ask(&h, WIRE_NET_DOWN, slot, 0);
    (void) ask(&bobs, WIRE_NET_DOWN, 0, 0);
    check(!counted("bt0"), "ipv6: down takes it away");
    close(a.fd);
    close(b.fd);
    close(plain.fd);
    close(other.fd);
    lab_end(&h);
    lab_end(&bobs);
    test_again();
    test_no_ipv6();
}
