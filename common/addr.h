/* A VM's place in the kernel, derived from (uid, slot) alone.
 *
 * Bridge, tap and MAC follow from the account's uid and the VM's slot; the
 * addresses follow from the subnet (a /22) that the policy gives the uid. */
#ifndef BANGER_COMMON_ADDR_H
#define BANGER_COMMON_ADDR_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SLOT_MAX      1000 /* slots are 0..SLOT_MAX-1; a /22 has 1,022 hosts, one is the gateway */
#define SUBNET_PREFIX 22
#define IFNAME_SIZE   16 /* IFNAMSIZ */

/* "bgr%08x" (11 characters). */
static inline void addr_bridge_name(char out[IFNAME_SIZE], uint32_t uid) {
    (void) snprintf(out, IFNAME_SIZE, "bgr%08x", uid);
}
/* "bt%08x%03x" (13 characters). */
static inline void addr_tap_name(char out[IFNAME_SIZE], uint32_t uid, uint32_t slot) {
    (void) snprintf(out, IFNAME_SIZE, "bt%08x%03x", uid, slot & 0xfffu);
}
/* Locally administered unicast (IEEE 802 bit 1 of the first octet), unique on the
 * account's own bridge: 02:62:<uid, low 16 bits>:<slot>. */
static inline void addr_mac(uint8_t out[6], uint32_t uid, uint32_t slot) {
    out[0] = 0x02;
    out[1] = 0x62;
    out[2] = (uint8_t) (uid >> 8);
    out[3] = (uint8_t) uid;
    out[4] = (uint8_t) (slot >> 8);
    out[5] = (uint8_t) slot;
}
/* IPv4 addresses in host byte order. */
static inline uint32_t addr_gateway(uint32_t subnet) {
    return subnet + 1;
}
static inline uint32_t addr_guest(uint32_t subnet, uint32_t slot) {
    return subnet + 2 + slot;
}
/* Who has the IPv4 address (host byte order) has this IPv6 address too, where it has IPv6: a
 * unique local /96 of banger's (RFC 4193; they never leave the host), then the IPv4 address. So
 * an account's /22 is a /118. */
#define ADDR6_BYTES    12
#define SUBNET6_PREFIX (8 * ADDR6_BYTES + SUBNET_PREFIX)
static const uint8_t addr6_net[ADDR6_BYTES] = {0xfd, 0x62, 0x61, 0x6e, 0x67, 0x65}; /* fd62:616e:6765::/96 */
static inline void addr_ipv6(uint8_t out[16], uint32_t ipv4) {
    memcpy(out, addr6_net, ADDR6_BYTES);
    for (int i = 0; i < 4; i++)
        out[ADDR6_BYTES + i] = (uint8_t) (ipv4 >> (24 - 8 * i));
}

#endif
