/* VMs' ceilings: cgroups (v2) below bangerd's own, where that one is delegated to the
 * account (a systemd service with Delegate=, or an administrator's chown). The monitor's;
 * one thread. */
#ifndef BANGER_DAEMON_CGROUP_H
#define BANGER_DAEMON_CGROUP_H

#include <stdint.h>

/* What a VMM may use beside its guest's memory, in MiB: QEMU itself takes 45, with
 * emulation another 64 of translated code; the rest is for the page cache of its disks and
 * for what the kernel keeps for it. Threads: QEMU's 64 for disks, one a virtual CPU, and
 * a few. */
#define CGROUP_HEADROOM_MIB 320u
#define CGROUP_TASKS        128u

/* Looks at this process's cgroup. Where it is delegated with the controllers memory and
 * pids: moves this process into its leaf `daemon`, switches the controllers on for the
 * others, and removes VMs' cgroups of the past that are empty. To be called before the
 * first child. */
void cgroup_open(void);

/* "" where VMs get cgroups, else one sentence that says why not and what to do. */
const char *cgroup_why(void);

/* A fresh cgroup vm-SLOT with the ceilings of a VM of `memory_mib` and `vcpus`; one whose
 * VM lives keeps its processes and gets the ceilings again. Its folder's descriptor (the
 * caller's), -EOPNOTSUPP where there are none, or another negative errno. */
int cgroup_vm(uint32_t slot, uint32_t memory_mib, uint32_t vcpus);

/* What its processes have used: processor time in microseconds, and the memory they hold now with the page
 * cache of what they read and wrote, in bytes. 0, -ESRCH where it has none (its VM was started without it, by a
 * bangerd that had no cgroups), or another negative errno. */
int cgroup_vm_usage(uint32_t slot, uint64_t *cpu_us, uint64_t *memory);
/* The same of the cgroup whose folder that is. */
int cgroup_usage(int dir, uint64_t *cpu_us, uint64_t *memory);

/* Removes it; one whose VM lives stays. */
void cgroup_vm_end(uint32_t slot);

#endif
