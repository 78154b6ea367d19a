/* The watcher: one thread a running VM. It notices when the VM ends by itself, and
 * when its VMM has stopped it because the host's disk is full: that VM goes on as soon
 * as there is room. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../store/events.h"
#include "../vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STACK    131072
#define FIRST_MS 2000 /* a VM that is gone sooner is not asked at all */
#define QUIET_MS 200  /* between two looks, however often a VMM rings */
#define RETRY_MS 3000 /* until the VMM is asked again, or the file system while it is full */
#define ROOM     (32ll << 20)

struct watch {
    struct vm_live *live;
    int pidfd; /* its own */
};

/* 1 when the process has ended; else within `ms`, or sooner when `bell` (may be -1) rings. */
static int ended_within(const struct watch *watch, int bell, int ms) {
    struct pollfd p[] = {{.fd = watch->pidfd, .events = POLLIN}, {.fd = bell, .events = POLLIN}};
    (void) poll(p, 2, ms);
    return vm_pid_ended(watch->pidfd);
}

static int has_room(void) {
    struct statvfs fs;
    cleanup_fd int vms = vm_open(engine.state, "vms", O_RDONLY | O_DIRECTORY);
    return vms < 0 || fstatvfs(vms, &fs) || (int64_t) fs.f_bavail * (int64_t) fs.f_frsize >= ROOM;
}

static void tell(const struct vm_live *live, const char *kind, const char *text) {
    struct vm_record r;
    if (store_vm_get(live->id, &r, NULL) == 0)
        events_add(kind, &r, "%s", text);
}

/* The VMM has said something: what has become of the VM. */
static void look(const struct watch *watch, const char *state) {
    struct vm_live *live = watch->live;
    struct err e;
    int full = strcmp(state, "io-error") == 0;
    if (full && !live->full) {
        log_warn(0, "slot %u: the disk that holds %s is full: the VM waits until there is room", live->slot,
                 engine.state_path);
        tell(live, EVENT_VM_WAITS, "the host's disk is full");
    }
    if (!full && live->full) {
        log_info(0, "slot %u: there is room again: the VM goes on", live->slot);
        tell(live, EVENT_VM_GOES_ON, "there is room again");
    }
    live->full = full;
    while (live->full && !ended_within(watch, -1, RETRY_MS)) {
        if (!has_room())
            continue;
        if (live->vmm->resume(live->slot, &e))
            log_warn(0, "slot %u: %s", live->slot, e.text);
        return;
    }
}

static void wait_for_end(const struct watch *watch) {
    int bell = -1;
    if (ended_within(watch, -1, FIRST_MS))
        return;
    do {
        char state[32] = "";
        struct err e;
        if (bell >= 0)
            watch->live->vmm->unwatch(watch->live->slot, bell);
        bell = watch->live->vmm->watch(watch->live->slot, state, &e);
        if (bell >= 0)
            look(watch, state);
    } while (!ended_within(watch, bell, bell >= 0 && !watch->live->full ? -1 : RETRY_MS) &&
             !ended_within(watch, -1, QUIET_MS));
    if (bell >= 0)
        watch->live->vmm->unwatch(watch->live->slot, bell);
}

static void *watcher(void *arg) {
    struct watch *watch = arg;
    struct vm_live *live = watch->live;
    wait_for_end(watch);
    live->full = 0;
    (void) pthread_mutex_lock(&live->lock);
    /* Whoever ended the VM on purpose held the lock and has tidied up; by now another run may be under way. */
    int pidfd = vm_live_pidfd(live);
    struct vm_record r;
    if (pidfd >= 0 && vm_pid_ended(pidfd) && store_vm_get(live->id, &r, NULL) == 0) {
        log_info(0, "VM %s: its VMM has ended", r.name);
        struct err e;
        if (vm_settle(0, live, &r, VM_STOPPED, &e))
            log_error(0, "VM %s: %s", r.name, e.text);
    }
    if (pidfd >= 0)
        (void) close(pidfd);
    vm_unlock(live);
    (void) close(watch->pidfd);
    free(watch);
    return NULL;
}

int vm_watch(struct vm_live *live) {
    pthread_t thread;
    pthread_attr_t attr;
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->live = live;
    watch->pidfd = vm_live_pidfd(live);
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, STACK);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = watch->pidfd < 0 ? EMFILE : pthread_create(&thread, &attr, watcher, watch);
    (void) pthread_attr_destroy(&attr);
    if (r == 0)
        return 0;
    if (watch->pidfd >= 0)
        (void) close(watch->pidfd);
    free(watch);
    return -r;
}
