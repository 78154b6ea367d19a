/* A running guest's lookups: MUX_QUERY in, MUX_ANSWER out (common/mux.h). The link's reader hands queries over
 * and never waits; a few threads of this guest's own, which end when nothing is asked, decide, ask upstream, have
 * addresses opened, and answer. So a slow server delays this guest's lookups alone, and a flood is dropped here.
 *
 *   none   names of the account's own VMs (NAME.vm); anything else REFUSED
 *   nat    those, and whatever upstream says
 *   list   those, and names that the rules name: of these type A is answered with the addresses that were
 *          opened just before, none of them private or the host's own; types AAAA, SVCB, HTTPS and ANY with nothing
 *          (a list opens no IPv6); other types as upstream says. Any other name: NXDOMAIN, which every
 *          resolver takes for an answer (musl waits for another after REFUSED) */
#ifndef BANGER_EGRESS_NAMES_H
#define BANGER_EGRESS_NAMES_H

#include "../agent/link.h"
#include "dns.h"
#include "log.h"

#define NAMES_QUEUE_MAX 64  /* queries waiting, of one guest */
#define NAMES_THREADS   8   /* at work, of one guest */
#define NAMES_RATE      100 /* queries a second, of one guest, ... */
#define NAMES_BURST     300 /* ...after a pause */

/* What names have opened is closed after a while (gate.h), though connections to it may go on. So listed names that the
 * guest has asked for are looked up again every NAMES_RENEW_S seconds, for NAMES_RENEW_FOR seconds after it has
 * asked last: what they still stand for stays open. */
#define NAMES_RENEW_S (GATE_LEAST / 3)
#ifndef NAMES_RENEW_FOR
#define NAMES_RENEW_FOR 86400
#endif
#define NAMES_RENEW_MS 120000 /* one round's lookups, of one guest */

struct names;
/* The account's own names: 0 and the address (host byte order), or -ENOENT. */
typedef int names_local(const char *name, uint32_t *address);

/* Takes `log`; holds `gate`. NULL without memory (then `log` is closed). */
struct names *names_new(struct gate *gate, struct egress_log *log, names_local *local);
/* From now on this link's queries are answered, and no other's; NULL: none. */
void names_link(struct names *names, struct link *link);
/* Answers nothing any more; what is under way ends by itself. NULL will do. */
void names_end(struct names *names);

/* Looks up what is to stay open; waits for it. */
void names_renew(struct names *names);

/* Lookups since names_new: those that got an answer, those that got none, and what was dropped of a flood. */
enum names_decision { NAMES_ALLOWED, NAMES_REFUSED, NAMES_DROPPED, NAMES_DECISIONS };
void names_counts(struct names *names, uint64_t counts[NAMES_DECISIONS]);

struct names *names_hold(struct names *names);
void names_drop(struct names *names);
struct egress_log *names_log(struct names *names);

#endif
