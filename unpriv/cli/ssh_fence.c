#include "ssh_fence.h"

#include <errno.h>
#include <string.h>

#define BLANK(c) ((c) == ' ' || (c) == '\t' || (c) == '\r')

enum line { LINE_BEGIN, LINE_END, LINE_OURS, LINE_OTHER };

static int begins(const char *line, size_t size, const char *word) {
    const size_t length = strlen(word);
    return size >= length && strncasecmp(line, word, length) == 0 && (size == length || BLANK(line[length]));
}

/* Where it is moved in or ends in blanks it is the same line. */
static enum line what_is(const char *line, size_t size) {
    while (size > 0 && BLANK(*line)) {
        line++;
        size--;
    }
    while (size > 0 && BLANK(line[size - 1]))
        size--;
    if (begins(line, size, "# BEGIN banger"))
        return LINE_BEGIN;
    if (begins(line, size, "# END banger"))
        return LINE_END;
    return size == 0 || begins(line, size, "Include") ? LINE_OURS : LINE_OTHER;
}

struct search {
    size_t at, length;
    unsigned begin; /* line number, 0: not there */
    int closed;
};

static int take_line(struct search *s, enum line what, unsigned number, struct err *e) {
    if (what == LINE_BEGIN && s->begin)
        return err_set(e, EINVAL, "line %u begins banger's part again, after line %u: remove one of both", number,
                       s->begin);
    if (what == LINE_END && (!s->begin || s->closed))
        return err_set(e, EINVAL, "line %u ends a part of banger's that does not begin: remove it", number);
    if (what == LINE_OTHER && s->begin && !s->closed)
        return err_set(e, EINVAL, "line %u is within banger's part, but not banger's: move it out", number);
    if (what == LINE_BEGIN)
        s->begin = number;
    s->closed |= what == LINE_END;
    return 0;
}

int fence_find(const char *text, size_t size, size_t *at, size_t *length, struct err *e) {
    struct search s = {0};
    unsigned number = 0;
    if (memchr(text, '\0', size))
        return err_set(e, EINVAL, "it is no text: it has a NUL byte");
    for (size_t line = 0, next; line < size; line = next) {
        const char *newline = memchr(text + line, '\n', size - line);
        const size_t end = newline ? (size_t) (newline - text) : size;
        next = newline ? end + 1 : size;
        const enum line what = what_is(text + line, end - line);
        int r = take_line(&s, what, ++number, e);
        if (r)
            return r;
        if (what == LINE_BEGIN)
            s.at = line;
        if (what == LINE_END)
            s.length = next - s.at;
    }
    if (s.begin && !s.closed)
        return err_set(e, EINVAL, "banger's part begins in line %u and does not end: add \"" FENCE_END "\" behind it",
                       s.begin);
    *at = s.at;
    *length = s.length;
    return 0;
}
