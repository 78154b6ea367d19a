/* A running guest's way out: its rules, and the addresses that its lookups have opened, as the
 * helper's nftables sets hold them. One for each VM that runs, counted; thread-safe.
 *
 * An address that a name stood for stays open for longer than the name's TTL: the rules look at
 * every packet, and a connection must not be cut because its name has not been looked up again.
 * After a lookup that is GATE_LEAST seconds at the least, and at most twice GATE_MOST; names.h has it renewed. */
#ifndef BANGER_EGRESS_GATE_H
#define BANGER_EGRESS_GATE_H

#include "rules.h"

#ifndef GATE_LEAST /* the tests' bangerd has less */
#define GATE_LEAST 1800
#endif
#define GATE_MOST          43200
#define GATE_ADDRESSES_MAX 320 /* at once, beside the rules' own; the helper holds 512 ranges a slot */

struct gate;

/* NULL without memory. The rules are copied; they are those of the guest since then (seconds since 1970). */
struct gate *gate_new(uint32_t slot, const struct egress_rules *rules, int64_t since);
struct gate *gate_hold(struct gate *gate);
void gate_drop(struct gate *gate); /* NULL will do */
/* The guest is gone: nothing is opened any more, whoever still holds it. */
void gate_end(struct gate *gate);

/* Tells the helper what the guest may reach, all of it; what is open already stays open. */
int gate_apply(struct gate *gate, uint64_t op, struct err *e);
/* From now on these rules and no others; what names opened is closed. On failure all is as it was. */
int gate_change(struct gate *gate, uint64_t op, const struct egress_rules *rules, struct err *e);

enum wire_egress gate_mode(struct gate *gate);
/* What names opened before this was closed again: seconds since 1970. */
int64_t gate_since(struct gate *gate);
/* 1 when the rules name it, or hold the address (host byte order). */
int gate_names(struct gate *gate, const char *name);
int gate_holds(struct gate *gate, uint32_t address);

/* An address that a name stands for. */
struct gate_address {
    uint32_t address; /* host byte order */
    uint32_t ttl;     /* seconds; gate_open lowers it to what it keeps open for sure */
};
/* Opens them, for `name`, if the rules still name it: 0 once they are open, -ECANCELED where the rules have changed.
 * Each must be one that anybody may reach (gate_public), or within the rules' ranges. */
int gate_open(struct gate *gate, const char *name, struct gate_address *addresses, size_t count, struct err *e);
/* 1 for an address of the public Internet: not private, loopback, link-local, multicast or reserved. */
int gate_public(uint32_t address);

/* What names have opened and is still open, `seconds` from now. */
void gate_each(struct gate *gate, void (*each)(uint32_t address, uint32_t seconds, void *arg), void *arg);

#endif
