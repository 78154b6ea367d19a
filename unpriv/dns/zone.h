/* What banger-dns knows: the VMs that run, by slot, and what a name stands for. No heap. */
#ifndef BANGER_DNS_ZONE_H
#define BANGER_DNS_ZONE_H

#include "../../common/addr.h"
#include "proto.h"

#include <stdint.h>

#define ZONE_NAME "vm."
/* The server's own name: no VM can have one with an underscore. `banger doctor` asks for it. */
#define ZONE_SERVER "_dns"

struct zone {
    uint32_t subnet;          /* the account's, of SUBNET_PREFIX bits, host byte order */
    uint32_t server;          /* what ZONE_SERVER stands for */
    uint32_t serial;          /* of the SOA: moves with every change (RFC 1982) */
    char user[DNS_USER_SIZE]; /* lower case, "" for none: NAME.USER.vm is NAME.vm */
    struct zone_host {
        uint32_t address; /* 0: none */
        uint8_t ipv6;     /* 1: also the IPv6 address that goes with it */
        uint8_t length;
        char name[DNS_NAME_SIZE]; /* lower case */
    } hosts[SLOT_MAX];
};

enum zone_kind {
    ZONE_FOREIGN, /* not ours to answer */
    ZONE_APEX,
    ZONE_MISSING, /* NXDOMAIN (RFC 2308) */
    ZONE_EMPTY,   /* there are names below it only (RFC 8020) */
    ZONE_HOST,    /* an address */
    ZONE_POINTER, /* a name */
};
struct zone_answer {
    enum zone_kind kind;
    uint32_t address; /* ZONE_HOST */
    int ipv6;         /* of it: 1 where there is the IPv6 address too */
    const char *name; /* ZONE_POINTER: a VM's name */
    char origin[40];  /* the zone it is in: owner of the SOA; not of ZONE_FOREIGN */
};

/* Takes a change; 0, or -EINVAL for one that no engine sends. */
int zone_take(struct zone *zone, const struct dns_name *change);
/* What `name` stands for: absolute ("box.vm."), lower case, as RFC 1035's 5.1 writes names. */
void zone_find(const struct zone *zone, const char *name, struct zone_answer *answer);

#endif
