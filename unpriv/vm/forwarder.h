/* The engine's client of banger-forward: one request at a time, thread-safe. */
#ifndef BANGER_VM_FORWARDER_H
#define BANGER_VM_FORWARDER_H

#include "../../common/err.h"
#include "../store/store.h"

#include <stdint.h>

/* Has banger-forward carry exactly what the record publishes, to `guest` (host byte order; 0: who
 * connects waits); `flags` as in enum forward_flag. Where no process runs and the record publishes
 * something one is started. 0, or a negative errno with a sentence. */
int forwarder_set(const struct vm_record *r, uint32_t guest, uint32_t flags, struct err *e);
/* The slot publishes nothing any more: what listened is closed, and so are its connections. */
void forwarder_end(uint32_t slot);

/* `hook` is called in a thread of its own each time a banger-forward has ended, with all that
 * it carried. Set once, before the first call. */
void forwarder_on_end(void (*hook)(void));

#endif
