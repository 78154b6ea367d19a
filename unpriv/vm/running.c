/* Every VM that runs, one after another. */
#include "internal.h"

#include "../../common/log.h"

#include <stdlib.h>

/* Pass 0 leaves out a VM that something is happening to: pass 1 waits for it. */
static int look_at(const struct vm_record *old, int pass,
                   void (*each)(struct vm_live *live, const struct vm_record *r, void *arg), void *arg) {
    struct vm_record r;
    struct vm_live *live = vm_live_hold(old);
    if (!live)
        return 0;
    int busy = pass ? pthread_mutex_lock(&live->lock) : pthread_mutex_trylock(&live->lock);
    if (busy) {
        vm_live_drop(live);
        return busy;
    }
    /* Still there, and still the one of this slot. */
    if (vm_live_runs(live) && store_vm_get(live->id, &r, NULL) == 0)
        each(live, &r, arg);
    vm_unlock(live);
    return 0;
}

void vm_running_each(void (*each)(struct vm_live *live, const struct vm_record *r, void *arg), void *arg) {
    struct vm_records all;
    struct err e;
    if (vm_running_count() == 0)
        return;
    if (vm_records_read(&all, &e)) {
        log_error(0, "looking at the VMs that run: %s", e.text);
        return;
    }
    size_t busy = 0; /* the first of the list, in the end */
    for (size_t i = 0; i < all.count; i++) {
        if (look_at(&all.list[i], 0, each, arg))
            all.list[busy++] = all.list[i];
    }
    for (size_t i = 0; i < busy; i++)
        (void) look_at(&all.list[i], 1, each, arg);
    free(all.list);
}
