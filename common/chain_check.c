#include "chain_check.h"

#include <string.h>

/* The hash that a record ends with, or NULL where the line is no record. */
static const char *prev_of(const char *line, size_t size) {
    static const char before[] = "\"prev\":\"", after[] = "\"}";
    const size_t length = sizeof(before) - 1 + CHAIN_HASH_SIZE - 1 + sizeof(after) - 1;
    if (size < length || size >= CHAIN_LINE_MAX || chain_number(line, size) == 0)
        return NULL;
    const char *end = line + size - length, *hash = end + sizeof(before) - 1;
    if (memcmp(end, before, sizeof(before) - 1) != 0 ||
        memcmp(hash + CHAIN_HASH_SIZE - 1, after, sizeof(after) - 1) != 0)
        return NULL;
    return hash;
}

enum chain_fault chain_check(struct chain_check *check, const char *line, size_t size) {
    const char *prev = prev_of(line, size);
    const uint64_t n = chain_number(line, size);
    const int first = check->head[0] == '\0', any = first && check->within;
    const char *wanted = first ? CHAIN_ZEROS : check->head;
    enum chain_fault fault = CHAIN_GOOD;
    if (!prev)
        fault = CHAIN_TORN;
    else if (!any && memcmp(prev, wanted, CHAIN_HASH_SIZE - 1) != 0)
        fault = CHAIN_PREV;
    else if (!any && n != check->n + 1)
        fault = CHAIN_NUMBER;
    chain_hash(line, size, check->head);
    if (n)
        check->n = n;
    return fault;
}
