/* VMs that nobody uses are stopped after a while, where the account has asked for that.
 * Used is what a command, a copy or a start is under way in, or was within that time, and
 * what a session runs in: the guest is asked before it would be stopped. */
#include "internal.h"

#include "../../common/log.h"
#include "../store/events.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define STACK    131072
#define KEY      "auto_stop_stale_after"
#define TICK_MS  15000 /* between two looks; a shorter time makes it a look a second */
#define SHORT_S  60
#define GRACE_MS 20000

static _Atomic int64_t stale_after; /* seconds; 0: never */

void vm_idle_begin(struct vm_live *live) {
    live->touched = time(NULL);
    live->users++;
}

void vm_idle_end(struct vm_live *live) {
    live->touched = time(NULL);
    live->users--;
}

int vm_idle_set(int64_t seconds, struct err *e) {
    if (atomic_exchange(&stale_after, seconds) == seconds)
        return 0;
    log_info(0, "VMs that are not used are stopped after %lld s (0: never)", (long long) seconds);
    return store_setting_set(KEY, seconds, e);
}

int64_t vm_idle_after(void) {
    return stale_after;
}

/* After a restart of the daemon what was stored counts. */
int64_t vm_idle_touched(struct vm_live *live, const struct vm_record *r) {
    int64_t stored = 0;
    if (live->touched == 0 && store_touch_get(r->id, &stored, NULL) == 0)
        live->touched = stored > r->started ? stored : r->started;
    return live->touched;
}

/* The same once more under the lock, which whoever starts or stops it has meanwhile. */
static void stop_stale(const char *id) {
    struct vm_live *live;
    struct vm_record r;
    struct err e;
    int64_t after = stale_after;
    if (vm_trylock(id, &live, &r, &e))
        return;
    int64_t idle = time(NULL) - vm_idle_touched(live, &r);
    if (r.state == VM_RUNNING && live->users == 0 && after > 0 && idle >= after) {
        events_add(EVENT_VM_STALE, &r, "not used for %lld s: it is stopped", (long long) idle);
        if (vm_stop(0, live, &r, GRACE_MS, &e))
            log_error(0, "VM %s: %s", r.name, e.text);
    }
    vm_unlock(live);
}

/* 1 while sessions run in it. A guest that does not answer may be busy with them: it has that time twice. */
static int is_busy(struct vm_live *live, int64_t touched, int64_t after) {
    const int running = vm_sessions_running(live);
    if (running > 0)
        live->touched = time(NULL);
    return running > 0 || (running < 0 && time(NULL) - touched < 2 * after);
}

/* One VM: what is known of its use is stored, and acted on. */
static void look(const struct vm_record *r) {
    struct err e;
    int64_t stored = 0;
    int64_t after = stale_after;
    struct vm_live *live = vm_live_hold(r);
    if (!live)
        return;
    int64_t touched = live->users > 0 ? time(NULL) : vm_idle_touched(live, r);
    if (store_touch_get(r->id, &stored, &e) || (touched > stored && store_touch_set(r->id, touched, &e)))
        log_error(0, "VM %s: %s", r->name, e.text);
    int stale =
        live->users == 0 && vm_live_runs(live) && time(NULL) - touched >= after && !is_busy(live, touched, after);
    vm_live_drop(live);
    if (stale)
        stop_stale(r->id);
}

static void *keep(void *arg) {
    (void) arg;
    for (;;) {
        struct vm_records all;
        struct err e;
        (void) poll(NULL, 0, stale_after > 0 && stale_after < SHORT_S ? 1000 : TICK_MS);
        if (stale_after == 0 || vm_running_count() == 0 || vm_records_read(&all, &e))
            continue;
        for (size_t i = 0; i < all.count; i++) {
            if (all.list[i].state == VM_RUNNING)
                look(&all.list[i]);
        }
        free(all.list);
    }
    return NULL;
}

int vm_idle_watch(struct err *e) {
    pthread_t thread;
    pthread_attr_t attr;
    int64_t seconds = 0;
    int rc = store_setting_get(KEY, &seconds, e);
    if (rc)
        return rc;
    stale_after = seconds;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, STACK);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int code = pthread_create(&thread, &attr, keep, NULL);
    (void) pthread_attr_destroy(&attr);
    return code ? err_sys(e, code, "cannot watch over VMs that nobody uses") : 0;
}
