#include "chain.h"

#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DIGITS_MAX 18 /* and one: no sum of them runs over */

void chain_hash(const char *line, size_t size, char hash[CHAIN_HASH_SIZE]) {
    size_t skipped = size > CHAIN_LINE_MAX ? size - CHAIN_LINE_MAX : 0;
    (void) SHA256Data((const uint8_t *) line + skipped, size - skipped, hash);
}

uint64_t chain_number(const char *line, size_t size) {
    static const char key[] = "{\"n\":";
    uint64_t n = 0;
    size_t i = sizeof(key) - 1;
    if (size <= i || memcmp(line, key, i) != 0)
        return 0;
    for (; i < size && i < sizeof(key) + DIGITS_MAX && line[i] >= '0' && line[i] <= '9'; i++)
        n = n * 10 + (uint64_t) (line[i] - '0');
    return i < size && line[i] == ',' ? n : 0;
}

/* RFC 3339 in UTC, by Howard Hinnant's civil_from_days: gmtime would read a time zone
 * from a file that the environment names. */
static void now(char text[64]) {
    struct timespec t = {0};
    (void) clock_gettime(CLOCK_REALTIME, &t);
    const unsigned s = (unsigned) (t.tv_sec % 86400), ms = (unsigned) (t.tv_nsec / 1000000);
    const unsigned z = (unsigned) (t.tv_sec / 86400) + 719468, era = z / 146097, day = z % 146097;
    const unsigned of_era = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    const unsigned of_year = day - (365 * of_era + of_era / 4 - of_era / 100), m = (5 * of_year + 2) / 153;
    const unsigned month = m < 10 ? m + 3 : m - 9, year = of_era + era * 400 + (month <= 2);
    (void) snprintf(text, 64, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", year % 10000, month,
                    of_year - (153 * m + 2) / 5 + 1, s / 3600, s / 60 % 60, s % 60, ms);
}

static size_t line_start(const char *text, size_t end) {
    while (end > 0 && text[end - 1] != '\n')
        end--;
    return end;
}

size_t chain_append(const char *tail, size_t size, struct chain_record *record, char line[CHAIN_LINE_MAX],
                    char head[CHAIN_HASH_SIZE]) {
    char prev[CHAIN_HASH_SIZE] = CHAIN_ZEROS, time[64];
    const int torn = size > 0 && tail[size - 1] != '\n';
    size_t end = torn || size == 0 ? size : size - 1;
    size_t start = line_start(tail, end);
    if (size > 0)
        chain_hash(tail + start, end - start, prev);
    /* A torn line may have no number: the newest that has one counts. */
    while ((record->n = chain_number(tail + start, end - start)) == 0 && start > 0) {
        end = start - 1;
        start = line_start(tail, end);
    }
    record->n++;
    now(time);
    line[0] = '\n';
    char *text = line + torn;
    int length = snprintf(text, CHAIN_LINE_MAX - 1,
                          "{\"n\":%" PRIu64 ",\"time\":\"%s\",\"uid\":%u,\"pid\":%d,\"op_id\":\"%016" PRIx64
                          "\",\"operation\":\"%s\",\"slot\":%u,\"verdict\":\"%s\",\"reason\":%u,\"why\":\"%s\","
                          "\"prev\":\"%s\"}",
                          record->n, time, record->uid, record->pid, record->op_id, record->operation, record->slot,
                          record->verdict, record->reason, record->why, prev);
    chain_hash(text, (size_t) length, head);
    text[length] = '\n';
    return (size_t) torn + (size_t) length + 1;
}
