/* Taps. A running VM's is held here too: the kernel takes 10 ms and more to take one apart, and
 * does so behind the reply then, not in the VMM's end. And as many as the account has asked for
 * are made before a VM needs them, in slots that nobody has; an empty folder of the slot tells
 * the next start-up. What a VMM had in its hands is never another VM's: it may have left a
 * filter or another address on it. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STACK      131072
#define KEY        "tap_pool_size"
#define END_S      3
#define FRAMES     1024 /* more than a tap's queue takes */
#define FRAME_SIZE 2048

enum tap_state {
    TAP_NONE,
    TAP_MAKING,  /* for the pool */
    TAP_READY,   /* in the pool */
    TAP_TAKEN,   /* of a record, and no VMM has had it */
    TAP_HELD,    /* a VMM has it, or had */
    TAP_CLOSING, /* the kernel takes it apart */
    TAP_LEFT,    /* the pool's, and not wanted: its rules, or what there is of them, could not be taken down yet */
};
static struct {
    enum tap_state state;
    int fd; /* from READY on; -1: none could be had */
    uint32_t subnet;
} taps[SLOT_MAX];

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned wanted, ready, closing, left;
static int working;              /* its thread runs */
static int refused;              /* until a VM ends, another number is asked for, or there is another helper */
static _Atomic unsigned helpers; /* so many there were */

static int begin_thread(void *(*run)(void *arg), void *arg) {
    pthread_t thread;
    pthread_attr_t attr;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void) pthread_attr_setstacksize(&attr, STACK);
    int code = pthread_create(&thread, &attr, run, arg);
    (void) pthread_attr_destroy(&attr);
    return -code;
}

/* A thread each: most of the time the kernel waits, for several at once as for one. */
static void *close_one(void *arg) {
    const uintptr_t slot = (uintptr_t) arg;
    if (taps[slot].fd >= 0)
        (void) close(taps[slot].fd);
    (void) pthread_mutex_lock(&mutex);
    taps[slot].state = TAP_NONE;
    closing--;
    (void) pthread_cond_broadcast(&changed);
    (void) pthread_mutex_unlock(&mutex);
    return NULL;
}

/* `mutex` is held. */
static void begin_closing(uint32_t slot) {
    taps[slot].state = TAP_CLOSING;
    closing++;
    if (begin_thread(close_one, (void *) (uintptr_t) slot) == 0)
        return;
    (void) pthread_mutex_unlock(&mutex);
    (void) close_one((void *) (uintptr_t) slot);
    (void) pthread_mutex_lock(&mutex);
}

static uint32_t find(enum tap_state state, uint32_t below) {
    uint32_t slot = 0;
    while (slot < below && taps[slot].state != state)
        slot++;
    return slot;
}

/* --- the pool's thread, while there is something to do: `mutex` is held but for each step ---- */

/* `*stays`: its rules may be there, and its folder. */
static int make(uint32_t slot, int *stays, struct err *e) {
    struct err undo; /* a helper that ended may have left rules; what was there already is another daemon's */
    int rc = vm_folder_mark(slot, e);
    if (rc == -EEXIST && vm_folder_is_mark(slot)) /* start-up could not take down what an earlier engine had there */
        rc = priv_net_down(0, slot, e);
    int fd = rc ? rc : priv_net_up(0, slot, WIRE_TAP_FD, &taps[slot].subnet, e);
    *stays = fd < 0 && rc == 0 && fd != -EEXIST && priv_net_down(0, slot, &undo);
    if (fd < 0 && rc == 0 && !*stays)
        (void) vm_folder_unmark(slot);
    return fd;
}

static void make_one(void) {
    struct err e;
    uint32_t slot = SLOT_MAX;
    int stays = 0;
    (void) pthread_mutex_unlock(&mutex);
    int fd = vm_slot_claim(&slot, &e);
    const unsigned asked = helpers; /* one that ends at each try is not asked on and on */
    if (fd == 0)
        fd = make(slot, &stays, &e);
    (void) pthread_mutex_lock(&mutex);
    refused = fd < 0 && helpers == asked;
    if (fd < 0)
        log_info(0, "no tap is made ready: %s", e.text);
    if (slot == SLOT_MAX)
        return;
    taps[slot].state = stays ? TAP_LEFT : fd < 0 ? TAP_NONE : TAP_READY;
    taps[slot].fd = fd < 0 ? -1 : fd;
    left += (unsigned) stays;
    ready += fd >= 0;
}

/* The caller's slot. It stays out of use where its rules do, and its folder. */
static void take_down(uint32_t slot) {
    struct err e;
    const unsigned asked = helpers;
    taps[slot].state = TAP_TAKEN;
    (void) pthread_mutex_unlock(&mutex);
    int rc = priv_net_down(0, slot, &e);
    if (rc)
        log_warn(0, "%s", e.text);
    else
        (void) vm_folder_unmark(slot);
    (void) pthread_mutex_lock(&mutex);
    if (rc == 0) {
        begin_closing(slot);
        return;
    }
    taps[slot].state = TAP_LEFT;
    left++;
    refused = helpers == asked;
}

static void *work(void *arg) {
    (void) arg;
    (void) pthread_mutex_lock(&mutex);
    for (;;) {
        if (ready > wanted) {
            ready--;
            take_down(find(TAP_READY, SLOT_MAX));
        } else if (left && !refused) {
            left--;
            take_down(find(TAP_LEFT, SLOT_MAX));
        } else if (ready < wanted && !refused) {
            make_one();
        } else {
            break;
        }
    }
    working = 0;
    (void) pthread_cond_broadcast(&changed);
    (void) pthread_mutex_unlock(&mutex);
    return NULL;
}

/* `mutex` is held. Where no thread can be had, the next that comes by tries again. */
static void begin_work(void) {
    if (!working && (ready != wanted || left))
        working = begin_thread(work, NULL) == 0;
}

/* --- the pool -------------------------------------------------------------------------------- */

static void want(unsigned count) {
    (void) pthread_mutex_lock(&mutex);
    wanted = count;
    refused = 0;
    begin_work();
    (void) pthread_mutex_unlock(&mutex);
}

int vm_taps_want(int64_t count, struct err *e) {
    (void) pthread_mutex_lock(&mutex);
    int same = wanted == (unsigned) count;
    (void) pthread_mutex_unlock(&mutex);
    if (same)
        return 0;
    want((unsigned) count);
    return store_setting_set(KEY, count, e);
}

int vm_taps_begin(struct err *e) {
    int64_t count = 0;
    int rc = store_setting_get(KEY, &count, e);
    if (rc == 0 && count > 0)
        want((unsigned) count);
    return rc;
}

void vm_taps_again(void) {
    (void) pthread_mutex_lock(&mutex);
    helpers++;
    refused = 0;
    begin_work();
    (void) pthread_mutex_unlock(&mutex);
}

void vm_taps_end(void) {
    struct timespec until;
    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_S;
    want(0);
    (void) pthread_mutex_lock(&mutex);
    while ((working || closing) && pthread_cond_timedwait(&changed, &mutex, &until) == 0)
        continue;
    (void) pthread_mutex_unlock(&mutex);
}

unsigned vm_taps_ready(void) {
    (void) pthread_mutex_lock(&mutex);
    unsigned count = ready;
    (void) pthread_mutex_unlock(&mutex);
    return count;
}

void vm_taps_closing(uint64_t slots[(SLOT_MAX + 63) / 64]) {
    (void) memset(slots, 0, (SLOT_MAX + 63) / 64 * sizeof(*slots));
    (void) pthread_mutex_lock(&mutex);
    for (uint32_t slot = 0; slot < SLOT_MAX; slot++)
        slots[slot / 64] |= (uint64_t) (taps[slot].state == TAP_CLOSING) << slot % 64;
    (void) pthread_mutex_unlock(&mutex);
}

void vm_taps_claim(uint32_t slot) {
    (void) pthread_mutex_lock(&mutex);
    while (taps[slot].state == TAP_CLOSING)
        (void) pthread_cond_wait(&changed, &mutex);
    taps[slot].state = TAP_MAKING;
    (void) pthread_mutex_unlock(&mutex);
}

int vm_taps_has(uint32_t slot) {
    (void) pthread_mutex_lock(&mutex);
    int has = taps[slot].state != TAP_NONE;
    (void) pthread_mutex_unlock(&mutex);
    return has;
}

int vm_taps_take(uint32_t *slot, uint32_t below) {
    (void) pthread_mutex_lock(&mutex);
    *slot = ready ? find(TAP_READY, below) : below;
    int taken = *slot < below;
    if (taken) {
        taps[*slot].state = TAP_TAKEN;
        ready--;
        begin_work();
    }
    (void) pthread_mutex_unlock(&mutex);
    return taken;
}

/* --- a VM's ----------------------------------------------------------------------------------- */

/* What other guests have sent to everybody meanwhile is not for the new one. */
static void drain(int fd) {
    char frame[FRAME_SIZE];
    for (int i = 0; i < FRAMES && read(fd, frame, sizeof(frame)) > 0; i++)
        continue;
}

/* The tap that waits for the slot, the caller's; -1 without. */
static int use(uint32_t slot, uint32_t *subnet) {
    int fd = -1;
    (void) pthread_mutex_lock(&mutex);
    while (taps[slot].state == TAP_CLOSING)
        (void) pthread_cond_wait(&changed, &mutex);
    if (taps[slot].state == TAP_TAKEN)
        fd = fcntl(taps[slot].fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0) {
        taps[slot].state = TAP_HELD;
        *subnet = taps[slot].subnet;
    }
    (void) pthread_mutex_unlock(&mutex);
    return fd;
}

static void hold(uint32_t slot, int fd) {
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return;
    (void) pthread_mutex_lock(&mutex);
    taps[slot].state = TAP_HELD;
    taps[slot].fd = own;
    (void) pthread_mutex_unlock(&mutex);
}

int vm_taps_up(uint64_t op, uint32_t slot, uint32_t kind, uint32_t *subnet, struct err *e) {
    int fd = use(slot, subnet);
    if (fd >= 0) {
        drain(fd);
        return fd;
    }
    fd = priv_net_up(op, slot, kind, subnet, e);
    if (fd >= 0 && !(kind & WIRE_TAP_NAMED))
        hold(slot, fd);
    return fd;
}

int vm_taps_down(uint64_t op, uint32_t slot, struct err *e) {
    int rc = priv_net_down(op, slot, e);
    (void) pthread_mutex_lock(&mutex);
    if (taps[slot].state == TAP_TAKEN || taps[slot].state == TAP_HELD)
        begin_closing(slot);
    refused = 0;
    begin_work();
    (void) pthread_mutex_unlock(&mutex);
    return rc;
}
