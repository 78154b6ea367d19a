/* What a VM's process has used of the host, as the kernel counts it. The monitor's: the
 * engine sees neither /proc nor cgroups, and makes no socket. */
#ifndef BANGER_DAEMON_USAGE_H
#define BANGER_DAEMON_USAGE_H

#include <stdint.h>

enum usage_have { USAGE_CGROUP = 1, USAGE_PROCESS = 2, USAGE_NETWORK = 4, USAGE_LOOKUPS = 8 /* vm/stats.h */ };

struct usage {
    uint32_t have; /* enum usage_have: what of the following is known, and whence */
    uint32_t reserved;
    uint64_t cpu_us;         /* processor time of VMM and jail */
    uint64_t memory;         /* bytes: resident, or with USAGE_CGROUP all that the cgroup is charged for */
    uint64_t sent, received; /* bytes, as the guest sees it */
};

/* Fills in what can be known of the VM in `slot` whose jail is behind `pidfd`; with SLOT_MAX of that process and
 * its children, which is no VM. */
void usage_read(uint32_t slot, int pidfd, struct usage *usage);

/* A process as /proc/PID/stat has it (proc(5)); its name, which it chooses itself, may hold anything. */
struct usage_process {
    int parent;
    uint64_t ticks; /* user and system, of all its threads */
    uint64_t pages; /* resident */
};
/* 0 or -EPROTO. */
int usage_process_parse(const char *text, struct usage_process *process);

#endif
