/* The answer of the agent's service `stats`: "name value" lines. The guest is hostile:
 * what it says is bounded here, and shown as what the guest says. */
#ifndef BANGER_VM_GUEST_STATS_H
#define BANGER_VM_GUEST_STATS_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_STATS_SIZE   4096 /* of an answer, with its NUL */
#define GUEST_STATS_COUNT  14
#define GUEST_NUMBER_LIMIT (INT64_C(1) << 53) /* what JSON carries exactly */

struct guest_stats {
    int64_t values[GUEST_STATS_COUNT]; /* -1: the guest did not say */
};

/* 0, or -EPROTO for anything but lines of a name (small letters, digits, '_'), a space and a number below
 * GUEST_NUMBER_LIMIT, each name once. Names that are not known are passed over. */
int guest_stats_parse(const char *text, size_t size, struct guest_stats *out);

/* {"cpu_ms": ..., ...}, null for what the guest did not say. */
cJSON *guest_stats_json(const struct guest_stats *stats);

#endif
