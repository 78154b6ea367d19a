/* What a guest may reach, as people write it: "none", "nat" or "allow=RULE,RULE,...". A rule is
 *   A.B.C.D or A.B.C.D/LEN   these IPv4 addresses (RFC 4632), LEN from 1 to 32, no host bits;
 *   host.example.org         what this name stands for, aliases followed, and no other name;
 *   *.example.org            every name below example.org, at any depth, but not example.org itself.
 * Names are those of RFC 1123 and underscores (RFC 8553), in ASCII. */
#ifndef BANGER_EGRESS_RULES_H
#define BANGER_EGRESS_RULES_H

#include "../../common/err.h"
#include "../../common/wire.h"

#include <stddef.h>
#include <stdint.h>

#define EGRESS_TEXT_MAX  8192 /* bytes of the whole text, with the NUL */
#define EGRESS_CIDRS_MAX 128
#define EGRESS_NAMES_MAX 256
#define EGRESS_NAME_MAX  254 /* bytes of a name without its last dot, with the NUL (RFC 1035, 2.3.4) */

struct egress_rules {
    enum wire_egress mode;      /* NONE, NAT or LIST */
    char text[EGRESS_TEXT_MAX]; /* as it is written again: small letters, every rule once */
    size_t cidr_count, name_count;
    struct wire_cidr cidrs[EGRESS_CIDRS_MAX]; /* lifetime 0 */
    char names[EGRESS_TEXT_MAX];              /* name_count of them, each with its NUL; wildcards as "*.example.org" */
};

/* Reads the text. 0, or -EINVAL with a sentence that names the rule that is wrong. */
int egress_rules_parse(const char *text, struct egress_rules *rules, struct err *e);

/* 1 when the rules name it; `name` is in small letters, without its last dot. */
int egress_rules_name(const struct egress_rules *rules, const char *name);
/* 1 when one of the CIDRs holds the address (host byte order). */
int egress_rules_address(const struct egress_rules *rules, uint32_t address);

/* 1 for a name as above, 0 for anything else. */
int egress_is_name(const char *name);

#endif
