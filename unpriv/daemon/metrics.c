#include "metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define OPS_MAX 96 /* more than all tables have */
#define BOUNDS  8

struct histogram {
    uint64_t counts[BOUNDS + 1]; /* each on its own; the last is beyond every bound */
    uint64_t sum_ms;
};

static const long long request_bounds[BOUNDS] = {5, 20, 100, 500, 2000, 10000, 60000, 600000};
static const long long boot_bounds[BOUNDS] = {250, 500, 1000, 2000, 5000, 10000, 30000, 120000};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    const char *name;
    uint64_t failed;
    struct histogram all;
} ops[OPS_MAX];
static size_t op_count;
static struct histogram boots;
static uint64_t pulled;

static void observe(struct histogram *h, const long long *bounds, long long ms) {
    size_t i = 0;
    while (i < BOUNDS && ms > bounds[i])
        i++;
    h->counts[i]++;
    h->sum_ms += (uint64_t) ms;
}

void metrics_request(const char *op, int failed, long long ms) {
    size_t i = 0;
    (void) pthread_mutex_lock(&mutex);
    while (i < op_count && ops[i].name != op)
        i++;
    if (i < OPS_MAX) {
        ops[i].name = op;
        op_count += i == op_count;
        ops[i].failed += failed != 0;
        observe(&ops[i].all, request_bounds, ms);
    }
    (void) pthread_mutex_unlock(&mutex);
}

void metrics_boot(long long ms) {
    (void) pthread_mutex_lock(&mutex);
    observe(&boots, boot_bounds, ms);
    (void) pthread_mutex_unlock(&mutex);
}

void metrics_pulled(int64_t bytes) {
    (void) pthread_mutex_lock(&mutex);
    pulled += bytes > 0 ? (uint64_t) bytes : 0;
    (void) pthread_mutex_unlock(&mutex);
}

/* --- printing: `mutex` is held ----------------------------------------------------------- */

static uint64_t total(const struct histogram *h) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= BOUNDS; i++)
        sum += h->counts[i];
    return sum;
}

/* `op` is a label's value, NULL for none. Buckets are cumulative. */
static void print_histogram(FILE *out, const char *name, const char *op, const struct histogram *h,
                            const long long *bounds) {
    char label[80] = "";
    char only[84] = "";
    uint64_t sum = 0;
    if (op) {
        (void) snprintf(label, sizeof(label), "op=\"%s\",", op);
        (void) snprintf(only, sizeof(only), "{op=\"%s\"}", op);
    }
    for (size_t i = 0; i < BOUNDS; i++) {
        sum += h->counts[i];
        (void) fprintf(out, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, label, (double) bounds[i] / 1000, sum);
    }
    (void) fprintf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, label, total(h));
    (void) fprintf(out, "%s_sum%s %.3f\n", name, only, (double) h->sum_ms / 1000);
    (void) fprintf(out, "%s_count%s %" PRIu64 "\n", name, only, total(h));
}

void metrics_print_counters(FILE *out) {
    (void) pthread_mutex_lock(&mutex);
    (void) fputs("# HELP banger_requests_total Requests that have ended, by operation and result.\n"
                 "# TYPE banger_requests_total counter\n",
                 out);
    for (size_t i = 0; i < op_count; i++)
        (void) fprintf(out,
                       "banger_requests_total{op=\"%s\",result=\"ok\"} %" PRIu64 "\n"
                       "banger_requests_total{op=\"%s\",result=\"error\"} %" PRIu64 "\n",
                       ops[i].name, total(&ops[i].all) - ops[i].failed, ops[i].name, ops[i].failed);
    (void) fputs("# HELP banger_request_seconds From a request's line to its last answer.\n"
                 "# TYPE banger_request_seconds histogram\n",
                 out);
    for (size_t i = 0; i < op_count; i++)
        print_histogram(out, "banger_request_seconds", ops[i].name, &ops[i].all, request_bounds);
    (void) fputs("# HELP banger_vm_boot_seconds From the begin of a VM's start until its guest was ready.\n"
                 "# TYPE banger_vm_boot_seconds histogram\n",
                 out);
    print_histogram(out, "banger_vm_boot_seconds", NULL, &boots, boot_bounds);
    (void) fprintf(out,
                   "# HELP banger_pulled_bytes_total Bytes that pulls have transferred.\n"
                   "# TYPE banger_pulled_bytes_total counter\n"
                   "banger_pulled_bytes_total %" PRIu64 "\n",
                   pulled);
    (void) pthread_mutex_unlock(&mutex);
}
