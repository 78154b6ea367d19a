/* What the engine counts, for `banger metrics` (docs/metrics.md). All thread-safe; counters
 * begin at 0 with each engine. */
#ifndef BANGER_DAEMON_METRICS_H
#define BANGER_DAEMON_METRICS_H

#include "../../common/err.h"
#include "rpc.h"

#include <stdint.h>
#include <stdio.h>

/* A request has ended. `op` is the name in an operation table, which outlives it. */
void metrics_request(const char *op, int failed, long long ms);
/* A guest became ready, this long after its start was begun. */
void metrics_boot(long long ms);
/* A pull has transferred so much from the network. */
void metrics_pulled(int64_t bytes);

/* Writes the families of the above, in the Prometheus text format 0.0.4. */
void metrics_print_counters(FILE *out);

/* All families: malloc'ed text, the caller's; NULL with `e` filled. Asks no guest. */
char *metrics_text(struct err *e);

/* A label's value with '\', '"' and newlines escaped, as that format has it. */
void metrics_label(FILE *out, const char *value);

rpc_handler op_metrics;

#endif
