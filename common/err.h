/* The project's one error idiom.
 *
 * A function that can fail for a reason a person should read takes a
 * `struct err *` as its last parameter and returns 0 or a negative errno. On
 * failure it has filled the error with one sentence that says what is wrong and
 * what to do; on success it leaves it alone. A function whose failure needs no
 * words of its own returns a negative errno and takes no `struct err`.
 *
 * The struct lives on the caller's stack; nothing is allocated. */
#ifndef BANGER_COMMON_ERR_H
#define BANGER_COMMON_ERR_H

#define ERR_TEXT_MAX 512

struct err {
    int code;                /* positive errno, 0 while nothing failed */
    char text[ERR_TEXT_MAX]; /* UTF-8, control bytes already replaced, no newline */
};

/* Fills `e` (may be NULL) with `code` (positive errno) and a sentence; returns -code.
 * Control bytes (C0, DEL, C1) in the result become '?', so text that came from a
 * file, a guest or a server cannot drive a terminal or forge a log line. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, then appends ": " and strerror(code). */
int err_sys(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before the text that is there; returns -e->code. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Replaces control bytes (0x00-0x1f, 0x7f, and the UTF-8 and raw forms of
 * 0x80-0x9f) in the string by '?', in place. */
void text_sanitize(char *text);

#endif
