#include "names.h"

#include "../../common/io.h"
#include "../../common/log.h"
#include "resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREAD_STACK 131072
#define LINGER_S     5 /* a thread waits so long for the next query */
#define LOCAL_TTL    5 /* an address may be another VM's soon */
#define LOCAL_ZONE   "vm"

struct query {
    struct query *next;
    struct mux_query header;
    uint32_t size;
    uint8_t bytes[MUX_QUERY_MAX];
};

struct names {
    atomic_int holders;
    struct gate *gate;
    struct egress_log *log;
    names_local *local;
    pthread_mutex_t linking; /* held while the link changes; before `lock` */
    pthread_mutex_t lock;    /* of all below; never held over a wait */
    pthread_cond_t more;
    struct link *link; /* NULL: nobody to answer */
    int ended;
    struct query *first, **last;
    unsigned waiting, threads, idle;
    long long tokens, filled; /* in thousandths of a query; io_now_ms */
    _Atomic uint64_t counts[NAMES_DECISIONS];
};

/* --- one query ------------------------------------------------------------------------- */

/* What is decided of one query. Large: of a thread's own, on the heap. */
struct work {
    struct dns_question question;
    struct dns_answer answer;
    struct gate_address addresses[RESOLVE_ADDRESSES_MAX];
    struct resolved resolved;
    uint8_t out[sizeof(struct mux_answer) + DNS_OUT_MAX];
};

static void refuse(struct work *w, enum dns_rcode rcode, enum dns_more more) {
    w->answer = (struct dns_answer){.rcode = rcode, .more = more};
}

static void record(struct names *names, const struct dns_question *question, enum egress_why why) {
    names->counts[egress_why_allowed(why) ? NAMES_ALLOWED : NAMES_REFUSED]++;
    egress_log_add(names->log, question->name, question->type, why);
}

/* NAME.vm; 1 when it is such a name. */
static int answer_local(struct names *names, struct work *w) {
    const char *name = w->question.name;
    const char *dot = strrchr(name, '.');
    char label[EGRESS_NAME_MAX];
    if (strcmp(dot ? dot + 1 : name, LOCAL_ZONE) != 0)
        return 0;
    (void) snprintf(label, sizeof(label), "%.*s", dot ? (int) (dot - name) : 0, name);
    w->addresses[0] = (struct gate_address){.ttl = LOCAL_TTL};
    if (names->local(label, &w->addresses[0].address)) {
        refuse(w, dot ? DNS_NXDOMAIN : DNS_OK, DNS_MORE_NOTHING);
    } else {
        w->answer = (struct dns_answer){.addresses = w->addresses, .count = w->question.type == DNS_A};
        record(names, &w->question, EGRESS_OWN_VM);
    }
    return 1;
}

static int ask_upstream(struct work *w) {
    struct err e;
    if (resolver_ask(w->question.name, w->question.type, &w->resolved, &e) == 0)
        return 0;
    log_debug(0, "looking up %s: %s", w->question.name, e.text);
    refuse(w, DNS_SERVFAIL, DNS_MORE_NETWORK);
    return -1;
}

static void pass_on(struct work *w) {
    w->answer = (struct dns_answer){.rcode = (enum dns_rcode) w->resolved.reply.rcode,
                                    .message = w->resolved.message,
                                    .message_size = w->resolved.reply.size};
}

/* The addresses that the guest may be told of: what a list of ranges holds, and what anybody may reach. */
static size_t sift(struct gate *gate, struct work *w) {
    size_t count = 0;
    for (size_t i = 0; i < w->resolved.reply.count; i++) {
        const struct resolve_address *from = &w->resolved.reply.addresses[i];
        if ((gate_public(from->address) && !from->own) || gate_holds(gate, from->address))
            w->addresses[count++] = (struct gate_address){from->address, from->ttl};
    }
    return count;
}

static enum egress_why answer_opened(struct names *names, struct work *w) {
    struct err e;
    if (ask_upstream(w))
        return EGRESS_FAILED;
    const size_t count = sift(names->gate, w);
    if (count == 0) {
        refuse(w, (enum dns_rcode) w->resolved.reply.rcode,
               w->resolved.reply.count ? DNS_MORE_BLOCKED : DNS_MORE_NOTHING);
        return w->resolved.reply.count ? EGRESS_LOCAL_ADDRESS : EGRESS_LISTED;
    }
    if (gate_open(names->gate, w->question.name, w->addresses, count, &e)) {
        log_warn(0, "opening the addresses of %s: %s", w->question.name, e.text);
        refuse(w, DNS_SERVFAIL, DNS_MORE_NETWORK);
        return EGRESS_FAILED;
    }
    w->answer = (struct dns_answer){.addresses = w->addresses, .count = count};
    return EGRESS_LISTED;
}

static enum egress_why answer_listed(struct names *names, struct work *w) {
    const struct dns_question *q = &w->question;
    if (!gate_names(names->gate, q->name)) {
        refuse(w, DNS_NXDOMAIN, DNS_MORE_PROHIBITED);
        return EGRESS_UNLISTED;
    }
    if (q->type == DNS_A)
        return answer_opened(names, w);
    if (q->type == DNS_AAAA || q->type == DNS_SVCB || q->type == DNS_HTTPS || q->type == DNS_ANY)
        return EGRESS_LISTED;
    if (ask_upstream(w))
        return EGRESS_FAILED;
    pass_on(w);
    return EGRESS_LISTED;
}

static enum egress_why answer_nat(struct work *w) {
    if (ask_upstream(w))
        return EGRESS_FAILED;
    pass_on(w);
    return EGRESS_NAT;
}

static void decide(struct names *names, struct work *w) {
    enum egress_why why = EGRESS_NO_EGRESS;
    const enum wire_egress mode = gate_mode(names->gate);
    w->answer = (struct dns_answer){0};
    if (answer_local(names, w))
        return;
    if (mode == WIRE_EGRESS_LIST)
        why = answer_listed(names, w);
    else if (mode == WIRE_EGRESS_NAT)
        why = answer_nat(w);
    else
        refuse(w, DNS_REFUSED, DNS_MORE_PROHIBITED);
    record(names, &w->question, why);
}

static void answer(struct names *names, const struct query *query, struct work *w) {
    const struct mux_answer head = {.id = query->header.id};
    int rcode = dns_question(query->bytes, query->size, &w->question);
    if (rcode < 0)
        return;
    if (rcode == DNS_OK)
        decide(names, w);
    else
        refuse(w, (enum dns_rcode) rcode, DNS_MORE_NOTHING);
    memcpy(w->out, &head, sizeof(head));
    size_t size = dns_write(&w->question, &w->answer, query->header.tcp != 0, w->out + sizeof(head));
    (void) pthread_mutex_lock(&names->lock);
    struct link *link = names->link && !names->ended ? link_hold(names->link) : NULL;
    (void) pthread_mutex_unlock(&names->lock);
    if (link)
        link_answer(link, w->out, (uint32_t) (sizeof(head) + size));
    link_drop(link);
}

/* --- threads --------------------------------------------------------------------------------- */

/* The next query, or NULL when none came for a while. The lock is held. */
static struct query *next_query(struct names *names) {
    struct timespec until;
    int r = 0;
    (void) clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LINGER_S;
    names->idle++;
    while (!names->first && !names->ended && r == 0)
        r = pthread_cond_clockwait(&names->more, &names->lock, CLOCK_MONOTONIC, &until);
    names->idle--;
    struct query *query = names->first;
    if (query) {
        names->first = query->next;
        names->waiting--;
        if (!names->first)
            names->last = &names->first;
    }
    return query;
}

static void *worker(void *arg) {
    struct names *names = arg;
    struct work *w = malloc(sizeof(*w));
    (void) pthread_mutex_lock(&names->lock);
    for (struct query *query; w && (query = next_query(names));) {
        (void) pthread_mutex_unlock(&names->lock);
        answer(names, query, w);
        free(query);
        (void) pthread_mutex_lock(&names->lock);
    }
    names->threads--;
    (void) pthread_mutex_unlock(&names->lock);
    free(w);
    names_drop(names);
    return NULL;
}

/* The lock is held. */
static void start_worker(struct names *names) {
    pthread_t thread;
    pthread_attr_t attr;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void) pthread_attr_setstacksize(&attr, THREAD_STACK);
    (void) names_hold(names);
    if (pthread_create(&thread, &attr, worker, names) == 0)
        names->threads++;
    else
        names->holders--; /* not the last */
    (void) pthread_attr_destroy(&attr);
}

/* 1 when the guest may ask now: a bucket of NAMES_BURST, filled with NAMES_RATE a second. */
static int may_ask(struct names *names) {
    const long long now = io_now_ms();
    names->tokens += (now - names->filled) * NAMES_RATE;
    names->filled = now;
    if (names->tokens > NAMES_BURST * 1000LL)
        names->tokens = NAMES_BURST * 1000LL;
    if (names->tokens < 1000)
        return 0;
    names->tokens -= 1000;
    return 1;
}

/* The link's reader: under its lock, so nothing here waits. */
static void take(void *arg, const struct mux_query *header, const uint8_t *bytes, uint32_t size) {
    struct names *names = arg;
    (void) pthread_mutex_lock(&names->lock);
    int room = !names->ended && names->waiting < NAMES_QUEUE_MAX && may_ask(names);
    struct query *query = room ? malloc(sizeof(*query)) : NULL;
    if (query) {
        *query = (struct query){.header = *header, .size = size};
        memcpy(query->bytes, bytes, size);
        *names->last = query;
        names->last = &query->next;
        names->waiting++;
        if (names->idle < names->waiting && names->threads < NAMES_THREADS)
            start_worker(names);
        (void) pthread_cond_signal(&names->more);
    } else {
        names->counts[NAMES_DROPPED]++;
    }
    (void) pthread_mutex_unlock(&names->lock);
}

/* --- renewing --------------------------------------------------------------------------------- */

struct renewal {
    int64_t from; /* seconds since 1970: what was asked for after that */
    size_t count;
    char names[EGRESS_LOG_EACH][EGRESS_NAME_MAX];
};

static void collect(const struct egress_entry *entry, void *arg) {
    struct renewal *all = arg;
    if (entry->why == EGRESS_LISTED && entry->type == DNS_A && entry->last >= all->from && all->count < EGRESS_LOG_EACH)
        (void) snprintf(all->names[all->count++], EGRESS_NAME_MAX, "%.*s", EGRESS_NAME_MAX - 1, entry->name);
}

static int has_ended(struct names *names) {
    (void) pthread_mutex_lock(&names->lock);
    int ended = names->ended;
    (void) pthread_mutex_unlock(&names->lock);
    return ended;
}

void names_renew(struct names *names) {
    if (gate_mode(names->gate) != WIRE_EGRESS_LIST)
        return;
    struct renewal *all = calloc(1, sizeof(*all));
    struct work *w = malloc(sizeof(*w));
    const long long end = io_now_ms() + NAMES_RENEW_MS;
    const int64_t since = gate_since(names->gate), oldest = (int64_t) time(NULL) - NAMES_RENEW_FOR;
    if (all && w) {
        all->from = since > oldest ? since : oldest;
        egress_log_each(names->log, collect, all);
    }
    for (size_t i = 0; all && w && i < all->count && io_now_ms() < end && !has_ended(names); i++) {
        w->question = (struct dns_question){.type = DNS_A};
        (void) snprintf(w->question.name, sizeof(w->question.name), "%s", all->names[i]);
        if (gate_names(names->gate, w->question.name))
            (void) answer_opened(names, w); /* what fails now may do the next time, before the address ends */
    }
    free(all);
    free(w);
}

/* --- its life --------------------------------------------------------------------------------- */

struct names *names_new(struct gate *gate, struct egress_log *log, names_local *local) {
    struct names *names = log ? calloc(1, sizeof(*names)) : NULL;
    if (!names) {
        egress_log_close(log);
        return NULL;
    }
    names->holders = 1;
    names->gate = gate_hold(gate);
    names->log = log;
    names->local = local;
    names->last = &names->first;
    names->tokens = NAMES_BURST * 1000LL;
    names->filled = io_now_ms();
    (void) pthread_mutex_init(&names->linking, NULL);
    (void) pthread_mutex_init(&names->lock, NULL);
    (void) pthread_cond_init(&names->more, NULL);
    return names;
}

struct names *names_hold(struct names *names) {
    names->holders++;
    return names;
}

void names_drop(struct names *names) {
    if (!names || --names->holders > 0)
        return;
    for (struct query *query = names->first; query;) {
        struct query *next = query->next;
        free(query);
        query = next;
    }
    gate_drop(names->gate);
    egress_log_close(names->log);
    (void) pthread_mutex_destroy(&names->linking);
    (void) pthread_mutex_destroy(&names->lock);
    (void) pthread_cond_destroy(&names->more);
    free(names);
}

void names_counts(struct names *names, uint64_t counts[NAMES_DECISIONS]) {
    for (size_t i = 0; i < NAMES_DECISIONS; i++)
        counts[i] = names->counts[i];
}

struct egress_log *names_log(struct names *names) {
    return names->log;
}

/* The link's handler is set and taken away without `lock`: the reader takes that under the link's own. Whoever comes
 * second finds what the first has done; after names_end no link is taken any more. */
void names_link(struct names *names, struct link *link) {
    (void) pthread_mutex_lock(&names->linking);
    (void) pthread_mutex_lock(&names->lock);
    struct link *old = names->link;
    names->link = link && !names->ended ? link_hold(link) : NULL;
    link = names->link;
    (void) pthread_mutex_unlock(&names->lock);
    if (old)
        link_on_query(old, NULL, NULL);
    if (link)
        link_on_query(link, take, names);
    (void) pthread_mutex_unlock(&names->linking);
    link_drop(old);
}

void names_end(struct names *names) {
    if (!names)
        return;
    (void) pthread_mutex_lock(&names->lock);
    names->ended = 1;
    (void) pthread_cond_broadcast(&names->more);
    (void) pthread_mutex_unlock(&names->lock);
    names_link(names, NULL);
}
