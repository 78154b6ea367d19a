/* What a guest has asked for, and what was decided: bounded, in a file of the VM's folder, so that it
 * outlives engine and guest. One entry a name, type and outcome; of what was allowed and of what was
 * refused the EGRESS_LOG_EACH that were asked for last. Thread-safe. */
#ifndef BANGER_EGRESS_LOG_H
#define BANGER_EGRESS_LOG_H

#include "rules.h"

#define EGRESS_LOG_EACH 192

enum egress_why {
    /* allowed */
    EGRESS_NAT,
    EGRESS_LISTED,
    EGRESS_OWN_VM,
    /* refused */
    EGRESS_UNLISTED,
    EGRESS_NO_EGRESS,
    EGRESS_LOCAL_ADDRESS, /* the name stands for addresses that no name may open */
    EGRESS_FAILED,        /* no answer from upstream, or the helper did not open it */
    EGRESS_WHYS,
};
/* 1 for those of the first part. */
int egress_why_allowed(enum egress_why why);
/* Words for people and for JSON. */
const char *egress_why_text(enum egress_why why);

struct egress_entry {
    int64_t last; /* seconds since 1970 */
    uint32_t count;
    uint16_t type;
    uint16_t why;
    char name[256]; /* of egress_is_name's bytes, or "." */
};

struct egress_log;
/* Reads what is there; `file` (the log's from now on; -1: nothing is kept) is open for reading and writing. NULL
 * without memory. */
struct egress_log *egress_log_open(int file);
void egress_log_close(struct egress_log *log); /* NULL will do */
void egress_log_add(struct egress_log *log, const char *name, uint16_t type, enum egress_why why);
/* Every entry, in no order. `each` must not call this module. */
void egress_log_each(struct egress_log *log, void (*each)(const struct egress_entry *entry, void *arg), void *arg);

#endif
