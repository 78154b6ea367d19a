/* What a guest says of the ports it listens on: the answer of the agent's service "ports". */
#ifndef BANGER_VM_GUEST_PORTS_H
#define BANGER_VM_GUEST_PORTS_H

#include "../../common/err.h"

#include <stddef.h>
#include <stdint.h>

#define GUEST_PORTS_MAX        512
#define GUEST_PORTS_TEXT_MAX   65536
#define GUEST_PORT_PROGRAM_MAX 16

struct guest_port {
    uint16_t port;
    uint16_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
    uint16_t family;   /* AF_INET or AF_INET6 */
    uint8_t address[16];
    int local;                            /* on the guest's own loopback only */
    char program[GUEST_PORT_PROGRAM_MAX]; /* printable ASCII; "-" where unknown */
};

/* Reads lines "tcp|udp ADDRESS PORT PROGRAM" into `out` (GUEST_PORTS_MAX), by port, none twice. Their
 * count, or -EPROTO with a sentence for anything else. */
int guest_ports_parse(const char *text, struct guest_port *out, struct err *e);

#endif
