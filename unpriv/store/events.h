/* What has happened, as rows with ids that only grow: `banger events`.
 *
 * A change of a record leaves its row by a trigger (store.c), in the same
 * transaction: vm.created, vm.starting, vm.started, vm.ready, vm.stopping,
 * vm.stopped, vm.failed, vm.changed, vm.deleted, and created, changed, deleted of
 * images and kernels. events_add is for all else. A row that can be read is on the
 * disk, and no row with a smaller id comes later: a reader that goes on from the
 * last id it has seen misses nothing and sees nothing twice. */
#ifndef BANGER_STORE_EVENTS_H
#define BANGER_STORE_EVENTS_H

#include "store.h"

#include <stddef.h>
#include <stdint.h>

#define EVENTS_KEPT     10000 /* the last of them; up to 99 more are there */
#define EVENTS_BELLS    16
#define EVENT_KIND_SIZE 32

/* Kinds of events_add. "daemon.started" follows an end on purpose or none, "daemon.restarted" any other. */
#define EVENT_DAEMON_STARTED   "daemon.started"
#define EVENT_DAEMON_RESTARTED "daemon.restarted"
#define EVENT_DAEMON_STOPPED   "daemon.stopped"
#define EVENT_HELPER_RESTARTED "helper.restarted"
#define EVENT_VM_FOUND         "vm.found" /* start-up: it runs, and goes on */
#define EVENT_VM_WAITS         "vm.waits" /* its VMM has stopped it, for want of room on the host's disk */
#define EVENT_VM_GOES_ON       "vm.goes-on"
#define EVENT_VM_STALE         "vm.stale"  /* nobody has used it for auto_stop_stale_after */
#define EVENT_VM_MENDED        "vm.mended" /* start-up: something of this VM was put right; the text says what */
#define EVENT_MENDED           "mended"    /* the same, of no VM that has a record */

struct event {
    int64_t id;   /* from 1 */
    int64_t time; /* milliseconds since 1970 */
    char kind[EVENT_KIND_SIZE];
    char object[17]; /* id of the VM, image or kernel, "" without */
    char name[STORE_NAME_MAX];
    char text[STORE_TEXT_MAX];
};

/* Adds one, of the VM `r` (may be NULL). What cannot be written is logged: what happened, happened. */
void events_add(const char *kind, const struct vm_record *r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Those after `since` (0: from the oldest that is kept), in order, at most `max`: how many, or a negative errno;
 * -ESTALE with a sentence where some after `since` are no longer kept. */
int events_read(int64_t since, struct event *out, size_t max, struct err *e);
/* The newest one's id, 0 for none. 0 or a negative errno. */
int events_last(int64_t *last, struct err *e);
/* The newest whose kind is one of two (the second may be NULL); its `id` is 0 for none. 0 or a negative errno. */
int events_newest(const char *kind, const char *or_kind, struct event *out, struct err *e);

/* An eventfd that counts whenever there may be new ones, and at the daemon's end: wait
 * for it, read it, then events_read. -EBUSY when EVENTS_BELLS are out. */
int events_bell(void);
void events_bell_return(int bell);
/* Rings all bells. */
void events_ring(void);

#endif
