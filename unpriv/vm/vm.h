/* VMs: create, start, stop, kill, delete, run, exec, recover. Each operation is a
 * straight line of steps, undone in reverse when a later one fails, each safe to
 * run twice. A VM has one lock, held while its state changes. */
#ifndef BANGER_VM_VM_H
#define BANGER_VM_VM_H

#include "../../common/err.h"
#include "../dns/proto.h"
#include "../store/store.h"

#include <cjson/cJSON.h>

/* Start-up: compares every record with the kernel and the disk, adopts VMs that
 * are alive (status file locked), cleans up and marks those that died, and removes
 * folders that no record owns, with their taps and rules. What has no folder here
 * may be another daemon's of the account and is left alone. */
int vm_recover(struct err *e);

/* The stable JSON form of a record (docs/protocol.md). */
cJSON *vm_json(const struct vm_record *r);

/* Has the names of running VMs answered by a banger-dns from now on, in a thread of its own:
 * one that ends is started again. Once, after vm_recover. */
void vm_dns_begin(void);
/* What the last banger-dns said, its pid (0 while none answers). */
void vm_dns_status(struct dns_hello *hello, int *pid);

/* "running", as in the VM's JSON. */
const char *vm_state_name(enum vm_state state);

/* From now on VMs that nobody has used for so long are stopped; 0: none is. Kept over restarts. */
int vm_idle_set(int64_t seconds, struct err *e);

/* From now on so many taps are ready for VMs that are made and started at once; 0: none. Kept over restarts. */
int vm_taps_want(int64_t count, struct err *e);
/* How many are. */
unsigned vm_taps_ready(void);
/* The engine ends: they are taken down. */
void vm_taps_end(void);

/* How many VMs are running, for daemon.status. */
int vm_running_count(void);

#endif
