/* Checks the audit trail's lines (chain.h), one after the other. The bytes are foreign. */
#ifndef BANGER_COMMON_CHAIN_CHECK_H
#define BANGER_COMMON_CHAIN_CHECK_H

#include "chain.h"

enum chain_fault {
    CHAIN_GOOD,
    CHAIN_TORN,   /* no record; whether it was there is said by the next one */
    CHAIN_PREV,   /* it does not follow the line before it */
    CHAIN_NUMBER, /* it does, but is not numbered so */
};

/* All zeros before the first line of the oldest file. */
struct chain_check {
    int within;                 /* set to 1 where older lines were rotated away: any line may be the first */
    uint64_t n;                 /* of the last line that has one */
    char head[CHAIN_HASH_SIZE]; /* of the last line; "" before the first */
};

/* `line` without its newline. Goes on from it, whatever it found. */
enum chain_fault chain_check(struct chain_check *check, const char *line, size_t size);

#endif
