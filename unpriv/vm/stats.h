/* What a VM uses of the host. */
#ifndef BANGER_VM_STATS_H
#define BANGER_VM_STATS_H

#include "../daemon/usage.h"
#include "../egress/names.h"
#include "../store/store.h"

struct vm_usage {
    int runs;
    struct usage usage;                /* of a VM that runs; `have` is 0 where nothing is known */
    int64_t root, work;                /* bytes its disks take on the host's */
    uint64_t lookups[NAMES_DECISIONS]; /* with USAGE_LOOKUPS */
};

/* Needs no lock. Never asks the guest. */
void vm_usage_read(const struct vm_record *r, struct vm_usage *out);

#endif
