/* How far IPv6 goes on this host. Reads only what every account may. */
#ifndef BANGER_CLI_IPV6_H
#define BANGER_CLI_IPV6_H

enum ipv6_reach {
    IPV6_OFF,  /* no guest can have it */
    IPV6_HERE, /* it ends at this host, which forwards none */
    IPV6_BEYOND
};
enum ipv6_reach ipv6_reach(void);

#endif
