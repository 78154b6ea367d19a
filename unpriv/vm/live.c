/* The table of VMs that run or that a request works on. `table` guards the list
 * and the pidfd and link of every entry, and is never held over a wait; an entry's
 * `lock` is held for as long as its VM's state changes, and only its own VM waits. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/json.h"
#include "../../common/log.h"
#include "../vmm/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#define LOCK_SLICE_MS 200   /* how often a wait for a lock looks at the client */
#define RECONNECT_MS  15000 /* an agent that runs answers in milliseconds; emulation may be busy */
#define KILL_MS       30000

static pthread_mutex_t table = PTHREAD_MUTEX_INITIALIZER;
static struct vm_live *entries;

/* --- entries --------------------------------------------------------------------- */

static struct vm_live *entry_new(const struct vm_record *r) {
    struct vm_live *live = calloc(1, sizeof(*live));
    if (!live)
        return NULL;
    memcpy(live->id, r->id, sizeof(live->id));
    live->slot = r->slot;
    live->vmm = vmm_of(r->vmm);
    live->pidfd = -1;
    (void) pthread_mutex_init(&live->lock, NULL);
    (void) pthread_mutex_init(&live->connecting, NULL);
    live->next = entries;
    entries = live;
    return live;
}

struct vm_live *vm_live_hold(const struct vm_record *r) {
    (void) pthread_mutex_lock(&table);
    struct vm_live *live = entries;
    while (live && strcmp(live->id, r->id) != 0)
        live = live->next;
    if (!live)
        live = entry_new(r);
    if (live)
        live->holders++;
    (void) pthread_mutex_unlock(&table);
    return live;
}

struct vm_live *vm_live_up(const struct vm_record *r, struct err *e) {
    struct vm_live *live = vm_live_hold(r);
    if (!live) {
        (void) err_set(e, ENOMEM, "out of memory");
    } else if (r->state == VM_STARTING && vm_live_runs(live)) {
        (void) err_set(e, EAGAIN, "VM %s is still starting: try again when `banger vm list` says running", r->name);
        vm_live_drop(live);
        live = NULL;
    }
    return live;
}

void vm_live_drop(struct vm_live *live) {
    (void) pthread_mutex_lock(&table);
    int last = --live->holders == 0;
    if (last) {
        struct vm_live **at = &entries;
        while (*at != live)
            at = &(*at)->next;
        *at = live->next;
    }
    (void) pthread_mutex_unlock(&table);
    if (!last)
        return;
    (void) pthread_mutex_destroy(&live->lock);
    (void) pthread_mutex_destroy(&live->connecting);
    free(live);
}

static int lock_or_cancel(const struct rpc *rpc, pthread_mutex_t *lock) {
    for (;;) {
        struct timespec until;
        (void) clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOCK_SLICE_MS * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        int r = pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until);
        if (r != ETIMEDOUT)
            return -r;
        if (rpc_gone(rpc))
            return -ECANCELED;
    }
}

/* The entry's lock is held: its record as it is by now. */
static int locked(struct vm_live *live, const char *name, struct vm_record *r, struct err *e) {
    int rc = store_vm_get(live->id, r, e);
    if (rc == 0)
        return 0;
    vm_unlock(live);
    return err_set(e, -rc, "VM %s has been deleted meanwhile", name);
}

int vm_lock(const struct rpc *rpc, const char *name, struct vm_live **live, struct vm_record *r, struct err *e) {
    int rc = store_vm_get(name, r, e);
    if (rc)
        return rc;
    *live = vm_live_hold(r);
    if (!*live)
        return err_set(e, ENOMEM, "out of memory");
    rc = lock_or_cancel(rpc, &(*live)->lock);
    if (rc) {
        vm_live_drop(*live);
        return err_set(e, -rc, "waiting for VM %s, which another request works on, was cancelled", r->name);
    }
    return locked(*live, name, r, e);
}

int vm_asked(const struct rpc *rpc, struct vm_record *r, struct err *e) {
    const char *name = json_string(rpc->args, "name", e);
    return name ? store_vm_get(name, r, e) : -EINVAL;
}

int vm_asked_lock(const struct rpc *rpc, struct vm_live **live, struct vm_record *r, struct err *e) {
    const char *name = json_string(rpc->args, "name", e);
    return name ? vm_lock(rpc, name, live, r, e) : -EINVAL;
}

int vm_trylock(const char *name, struct vm_live **live, struct vm_record *r, struct err *e) {
    int rc = store_vm_get(name, r, e);
    if (rc)
        return rc;
    *live = vm_live_hold(r);
    if (!*live)
        return err_set(e, ENOMEM, "out of memory");
    if (pthread_mutex_trylock(&(*live)->lock) == 0)
        return locked(*live, name, r, e);
    vm_live_drop(*live);
    return err_set(e, EBUSY, "another request works on VM %s: try again when it has ended", r->name);
}

struct vm_live *vm_lock_new(const struct vm_record *r) {
    struct vm_live *live = vm_live_hold(r);
    if (live)
        (void) pthread_mutex_lock(&live->lock);
    return live;
}

void vm_unlock(struct vm_live *live) {
    (void) pthread_mutex_unlock(&live->lock);
    vm_live_drop(live);
}

/* --- processes ------------------------------------------------------------------- */

int vm_pid_ended(int pidfd) {
    return io_wait(pidfd, POLLIN, 0) == 0;
}

int vm_pid_kill(int pidfd) {
    if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) && errno != ESRCH)
        return -errno;
    return io_wait(pidfd, POLLIN, KILL_MS);
}

int vm_live_pidfd(struct vm_live *live) {
    (void) pthread_mutex_lock(&table);
    int fd = live->pidfd >= 0 ? fcntl(live->pidfd, F_DUPFD_CLOEXEC, 3) : -1;
    (void) pthread_mutex_unlock(&table);
    return fd;
}

int vm_live_runs(struct vm_live *live) {
    (void) pthread_mutex_lock(&table);
    int runs = live->pidfd >= 0;
    (void) pthread_mutex_unlock(&table);
    return runs;
}

int vm_running_count(void) {
    int count = 0;
    (void) pthread_mutex_lock(&table);
    for (const struct vm_live *live = entries; live; live = live->next)
        count += live->pidfd >= 0;
    (void) pthread_mutex_unlock(&table);
    return count;
}

/* --- beginning and end -------------------------------------------------------------- */

int vm_live_began(struct vm_live *live, int pidfd, struct err *e) {
    (void) pthread_mutex_lock(&table);
    live->pidfd = pidfd;
    live->holders++; /* the watcher's */
    (void) pthread_mutex_unlock(&table);
    int r = vm_watch(live);
    if (r == 0)
        return 0;
    vm_live_drop(live);
    return err_sys(e, -r, "cannot watch over the VM");
}

void vm_live_ended(struct vm_live *live) {
    (void) pthread_mutex_lock(&table);
    int pidfd = live->pidfd;
    struct link *link = live->link;
    live->pidfd = -1;
    live->link = NULL;
    (void) pthread_mutex_unlock(&table);
    if (pidfd >= 0)
        (void) close(pidfd);
    vm_live_gated(live, NULL, NULL);
    link_drop(link);
}

/* --- the gate ---------------------------------------------------------------------- */

void vm_live_gated(struct vm_live *live, struct gate *gate, struct names *names) {
    (void) pthread_mutex_lock(&table);
    struct gate *old_gate = live->gate;
    struct names *old_names = live->names;
    live->gate = gate;
    live->names = names;
    (void) pthread_mutex_unlock(&table);
    if (old_gate)
        gate_end(old_gate);
    gate_drop(old_gate);
    names_end(old_names);
    names_drop(old_names);
}

struct gate *vm_live_gate(struct vm_live *live) {
    (void) pthread_mutex_lock(&table);
    struct gate *gate = live->gate ? gate_hold(live->gate) : NULL;
    (void) pthread_mutex_unlock(&table);
    return gate;
}

struct names *vm_live_names(struct vm_live *live) {
    (void) pthread_mutex_lock(&table);
    struct names *names = live->names ? names_hold(live->names) : NULL;
    (void) pthread_mutex_unlock(&table);
    return names;
}

/* A new link's lookups are answered from now on. */
static void take_lookups(struct vm_live *live, struct link *link) {
    struct names *names = vm_live_names(live);
    if (names)
        names_link(names, link);
    names_drop(names);
}

/* --- the link ---------------------------------------------------------------------- */

void vm_live_linked(struct vm_live *live, struct link *link) {
    (void) pthread_mutex_lock(&table);
    struct link *old = live->link;
    live->link = link;
    (void) pthread_mutex_unlock(&table);
    take_lookups(live, link);
    link_drop(old);
}

struct link *vm_live_link_if(struct vm_live *live) {
    (void) pthread_mutex_lock(&table);
    struct link *link = live->link && link_alive(live->link) ? link_hold(live->link) : NULL;
    (void) pthread_mutex_unlock(&table);
    return link;
}

static int process_ended(void *arg) {
    return vm_pid_ended(*(const int *) arg);
}

/* `connecting` is held. */
static struct link *reconnect(struct vm_live *live, const char *name, struct err *e) {
    cleanup_fd int pidfd = vm_live_pidfd(live);
    if (pidfd < 0) {
        (void) err_set(e, ESRCH, "VM %s is not running; `banger vm start %s` starts it", name, name);
        return NULL;
    }
    const struct vmm_wait wait = {.deadline = io_now_ms() + RECONNECT_MS, .given_up = process_ended, .arg = &pidfd};
    int sock = live->vmm->agent(live->slot, &wait, e);
    if (sock < 0)
        return NULL;
    struct link *link = link_open(sock, 0, RECONNECT_MS, process_ended, &pidfd, e);
    if (!link) {
        (void) err_prefix(e, "VM %s", name);
        return NULL;
    }
    (void) pthread_mutex_lock(&table);
    struct link *old = live->pidfd >= 0 ? live->link : link;
    if (live->pidfd >= 0)
        live->link = link_hold(link);
    (void) pthread_mutex_unlock(&table);
    if (old != link)
        link_drop(old);
    take_lookups(live, link);
    return link;
}

struct link *vm_live_link(struct vm_live *live, const char *name, struct err *e) {
    struct link *link = vm_live_link_if(live);
    if (link)
        return link;
    (void) pthread_mutex_lock(&live->connecting);
    link = vm_live_link_if(live);
    if (!link)
        link = reconnect(live, name, e);
    (void) pthread_mutex_unlock(&live->connecting);
    return link;
}
