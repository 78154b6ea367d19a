#include "gate.h"

#include "../../common/io.h"
#include "../../policy/policy.h"
#include "../priv/priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct opened {
    uint32_t address;
    long long until; /* io_now_ms */
};

struct gate {
    atomic_int holders;
    uint32_t slot;
    pthread_mutex_t lock; /* held over the helper's answer: what it is told comes in this order */
    int ended;
    int64_t since; /* of the rules: seconds since 1970 */
    enum wire_egress mode;
    struct egress_rules *rules; /* of LIST, else NULL */
    struct opened *opened;      /* GATE_ADDRESSES_MAX of them, once there is one */
    size_t count;
};

/* --- its life ------------------------------------------------------------------------- */

static int copy_rules(const struct egress_rules *from, struct egress_rules **to) {
    *to = NULL;
    if (from->mode != WIRE_EGRESS_LIST)
        return 0;
    *to = malloc(sizeof(**to));
    if (!*to)
        return -ENOMEM;
    memcpy(*to, from, sizeof(**to));
    return 0;
}

struct gate *gate_new(uint32_t slot, const struct egress_rules *rules, int64_t since) {
    struct gate *gate = calloc(1, sizeof(*gate));
    if (!gate || copy_rules(rules, &gate->rules)) {
        free(gate);
        return NULL;
    }
    gate->holders = 1;
    gate->slot = slot;
    gate->since = since;
    gate->mode = rules->mode;
    (void) pthread_mutex_init(&gate->lock, NULL);
    return gate;
}

struct gate *gate_hold(struct gate *gate) {
    gate->holders++;
    return gate;
}

void gate_drop(struct gate *gate) {
    if (!gate || --gate->holders > 0)
        return;
    (void) pthread_mutex_destroy(&gate->lock);
    free(gate->rules);
    free(gate->opened);
    free(gate);
}

void gate_end(struct gate *gate) {
    (void) pthread_mutex_lock(&gate->lock);
    gate->ended = 1;
    (void) pthread_mutex_unlock(&gate->lock);
}

/* --- telling the helper ------------------------------------------------------------------ */

/* What has ended is forgotten. */
static void forget_old(struct gate *gate, long long now) {
    size_t kept = 0;
    for (size_t i = 0; i < gate->count; i++) {
        if (gate->opened[i].until > now)
            gate->opened[kept++] = gate->opened[i];
    }
    gate->count = kept;
}

/* The whole list; `mode` is LIST (instead of what there is) or LIST_ADD (beside it). */
static int send_list(struct gate *gate, uint64_t op, enum wire_egress mode, struct err *e) {
    struct wire_cidr all[EGRESS_CIDRS_MAX + GATE_ADDRESSES_MAX];
    const long long now = io_now_ms();
    size_t count = gate->rules->cidr_count;
    memcpy(all, gate->rules->cidrs, count * sizeof(all[0]));
    forget_old(gate, now);
    for (size_t i = 0; i < gate->count; i++) {
        const uint32_t left = (uint32_t) ((gate->opened[i].until - now + 999) / 1000);
        all[count++] = (struct wire_cidr){.address = gate->opened[i].address, .prefix = 32, .lifetime = left};
    }
    return priv_net_egress(op, gate->slot, mode, all, count, e);
}

static int send_all(struct gate *gate, uint64_t op, enum wire_egress list, struct err *e) {
    return gate->rules ? send_list(gate, op, list, e) : priv_net_egress(op, gate->slot, gate->mode, NULL, 0, e);
}

int gate_apply(struct gate *gate, uint64_t op, struct err *e) {
    (void) pthread_mutex_lock(&gate->lock);
    int r = gate->ended || gate->mode == WIRE_EGRESS_NONE ? 0 : send_all(gate, op, WIRE_EGRESS_LIST_ADD, e);
    (void) pthread_mutex_unlock(&gate->lock);
    return r;
}

int gate_change(struct gate *gate, uint64_t op, const struct egress_rules *rules, struct err *e) {
    struct egress_rules *fresh;
    if (copy_rules(rules, &fresh))
        return err_set(e, ENOMEM, "out of memory");
    (void) pthread_mutex_lock(&gate->lock);
    int r = gate->ended ? err_set(e, ESRCH, "the VM has ended meanwhile")
                        : priv_net_egress(op, gate->slot, rules->mode, rules->cidrs, rules->cidr_count, e);
    if (r == 0) {
        struct egress_rules *old = gate->rules;
        gate->rules = fresh;
        gate->mode = rules->mode;
        gate->since = time(NULL);
        gate->count = 0;
        fresh = old;
    } else if (!gate->ended) {
        struct err ignored; /* a part of the new list may be in force already */
        (void) send_all(gate, op, WIRE_EGRESS_LIST, &ignored);
    }
    (void) pthread_mutex_unlock(&gate->lock);
    free(fresh);
    return r;
}

/* --- names' addresses ---------------------------------------------------------------------- */

int gate_public(uint32_t address) {
    for (size_t i = 0; i < POLICY_REFUSED; i++) {
        if ((address & ~0u << (32 - policy_refused[i].prefix)) == policy_refused[i].address)
            return 0;
    }
    return 1;
}

static struct opened *find(struct gate *gate, uint32_t address) {
    for (size_t i = 0; i < gate->count; i++) {
        if (gate->opened[i].address == address)
            return &gate->opened[i];
    }
    return NULL;
}

/* Those that end first make room, a quarter of the table at once. */
static void make_room(struct gate *gate) {
    while (gate->count > GATE_ADDRESSES_MAX * 3 / 4) {
        size_t first = 0;
        for (size_t i = 1; i < gate->count; i++) {
            if (gate->opened[i].until < gate->opened[first].until)
                first = i;
        }
        gate->opened[first] = gate->opened[--gate->count];
    }
}

/* Notes it in the table; 1 when the helper has to be told too. What stays open for long enough
 * is left alone: every call of the helper is recorded, and a guest may ask as often as it likes. */
static int note(struct gate *gate, struct gate_address *a, long long now, struct wire_cidr *cidr) {
    const uint32_t sure = a->ttl < GATE_LEAST ? GATE_LEAST : a->ttl > GATE_MOST ? GATE_MOST : a->ttl;
    struct opened *known = find(gate, a->address);
    a->ttl = a->ttl < sure ? a->ttl : sure;
    if (known && known->until - now >= sure * 1000LL)
        return 0;
    if (!known)
        known = &gate->opened[gate->count++];
    *known = (struct opened){a->address, now + 2000LL * sure};
    *cidr = (struct wire_cidr){.address = a->address, .prefix = 32, .lifetime = 2 * sure};
    return 1;
}

static int open_part(struct gate *gate, struct gate_address *addresses, size_t count, struct err *e) {
    struct wire_cidr told[WIRE_CIDR_MAX];
    const long long now = io_now_ms();
    size_t n = 0;
    forget_old(gate, now);
    const int full = gate->count + count > GATE_ADDRESSES_MAX;
    if (full)
        make_room(gate);
    for (size_t i = 0; i < count; i++) {
        if (!egress_rules_address(gate->rules, addresses[i].address))
            n += (size_t) note(gate, &addresses[i], now, &told[n]);
    }
    int r = full ? -ENOSPC : 0;
    if (!full && n)
        r = priv_net_egress(0, gate->slot, WIRE_EGRESS_LIST_ADD, told, n, e);
    if (r == -ENOSPC) /* also where an earlier engine's addresses are there too */
        r = send_list(gate, 0, WIRE_EGRESS_LIST, e);
    for (size_t i = 0; r && i < gate->count; i++)
        gate->opened[i].until = 0; /* whatever is open: the next lookup opens it */
    return r;
}

int gate_open(struct gate *gate, const char *name, struct gate_address *addresses, size_t count, struct err *e) {
    (void) pthread_mutex_lock(&gate->lock);
    int r = 0;
    if (gate->ended || !gate->rules || !egress_rules_name(gate->rules, name))
        r = err_set(e, ECANCELED, "%s may not be reached any longer", name);
    else if (!gate->opened && !(gate->opened = calloc(GATE_ADDRESSES_MAX, sizeof(*gate->opened))))
        r = err_set(e, ENOMEM, "out of memory");
    for (size_t at = 0; r == 0 && at < count; at += WIRE_CIDR_MAX)
        r = open_part(gate, addresses + at, count - at < WIRE_CIDR_MAX ? count - at : WIRE_CIDR_MAX, e);
    (void) pthread_mutex_unlock(&gate->lock);
    return r;
}

/* --- looking ---------------------------------------------------------------------------------- */

enum wire_egress gate_mode(struct gate *gate) {
    (void) pthread_mutex_lock(&gate->lock);
    enum wire_egress mode = gate->mode;
    (void) pthread_mutex_unlock(&gate->lock);
    return mode;
}

int64_t gate_since(struct gate *gate) {
    (void) pthread_mutex_lock(&gate->lock);
    int64_t since = gate->since;
    (void) pthread_mutex_unlock(&gate->lock);
    return since;
}

int gate_names(struct gate *gate, const char *name) {
    (void) pthread_mutex_lock(&gate->lock);
    int named = gate->rules && egress_rules_name(gate->rules, name);
    (void) pthread_mutex_unlock(&gate->lock);
    return named;
}

int gate_holds(struct gate *gate, uint32_t address) {
    (void) pthread_mutex_lock(&gate->lock);
    int held = gate->rules && egress_rules_address(gate->rules, address);
    (void) pthread_mutex_unlock(&gate->lock);
    return held;
}

void gate_each(struct gate *gate, void (*each)(uint32_t address, uint32_t seconds, void *arg), void *arg) {
    (void) pthread_mutex_lock(&gate->lock);
    const long long now = io_now_ms();
    forget_old(gate, now);
    for (size_t i = 0; i < gate->count; i++)
        each(gate->opened[i].address, (uint32_t) ((gate->opened[i].until - now + 999) / 1000), arg);
    (void) pthread_mutex_unlock(&gate->lock);
}
