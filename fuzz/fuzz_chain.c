/* Fuzzes the audit trail: any bytes as an account's file. What is appended to it is one
 * line that is chained to them; and a file made by appending is found whole until a byte
 * of it is changed. Input: two bytes (what is changed, and where), then the file. */
#include "../common/chain.h"
#include "../common/chain_check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES 3

static struct chain_record record_of(const uint8_t *data) {
    return (struct chain_record){.uid = data[0] * 16777619u,
                                 .pid = data[1] << 8,
                                 .op_id = data[0] * 0x0101010101010101u,
                                 .operation = "net_up",
                                 .verdict = data[1] & 1 ? "allowed" : "denied",
                                 .why = "not-recorded",
                                 .slot = data[1],
                                 .reason = data[0]};
}

/* Appends to `file` as the helper does, which reads the last CHAIN_TAIL_MAX bytes; the new size. */
static size_t append(char *file, size_t size, const uint8_t *data) {
    char line[CHAIN_LINE_MAX], head[CHAIN_HASH_SIZE], again[CHAIN_HASH_SIZE];
    struct chain_record record = record_of(data);
    const size_t known = size < CHAIN_TAIL_MAX ? size : CHAIN_TAIL_MAX;
    const int torn = size > 0 && file[size - 1] != '\n';
    const size_t length = chain_append(file + size - known, known, &record, line, head);
    if (length < 2 || length > CHAIN_LINE_MAX || line[length - 1] != '\n' || (line[0] == '\n') != torn)
        abort();
    if (memchr(line + torn, '\n', length - 1 - (size_t) torn) || record.n == 0)
        abort();
    chain_hash(line + torn, length - 1 - (size_t) torn, again);
    const int counts = record.n < UINT64_C(1000000000000000000); /* beyond, a line has no number */
    if (strcmp(head, again) != 0 || (counts && chain_number(line + torn, length - (size_t) torn) != record.n))
        abort();
    memcpy(file + size, line, length);
    return size + length;
}

/* Faults found from `from` on. */
static int check(const char *file, size_t size, struct chain_check *c, size_t from) {
    int faults = 0;
    for (size_t at = from; at < size;) {
        const char *end = memchr(file + at, '\n', size - at);
        size_t length = end ? (size_t) (end - file) - at : size - at;
        faults += chain_check(c, file + at, length) != CHAIN_GOOD;
        at += length + 1;
    }
    return faults;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char file[16384];
    struct chain_check c = {0};
    if (size < 2 || size > 8192)
        return 0;
    size_t old = size - 2, all = old;
    memcpy(file, data + 2, old);
    for (int i = 0; i < LINES; i++)
        all = append(file, all, data);
    (void) check(file, all, &c, 0); /* whatever was there before */
    /* Its own lines alone, in an empty file: good, and no more so after a change. */
    all = 0;
    for (int i = 0; i < LINES; i++)
        all = append(file, all, data);
    c = (struct chain_check){0};
    if (check(file, all, &c, 0) != 0)
        abort();
    const size_t last = (size_t) ((char *) memrchr(file, '\n', all - 1) - file);
    const size_t place = (size_t) data[0] * all / 256;
    if (data[1] == 0)
        return 0;
    file[place] = (char) (file[place] ^ data[1]);
    char head[CHAIN_HASH_SIZE];
    memcpy(head, c.head, sizeof(head));
    c = (struct chain_check){0};
    /* A change of the last line alone shows in the head, which syslog has. */
    if (check(file, all, &c, 0) == 0 && (place < last || strcmp(head, c.head) == 0))
        abort();
    return 0;
}
