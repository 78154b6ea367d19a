/* The audit trail's lines, made and checked without a file system. */
#include "../../common/chain_check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char file[65536];
static size_t used;

static void reset(void) {
    used = 0;
}
TestSuite(chain, .init = reset);

/* As a helper: from the tail alone. */
static struct chain_record append(void) {
    struct chain_record r = {.uid = UINT32_MAX,
                             .pid = INT32_MAX,
                             .op_id = UINT64_MAX,
                             .operation = "net_egress",
                             .verdict = "allowed",
                             .why = "special-account",
                             .slot = UINT32_MAX,
                             .reason = UINT32_MAX};
    char line[CHAIN_LINE_MAX], head[CHAIN_HASH_SIZE], again[CHAIN_HASH_SIZE];
    size_t start = used > CHAIN_TAIL_MAX ? used - CHAIN_TAIL_MAX : 0;
    size_t n = chain_append(file + start, used - start, &r, line, head);
    cr_assert_leq(n, sizeof(line));
    memcpy(file + used, line, n);
    used += n;
    size_t skip = line[0] == '\n';
    chain_hash(line + skip, n - skip - 1, again);
    cr_expect_str_eq(head, again);
    return r;
}

/* The faults of all lines, by number; the last line's n. */
static uint64_t check(int counts[4]) {
    struct chain_check c = {0};
    memset(counts, 0, 4 * sizeof(*counts));
    for (size_t at = 0; at < used;) {
        const char *end = memchr(file + at, '\n', used - at);
        size_t size = end ? (size_t) (end - file) - at : used - at;
        counts[chain_check(&c, file + at, size)]++;
        at += size + 1;
    }
    return c.n;
}

static size_t line_at(int number) {
    size_t at = 0;
    while (--number > 0)
        at = (size_t) ((char *) memchr(file + at, '\n', used - at) - file) + 1;
    return at;
}

static void fill(int lines) {
    for (int i = 0; i < lines; i++)
        cr_expect(append().n == (uint64_t) i + 1);
}

Test(chain, grows) {
    int c[4];
    fill(40);
    cr_expect(check(c) == 40);
    cr_expect(c[CHAIN_GOOD] == 40);
    cr_expect_not_null(strstr(file, CHAIN_ZEROS));
}

Test(chain, every_flipped_byte_but_the_last_lines_shows) {
    fill(4);
    for (size_t i = 0; i < line_at(4); i++) {
        int c[4];
        file[i] ^= 1;
        (void) check(c);
        cr_expect(c[CHAIN_GOOD] < 4, "byte %zu", i);
        file[i] ^= 1;
    }
}

Test(chain, removed_and_moved_lines_show) {
    for (int number = 1; number < 5; number++) {
        int c[4];
        reset();
        fill(5);
        size_t from = line_at(number), to = line_at(number + 1);
        memmove(file + from, file + to, used - to);
        used -= to - from;
        (void) check(c);
        cr_expect(c[CHAIN_PREV] == 1, "line %d", number);
    }
}

Test(chain, every_torn_end_is_covered) {
    fill(3);
    const size_t whole = used, last = line_at(3);
    char kept[sizeof(file)];
    memcpy(kept, file, whole);
    for (size_t end = last; end < whole; end++) {
        int c[4];
        memcpy(file, kept, whole);
        used = end;
        struct chain_record r = append();
        cr_expect(r.n == 3 || r.n == 4);
        cr_expect(check(c) == r.n, "torn at %zu", end - last);
        cr_expect(c[CHAIN_PREV] == 0 && c[CHAIN_NUMBER] == 0, "torn at %zu", end - last);
    }
}

Test(chain, junk_of_any_length_is_followed) {
    for (size_t size = 1; size < 3000; size += 61) {
        int c[4];
        reset();
        memset(file, 'x', size);
        used = size;
        (void) append();
        (void) append();
        struct chain_check check_junk = {0};
        cr_expect(chain_check(&check_junk, file, size) == CHAIN_TORN);
        (void) check(c);
        cr_expect(c[CHAIN_PREV] == 0, "%zu bytes", size);
    }
}

Test(chain, numbers) {
    cr_expect(chain_number("{\"n\":12,", 8) == 12);
    cr_expect(chain_number("{\"n\":12", 7) == 0);
    cr_expect(chain_number("{\"n\":,", 6) == 0);
    cr_expect(chain_number("{\"n\":-1,", 8) == 0);
    cr_expect(chain_number("", 0) == 0);
    cr_expect(chain_number("{\"n\":99999999999999999999999999,", 32) == 0);
}
