#include "guest_stats.h"

#include <errno.h>
#include <string.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

static const char *const names[GUEST_STATS_COUNT] = {
    "cpu_ms",       "stolen_ms", "cpus",      "memory_total", "memory_available", "load1_milli", "load5_milli",
    "load15_milli", "uptime_ms", "processes", "root_total",   "root_available",   "work_total",  "work_available",
};

/* The index of the name, or GUEST_STATS_COUNT. */
static size_t find(const char *name, size_t length) {
    size_t i = 0;
    while (i < GUEST_STATS_COUNT && (strlen(names[i]) != length || memcmp(names[i], name, length) != 0))
        i++;
    return i;
}

/* Digits from `at` to `end`: the number, or -1. */
static int64_t number(const char *at, const char *end) {
    int64_t value = 0;
    if (at == end)
        return -1;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        value = value * 10 + (*at - '0');
        if (value >= GUEST_NUMBER_LIMIT)
            return -1;
    }
    return value;
}

static int take_line(const char *line, const char *end, struct guest_stats *out) {
    const size_t length = strspn(line, NAME_CHARACTERS);
    if (length == 0 || line[length] != ' ')
        return -EPROTO;
    const int64_t value = number(line + length + 1, end);
    const size_t which = find(line, length);
    if (value < 0)
        return -EPROTO;
    if (which == GUEST_STATS_COUNT)
        return 0;
    if (out->values[which] >= 0)
        return -EPROTO;
    out->values[which] = value;
    return 0;
}

int guest_stats_parse(const char *text, size_t size, struct guest_stats *out) {
    for (size_t i = 0; i < GUEST_STATS_COUNT; i++)
        out->values[i] = -1;
    if (memchr(text, '\0', size))
        return -EPROTO;
    for (const char *line = text; line < text + size;) {
        const char *end = memchr(line, '\n', size - (size_t) (line - text));
        if (!end || take_line(line, end, out))
            return -EPROTO;
        line = end + 1;
    }
    return 0;
}

cJSON *guest_stats_json(const struct guest_stats *stats) {
    cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < GUEST_STATS_COUNT; i++) {
        if (stats->values[i] < 0)
            (void) cJSON_AddNullToObject(object, names[i]);
        else
            (void) cJSON_AddNumberToObject(object, names[i], (double) stats->values[i]);
    }
    return object;
}
