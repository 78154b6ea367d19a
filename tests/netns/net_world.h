/* What the network tests share: checks, requests as numbers, and the world beyond the uplink. */
#ifndef BANGER_TESTS_NET_WORLD_H
#define BANGER_TESTS_NET_WORLD_H

#include "lab.h"

#include "../../policy/policy.h"

#define ALICE       LAB_UID
#define BOB         (LAB_UID + 1)
#define RULES       "pool 172.16.0.0/12 61000\nslots 4\nnat yes\nuplink default\nvmm x /bin/true /usr\n"
#define POLICY      "allow gid 61999\n" RULES
#define WORLD       0xc6336407u /* 198.51.100.7, beyond the uplink; so are 8 to 10 */
#define WORLD_OWN   0x0a630001u /* 10.99.0.1, private, beyond the uplink */
#define HOST_UPLINK 0xcb007102u /* 203.0.113.2, the host's own */
#define SAY_PORT    4000        /* say()'s own */

extern int passed, failed, skipped;
extern pid_t world; /* a process in its namespace */

void check(int good, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* verdict * 1000 + (DENIED: reason, FAILED: errno); -1 where the worker went. */
int ask(struct lab_helper *h, uint32_t op, uint32_t slot, uint32_t kind);
int ask_list(struct lab_helper *h, uint32_t slot, uint32_t kind, uint32_t address, uint32_t prefix, uint32_t lifetime);
#define DENIED(reason) (WIRE_DENIED * 1000 + (reason))
#define FAILED(error)  (WIRE_FAILED * 1000 + (error))
/* The first 64 as NET_LIST says. */
uint64_t slots(struct lab_helper *h);
/* The uplink: a veth to a namespace that has the default gateway and addresses behind it. */
void make_world(void);
/* `text` by UDP to a guest, as `uid`, from the host or (uid 0) the world. */
void say(uid_t uid, uint32_t to, const char *text);
int pings(struct guest *g, uint32_t to);

/* The parts: net_more.c, matrix.c, ipv6.c, upgrade.c. */
void test_named(void);
void test_lists(void);
void test_mending(void);
void test_foreign_tables(void);
void test_bulk(void);
void test_matrix(void);
void test_ipv6(void);
void test_upgrade(void);

#endif
