#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at `s`, or 0 (RFC 3629, section 4). */
static unsigned utf8_length(const unsigned char *s) {
    unsigned need = s[0] < 0x80                   ? 1
                    : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                    : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                    : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                  : 0;
    for (unsigned i = 1; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return need;
}

/* What turns the direction of text, breaks lines or has no width (U+200B to 200F, 2028 to
 * 202E, 2066 to 2069), so that a terminal shows something else than is there. */
static int misleads(const unsigned char *s) {
    return s[0] == 0xe2 && ((s[1] == 0x80 && ((s[2] >= 0x8b && s[2] <= 0x8f) || (s[2] >= 0xa8 && s[2] <= 0xae))) ||
                            (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
}

void text_sanitize(char *text) {
    unsigned char *s = (unsigned char *) text;
    while (*s) {
        unsigned length = utf8_length(s);
        if (length == 0 || (length == 1 && (*s < 0x20 || *s == 0x7f))) {
            *s++ = '?';
        } else if (length == 2 && s[0] == 0xc2 && s[1] < 0xa0) {
            s[0] = s[1] = '?';
            s += 2;
        } else if (length == 3 && misleads(s)) {
            s[0] = s[1] = s[2] = '?';
            s += 3;
        } else {
            s += length;
        }
    }
}

static int set_text(struct err *e, int code, const char *fmt, va_list args) {
    if (e) {
        e->code = code;
        (void) vsnprintf(e->text, sizeof(e->text), fmt, args);
        text_sanitize(e->text);
    }
    return -code;
}

int err_set(struct err *e, int code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int r = set_text(e, code, fmt, args);
    va_end(args);
    return r;
}

int err_sys(struct err *e, int code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int r = set_text(e, code, fmt, args);
    va_end(args);
    if (e) {
        size_t used = strlen(e->text);
        (void) snprintf(e->text + used, sizeof(e->text) - used, ": %s", strerror(code));
        text_sanitize(e->text); /* the end may have been cut within a character */
    }
    return r;
}

int err_prefix(struct err *e, const char *fmt, ...) {
    if (!e)
        return -1;
    char before[ERR_TEXT_MAX];
    memcpy(before, e->text, sizeof(before));
    va_list args;
    va_start(args, fmt);
    int r = set_text(e, e->code, fmt, args);
    va_end(args);
    size_t used = strlen(e->text);
    (void) snprintf(e->text + used, sizeof(e->text) - used, ": %s", before);
    text_sanitize(e->text);
    return r;
}
