/* Lines 12 and 14: what a guest says it is, by frames on its tap. */
#include "attack.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct lab_helper h, bobs;
static struct guest a, b, other;
static void begin_as(uint32_t kind) {
    h = start(ALICE);
    bobs = start(BOB);
    a = lab_up_kind(&h, ALICE, 0, kind);
    b = lab_up_kind(&h, ALICE, 1, kind);
    other = lab_up_kind(&bobs, BOB, 0, kind);
    struct frame good = frame_icmp(b.mac, a.mac, a.address, b.address);
    if (!guest_resolve(&a) || !guest_resolve(&b) || !guest_resolve(&other))
        give_up("control: a guest has no gateway");
    guest_send(&a, &good);
    if (!guest_gets(&b, &good))
        give_up("control: a good frame does not arrive");
}
static void begin(void) {
    begin_as(WIRE_TAP_FD);
}
static void end(void) {
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    (void) ask_net(&h, WIRE_NET_DOWN, 1, 0);
    (void) ask_net(&bobs, WIRE_NET_DOWN, 0, 0);
    close(a.fd), close(b.fd), close(other.fd);
    lab_end(&h);
    lab_end(&bobs);
}
static void dropped(struct frame f, const char *what) {
    guest_send(&a, &f);
    expect(!guest_gets(&b, &f), "%s arrives", what);
}
static const uint8_t foreign[6] = {2, 9, 9, 9, 9, 9};

static void macs(void) {
    begin();
    dropped(frame_icmp(b.mac, foreign, a.address, b.address), "a foreign MAC");
    dropped(frame_icmp(b.mac, b.mac, a.address, b.address), "the neighbour's MAC");
    dropped(frame_icmp(b.mac, a.gateway_mac, a.address, b.address), "the gateway's MAC");
    end();
}
static void addresses(void) {
    begin();
    dropped(frame_icmp(b.mac, a.mac, b.address, b.address), "the neighbour's address");
    dropped(frame_icmp(b.mac, a.mac, a.gateway, b.address), "the gateway's address");
    dropped(frame_icmp(b.mac, a.mac, 0, b.address), "no address");
    dropped(frame_icmp(b.mac, a.mac, other.address, b.address), "another account's address");
    dropped(frame_icmp(b.mac, a.mac, 0x7f000001, b.address), "a loopback address");
    end();
}
static void arp(void) {
    begin();
    dropped(frame_arp(a.mac, a.mac, a.gateway, a.gateway), "ARP for the gateway");
    dropped(frame_arp(a.mac, a.mac, b.address, b.address), "ARP for the neighbour");
    dropped(frame_arp(a.mac, foreign, a.address, b.address), "ARP with another MAC inside");
    dropped(frame_arp(foreign, a.mac, a.address, b.address), "ARP with another MAC outside");
    end();
}
static void protocols(void) {
    static const uint8_t ipv6[40] = {0x60, 0, 0, 0, 0, 0, 59, 64};
    static const uint8_t all[6] = {0x33, 0x33, 0, 0, 0, 1}, bpdu[6] = {1, 0x80, 0xc2, 0, 0, 0};
    begin();
    struct frame good = frame_icmp(b.mac, a.mac, a.address, b.address), tagged = frame_vlan(&good);
    dropped(tagged, "a VLAN tag");
    tagged.bytes[12] = 0x88, tagged.bytes[13] = 0xa8;
    dropped(tagged, "an 802.1ad tag");
    dropped(frame_ether(b.mac, a.mac, 0x86dd, ipv6, sizeof(ipv6)), "IPv6");
    dropped(frame_ether(all, a.mac, 0x86dd, ipv6, sizeof(ipv6)), "IPv6 to all nodes");
    dropped(frame_ether(bpdu, a.mac, 0x0026, ipv6, sizeof(ipv6)), "a spanning tree's frame");
    dropped(frame_ether(NULL, a.mac, 0x88cc, ipv6, sizeof(ipv6)), "LLDP");
    dropped(frame_ether(NULL, a.mac, 0x8863, ipv6, sizeof(ipv6)), "PPPoE");
    end();
}
/* A message of the guest's to its neighbour, about an address; 135 solicits, 136 advertises (RFC 4861). */
static struct frame six(const struct guest *as, uint8_t next, uint8_t type, const struct guest *about,
                        const uint8_t *mac) {
    uint8_t p[72] = {0x60, [5] = 32, [6] = next, [7] = 255, [40] = type, [64] = type == 135 ? 1 : 2, [65] = 1};
    addr_ipv6(p + 8, as->address);
    addr_ipv6(p + 24, b.address);
    addr_ipv6(p + 48, about->address);
    memcpy(p + 66, mac, 6);
    return frame_ether(b.mac, a.mac, 0x86dd, p, sizeof(p));
}
static void begin_six(void) {
    begin_as(WIRE_TAP_IPV6);
    struct frame asks = six(&a, 58, 135, &b, a.mac), says = six(&a, 58, 136, &a, a.mac);
    guest_send(&a, &asks);
    if (!guest_gets(&b, &asks))
        give_up("control: a neighbour cannot be asked for");
    guest_send(&a, &says);
    if (!guest_gets(&b, &says))
        give_up("control: a neighbour does not answer");
}
static void neighbours(void) {
    begin_six();
    struct guest gateway = a;
    gateway.address = a.gateway;
    struct frame link_local = six(&a, 58, 128, &a, a.mac);
    memcpy(link_local.bytes + 14 + 8, "\xfe\x80\0\0", 4);
    dropped(link_local, "a link-local sender");
    dropped(six(&b, 58, 128, &b, a.mac), "the neighbour's address");
    dropped(six(&other, 17, 0, &b, a.mac), "another account's address");
    dropped(six(&gateway, 58, 135, &b, a.mac), "a question as the gateway");
    dropped(six(&a, 58, 136, &gateway, a.mac), "an advertisement of the gateway's address");
    dropped(six(&a, 58, 136, &b, a.mac), "one of the neighbour's");
    dropped(six(&a, 58, 136, &a, foreign), "one with another MAC");
    dropped(six(&a, 58, 135, &b, b.mac), "a question with the neighbour's MAC");
    end();
}
static void routers(void) {
    static const uint8_t types[] = {130, 133, 134, 137, 143}, headers[] = {0, 43, 44, 60, 51, 4, 41, 59};
    begin_six();
    for (size_t i = 0; i < sizeof(types); i++)
        dropped(six(&a, 58, types[i], &a, a.mac), "a message that is a router's or a listener's");
    for (size_t i = 0; i < sizeof(headers); i++)
        dropped(six(&a, headers[i], 58, &a, a.mac), "an extension header, fragment or tunnel");
    end();
}
static void accounts(void) {
    begin();
    struct frame direct = frame_icmp(other.mac, a.mac, a.address, other.address);
    struct frame routed = frame_icmp(a.gateway_mac, a.mac, a.address, other.address);
    guest_send(&a, &direct);
    expect(!guest_gets(&other, &direct), "a frame passes between accounts");
    guest_send(&a, &routed);
    expect(!guest_pinged(&a, other.address), "a packet is routed between accounts");
    struct frame ping = frame_icmp(a.gateway_mac, a.mac, a.address, a.gateway);
    guest_send(&a, &ping);
    expect(!guest_pinged(&a, a.gateway), "the host answers a guest");
    end();
}
/* What was taken down says nothing more, though its tap is still open. */
static void down(void) {
    begin();
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    dropped(frame_icmp(b.mac, a.mac, a.address, b.address), "a frame of a slot that was taken down");
    end();
}

const struct attack guest_attacks[] = {
    {"12.7 a guest with another's MAC", macs},
    {"12.8 a guest with another's address", addresses},
    {"12.9 a guest with another's ARP", arp},
    {"12.10 a guest that speaks IPv6, VLAN tags, spanning tree, LLDP, PPPoE", protocols},
    {"12.11 a guest reaches another account's guest, or the host", accounts},
    {"12.12 a guest with IPv6 and another's address, MAC or neighbour messages", neighbours},
    {"12.13 a guest with IPv6 that is a router, redirects, fragments, tunnels", routers},
    {"14.2 a guest whose slot was taken down goes on", down},
    {NULL, NULL}};
