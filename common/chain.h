/* The audit trail's lines. Each is one JSON object of fixed members in a fixed order and
 * carries the SHA-256 of the whole line before it (without the newline; 64 zeros for the
 * first), so no line can be edited, removed or moved without showing. What a crash tore
 * off is covered as a line too. No heap. */
#ifndef BANGER_COMMON_CHAIN_H
#define BANGER_COMMON_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#define CHAIN_FOLDER    "/var/log/banger" /* root:root 0700 */
#define CHAIN_FILE      "audit-%u.jsonl"  /* an account's, by its uid; root:root 0600 */
#define CHAIN_LINE_MAX  512               /* bytes of a line with its newline; of a longer one the last count */
#define CHAIN_TAIL_MAX  1024              /* two lines */
#define CHAIN_HASH_SIZE 65                /* lower-case hexadecimal and NUL */
#define CHAIN_ZEROS     "0000000000000000000000000000000000000000000000000000000000000000"

struct chain_record {
    uint64_t n; /* from 1; set by chain_append */
    uint32_t uid;
    int32_t pid;
    uint64_t op_id;
    const char *operation; /* this and the next two: the program's own words */
    const char *verdict;
    const char *why;
    uint32_t slot;
    uint32_t reason;
};

/* Makes the line that follows a file whose last bytes are `tail` (all of them, or the last
 * CHAIN_TAIL_MAX): sets `record->n`, and `head` to the new line's hash. Returns the bytes
 * of `line`, which begin with a newline where the file ends within a line. */
size_t chain_append(const char *tail, size_t size, struct chain_record *record, char line[CHAIN_LINE_MAX],
                    char head[CHAIN_HASH_SIZE]);

/* The hash of a line of `size` bytes, without its newline. */
void chain_hash(const char *line, size_t size, char hash[CHAIN_HASH_SIZE]);
/* The number a line begins with, 0 where it does not. */
uint64_t chain_number(const char *line, size_t size);

#endif
