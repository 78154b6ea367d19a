/* daemon.metrics: the counters of metrics.c, the events of this engine by kind, and what each
 * VM and the engine itself use at the moment. */
#include "../../common/addr.h"
#include "../../common/cleanup.h"
#include "../store/events.h"
#include "../vm/stats.h"
#include "../vm/vm.h"
#include "engine.h"
#include "metrics.h"
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define KINDS_MAX 64
#define BATCH     32

void metrics_label(FILE *out, const char *value) {
    for (; *value; value++) {
        if (*value == '\n')
            (void) fputs("\\n", out);
        else if (*value == '"' || *value == '\\')
            (void) fprintf(out, "\\%c", *value);
        else
            (void) fputc(*value, out);
    }
}

static void family(FILE *out, const char *name, const char *type, const char *help) {
    (void) fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* --- events --------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    int64_t cursor; /* of the last that was counted */
    struct {
        char kind[EVENT_KIND_SIZE];
        uint64_t count;
    } kinds[KINDS_MAX];
    size_t used;
} counted = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void count_event(const struct event *event) {
    size_t i = 0;
    while (i < counted.used && strcmp(counted.kinds[i].kind, event->kind) != 0)
        i++;
    if (i == KINDS_MAX)
        return;
    if (i == counted.used)
        memcpy(counted.kinds[counted.used++].kind, event->kind, EVENT_KIND_SIZE);
    counted.kinds[i].count++;
}

/* Those since this engine began: a restart leaves a row of its own, so there is always one. What was
 * dropped before anybody asked is not counted. */
static int count_events(struct err *e) {
    struct event batch[BATCH];
    int n = 0;
    if (counted.cursor == 0) {
        n = events_newest(EVENT_DAEMON_STARTED, EVENT_DAEMON_RESTARTED, &batch[0], e);
        counted.cursor = n || batch[0].id < 1 ? 0 : batch[0].id - 1;
    }
    while (n >= 0) {
        n = events_read(counted.cursor, batch, BATCH, e);
        if (n == -ESTALE) {
            counted.cursor = 0;
            n = events_read(0, batch, BATCH, e);
        }
        if (n <= 0)
            break;
        for (int i = 0; i < n; i++)
            count_event(&batch[i]);
        counted.cursor = batch[n - 1].id;
    }
    return n;
}

static int print_events(FILE *out, struct err *e) {
    family(out, "banger_events_total", "counter", "Events of this engine (banger events), by kind.");
    (void) pthread_mutex_lock(&counted.lock);
    int r = count_events(e);
    for (size_t i = 0; i < counted.used; i++)
        (void) fprintf(out, "banger_events_total{kind=\"%s\"} %" PRIu64 "\n", counted.kinds[i].kind,
                       counted.kinds[i].count);
    (void) pthread_mutex_unlock(&counted.lock);
    return r;
}

/* --- VMs ------------------------------------------------------------------------------ */

struct machine {
    struct vm_record record;
    struct vm_usage usage;
};
struct machines {
    struct machine *list;
    size_t count;
    int failed; /* no memory for all */
};

static void add_machine(const struct vm_record *r, void *arg) {
    struct machines *all = arg;
    if (all->count % 16 == 0) {
        struct machine *more = realloc(all->list, (all->count + 16) * sizeof(*more));
        all->failed |= !more;
        if (!more)
            return;
        all->list = more;
    }
    if (!all->failed)
        all->list[all->count++].record = *r;
}

static void print_states(FILE *out, const struct machines *all) {
    family(out, "banger_vms", "gauge", "VMs by state.");
    for (enum vm_state state = VM_STOPPED; state <= VM_FAILED; state++) {
        size_t count = 0;
        for (size_t i = 0; i < all->count; i++)
            count += all->list[i].record.state == state;
        (void) fprintf(out, "banger_vms{state=\"%s\"} %zu\n", vm_state_name(state), count);
    }
}

static double cpu_of(const struct vm_usage *u) {
    return (double) u->usage.cpu_us / 1e6;
}
static double memory_of(const struct vm_usage *u) {
    return (double) u->usage.memory;
}
static double sent_of(const struct vm_usage *u) {
    return (double) u->usage.sent;
}
static double received_of(const struct vm_usage *u) {
    return (double) u->usage.received;
}
static double root_of(const struct vm_usage *u) {
    return (double) u->root;
}
static double work_of(const struct vm_usage *u) {
    return (double) u->work;
}

static double allowed_of(const struct vm_usage *u) {
    return (double) u->lookups[NAMES_ALLOWED];
}
static double refused_of(const struct vm_usage *u) {
    return (double) u->lookups[NAMES_REFUSED];
}
static double dropped_of(const struct vm_usage *u) {
    return (double) u->lookups[NAMES_DROPPED];
}

static const struct figure {
    const char *name, *type, *help; /* help NULL: of the family before */
    const char *label;              /* one more, or "" */
    unsigned needs;                 /* any of these in `have`; 0: always known */
    double (*value)(const struct vm_usage *usage);
} figures[] = {
    {"banger_vm_cpu_seconds_total", "counter", "Processor time of a VM's VMM and jail.", "",
     USAGE_CGROUP | USAGE_PROCESS, cpu_of},
    {"banger_vm_memory_bytes", "gauge", "Memory of a VM's VMM and jail on the host.", "", USAGE_CGROUP | USAGE_PROCESS,
     memory_of},
    {"banger_vm_network_bytes_total", "counter", "Bytes at a VM's tap, as its guest sees them.", ",direction=\"sent\"",
     USAGE_NETWORK, sent_of},
    {"banger_vm_network_bytes_total", NULL, NULL, ",direction=\"received\"", USAGE_NETWORK, received_of},
    {"banger_vm_lookups_total", "counter", "Names that a guest asked for (banger vm egress), by what was decided.",
     ",decision=\"allowed\"", USAGE_LOOKUPS, allowed_of},
    {"banger_vm_lookups_total", NULL, NULL, ",decision=\"refused\"", USAGE_LOOKUPS, refused_of},
    {"banger_vm_lookups_total", NULL, NULL, ",decision=\"dropped\"", USAGE_LOOKUPS, dropped_of},
    {"banger_vm_disk_bytes", "gauge", "Bytes that a VM's disks take on the host's.", ",disk=\"root\"", 0, root_of},
    {"banger_vm_disk_bytes", NULL, NULL, ",disk=\"work\"", 0, work_of},
};

static void print_figure(FILE *out, const struct figure *f, const struct machines *all) {
    if (f->help)
        family(out, f->name, f->type, f->help);
    for (size_t i = 0; i < all->count; i++) {
        const struct machine *m = &all->list[i];
        if (f->needs && !(m->usage.usage.have & f->needs))
            continue;
        (void) fprintf(out, "%s{vm=\"", f->name);
        metrics_label(out, m->record.name);
        (void) fprintf(out, "\",id=\"%s\"%s} %.17g\n", m->record.id, f->label, f->value(&m->usage));
    }
}

static int print_machines(FILE *out, struct err *e) {
    struct machines all = {0};
    int r = store_vms(add_machine, &all, e);
    if (r == 0 && all.failed)
        r = err_set(e, ENOMEM, "out of memory for the figures of all VMs");
    for (size_t i = 0; i < all.count && r == 0; i++)
        vm_usage_read(&all.list[i].record, &all.list[i].usage);
    if (r == 0) {
        print_states(out, &all);
        for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
            print_figure(out, &figures[i], &all);
    }
    free(all.list);
    return r;
}

/* --- the engine ----------------------------------------------------------------------- */

static int open_files(void) {
    struct rlimit limit;
    int count = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 0;
    for (int fd = 0; fd < (int) limit.rlim_cur; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* With the names that Prometheus' client libraries have for any process. */
static void print_engine(FILE *out) {
    struct usage usage = {0};
    struct err e;
    cleanup_fd int self = pidfd_open(getpid(), 0);
    family(out, "banger_build_info", "gauge", "Always 1; the version is a label.");
    (void) fputs("banger_build_info{version=\"", out);
    metrics_label(out, engine.version);
    (void) fputs("\"} 1\n", out);
    family(out, "process_open_fds", "gauge", "Descriptors that bangerd's engine has open.");
    (void) fprintf(out, "process_open_fds %d\n", open_files());
    if (self < 0 || monitor_usage(SLOT_MAX, self, &usage, &e) || !(usage.have & USAGE_PROCESS))
        return;
    family(out, "process_cpu_seconds_total", "counter", "Processor time of bangerd's engine.");
    (void) fprintf(out, "process_cpu_seconds_total %.17g\n", (double) usage.cpu_us / 1e6);
    family(out, "process_resident_memory_bytes", "gauge", "Resident memory of bangerd's engine.");
    (void) fprintf(out, "process_resident_memory_bytes %" PRIu64 "\n", usage.memory);
}

char *metrics_text(struct err *e) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        (void) err_set(e, ENOMEM, "out of memory for the metrics");
        return NULL;
    }
    print_engine(out);
    int r = print_machines(out, e);
    if (r == 0)
        r = print_events(out, e);
    metrics_print_counters(out);
    if (fclose(out) && r == 0)
        r = err_set(e, ENOMEM, "out of memory for the metrics");
    if (r == 0)
        return text;
    free(text);
    return NULL;
}

int op_metrics(struct rpc *rpc, cJSON **result, struct err *e) {
    (void) rpc;
    cleanup_free char *text = metrics_text(e);
    if (!text)
        return -e->code;
    *result = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(*result, "text", text);
    return 0;
}
