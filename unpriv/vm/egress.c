/* A helper that starts anew remembers no guest: as soon as one serves, it is told again
 * what each running guest may reach, in case the host's rules were flushed between two
 * helpers; and while a VM runs, one that ends is started again. And what names have opened
 * is renewed. */
#include "internal.h"

#include "../../common/io.h"
#include "../../common/log.h"
#include "../daemon/service.h"
#include "../priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEEPER_STACK 131072
#define STEADY_MS    10000 /* a helper that lived so long did not end because it cannot run */
#define NAP_LEAST_MS 200
#define NAP_MOST_MS  60000

static _Atomic unsigned generation; /* of the helper's net worker */
static _Atomic int nap_ms = NAP_LEAST_MS;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* while the generation changes */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* What is down has no rules. */
static void mend(struct vm_live *live, const struct vm_record *r, void *arg) {
    struct err e;
    (void) arg;
    struct gate *gate = vm_live_gate(live);
    if (gate && gate_apply(gate, 0, &e))
        log_error(0, "VM %s: %s", r->name, e.text);
    gate_drop(gate);
}

static void mend_all(void) {
    struct err e;
    uint64_t slots[(SLOT_MAX + 63) / 64];
    uint32_t subnet;
    if (vm_running_count() == 0)
        return;
    /* This makes the rules themselves again where they are gone. */
    if (priv_net_list(0, slots, &subnet, &e))
        log_error(0, "telling the helper what guests may reach: %s", e.text);
    else
        vm_running_each(mend, NULL);
}

/* Over at once when there is another worker, however long it was to be. */
static void nap(unsigned mine, int ms) {
    const long long end = io_now_ms() + ms;
    const struct timespec until = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
    (void) pthread_mutex_lock(&mutex);
    while (generation == mine && pthread_cond_clockwait(&changed, &mutex, CLOCK_MONOTONIC, &until) == 0)
        continue;
    (void) pthread_mutex_unlock(&mutex);
}

/* Until there is another worker, or no VM that needs one. A helper that ends again and
 * again is started less and less often. */
static void replace(unsigned mine, long long began) {
    struct err e;
    uint64_t slots[(SLOT_MAX + 63) / 64];
    uint32_t subnet;
    if (io_now_ms() - began > STEADY_MS)
        nap_ms = NAP_LEAST_MS;
    while (vm_running_count() > 0 && generation == mine) {
        nap(mine, nap_ms);
        nap_ms = nap_ms * 2 < NAP_MOST_MS ? nap_ms * 2 : NAP_MOST_MS;
        if (generation == mine && priv_net_list(0, slots, &subnet, &e))
            log_warn(0, "%s", e.text);
    }
}

static void *keep(void *arg) {
    unsigned mine = (unsigned) ((uintptr_t) arg >> 32);
    struct pollfd p = {.fd = (int) (uint32_t) (uintptr_t) arg};
    long long began = io_now_ms();
    mend_all();
    while (poll(&p, 1, -1) <= 0)
        continue;
    (void) close(p.fd);
    replace(mine, began);
    return NULL;
}

static unsigned next_generation(void) {
    (void) pthread_mutex_lock(&mutex);
    const unsigned now = ++generation;
    (void) pthread_cond_broadcast(&changed);
    (void) pthread_mutex_unlock(&mutex);
    return now;
}

void vm_egress_worker(int sock) {
    pthread_t thread;
    pthread_attr_t attr;
    int fd = fcntl(sock, F_DUPFD_CLOEXEC, 3);
    uintptr_t arg = (uintptr_t) next_generation() << 32 | (uint32_t) fd;
    vm_taps_again();
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, KEEPER_STACK);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = fd < 0 ? errno : pthread_create(&thread, &attr, keep, (void *) arg);
    (void) pthread_attr_destroy(&attr);
    if (r)
        log_error(0, "cannot watch over banger-helper: %s", strerror(r));
    if (r && fd >= 0)
        (void) close(fd);
}

/* --- renewing ------------------------------------------------------------------------- */

static void renew(const struct vm_record *r) {
    struct vm_live *live = vm_live_hold(r);
    struct names *names = live ? vm_live_names(live) : NULL;
    if (names)
        names_renew(names);
    names_drop(names);
    if (live)
        vm_live_drop(live);
}

static void *keep_renewing(void *arg) {
    (void) arg;
    for (;;) {
        struct vm_records all;
        struct err e;
        (void) poll(NULL, 0, NAMES_RENEW_S * 1000);
        if (vm_running_count() == 0 || vm_records_read(&all, &e))
            continue;
        for (size_t i = 0; i < all.count; i++) {
            if (all.list[i].state == VM_RUNNING)
                renew(&all.list[i]);
        }
        free(all.list);
    }
    return NULL;
}

int vm_egress_renew(struct err *e) {
    int r = service_keep(keep_renewing);
    return r ? err_sys(e, -r, "cannot watch over what guests' lookups have opened") : 0;
}
