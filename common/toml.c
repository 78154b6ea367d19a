#include "toml.h"

#include <errno.h>
#include <string.h>

/* One line, and what the lines before it leave. */
struct reader {
    const char *at, *end; /* of the line, without its newline */
    char table[TOML_NAME_MAX], key[TOML_NAME_MAX], text[TOML_TEXT_MAX];
    struct toml_entry entry;
};

/* --- characters ----------------------------------------------------------------- */

/* Bytes of the UTF-8 character at `s` (RFC 3629), 0 for none. */
static size_t utf8_size(const unsigned char *s, size_t left) {
    static const struct {
        unsigned char first, last, low, high; /* of the lead byte, and of the second */
        size_t size;
    } forms[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                 {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                 {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (forms[i].size > left || (forms[i].size > 1 && (s[1] < forms[i].low || s[1] > forms[i].high)))
            return 0;
        for (size_t k = 2; k < forms[i].size; k++) {
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        }
        return forms[i].size;
    }
    return 0;
}

static int check_characters(const struct reader *r, struct err *e) {
    for (const char *at = r->at; at < r->end;) {
        size_t size = utf8_size((const unsigned char *) at, (size_t) (r->end - at));
        if (size == 0)
            return err_set(e, EINVAL, "this line is not UTF-8");
        if (((unsigned char) *at < 0x20 && *at != '\t') || *at == 0x7f)
            return err_set(e, EINVAL, "this line contains a control character");
        at += size;
    }
    return 0;
}

static void skip_blanks(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
}

static int at_end(struct reader *r) {
    skip_blanks(r);
    return r->at == r->end || *r->at == '#';
}

static int take(struct reader *r, const char *word) {
    size_t size = strlen(word);
    if ((size_t) (r->end - r->at) < size || memcmp(r->at, word, size) != 0)
        return 0;
    r->at += size;
    return 1;
}

/* --- names and values ------------------------------------------------------------- */

static int is_bare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static int read_name(struct reader *r, char out[TOML_NAME_MAX], struct err *e) {
    size_t size = 0;
    skip_blanks(r);
    while (r->at + size < r->end && is_bare(r->at[size]))
        size++;
    if (size == 0 || size >= TOML_NAME_MAX)
        return err_set(e, EINVAL, "expected a name of 1 to %d letters, digits, _ and -", TOML_NAME_MAX - 1);
    memcpy(out, r->at, size);
    out[size] = '\0';
    r->at += size;
    skip_blanks(r);
    return 0;
}

/* Appends a character in UTF-8; 0 where there is no room. */
static int put_character(char out[TOML_TEXT_MAX], size_t *used, uint32_t c) {
    unsigned char bytes[4] = {(unsigned char) c};
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; size > 1 && i-- > 0; c >>= 6)
        bytes[i] = i ? (unsigned char) (0x80 | (c & 0x3f)) : (unsigned char) (lead[size] | c);
    if (*used + size >= TOML_TEXT_MAX)
        return 0;
    memcpy(out + *used, bytes, size);
    *used += size;
    return 1;
}

/* The hexadecimal digits of \u or \U; UINT32_MAX for anything else. */
static uint32_t read_hex(struct reader *r, int digits) {
    static const char hex[] = "0123456789abcdef0123456789ABCDEF";
    uint32_t value = 0;
    for (int i = 0; i < digits; i++, r->at++) {
        const char *digit = r->at < r->end ? memchr(hex, *r->at, sizeof(hex) - 1) : NULL;
        if (!digit)
            return UINT32_MAX;
        value = value << 4 | (uint32_t) ((digit - hex) & 15);
    }
    return value;
}

/* What follows a backslash: a character, UINT32_MAX for none. */
static uint32_t read_escape(struct reader *r) {
    static const char letters[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
    if (r->at == r->end)
        return UINT32_MAX;
    char c = *r->at++;
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter)
        return (unsigned char) values[letter - letters];
    uint32_t value = c == 'u' ? read_hex(r, 4) : c == 'U' ? read_hex(r, 8) : UINT32_MAX;
    return value == 0 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ? UINT32_MAX : value;
}

/* After the opening quote. */
static int read_string(struct reader *r, struct err *e) {
    size_t used = 0;
    while (r->at < r->end && *r->at != '"') {
        int fits = 1;
        if (*r->at == '\\') {
            r->at++;
            uint32_t c = read_escape(r);
            if (c == UINT32_MAX)
                return err_set(e, EINVAL, "a backslash must be followed by b t n f r \" \\ uXXXX or UXXXXXXXX");
            fits = put_character(r->text, &used, c);
        } else if ((fits = used + 1 < TOML_TEXT_MAX)) {
            r->text[used++] = *r->at++;
        }
        if (!fits)
            return err_set(e, EINVAL, "a string may have at most %d bytes", TOML_TEXT_MAX - 1);
    }
    if (r->at == r->end)
        return err_set(e, EINVAL, "the string has no closing quote");
    r->at++;
    r->text[used] = '\0';
    r->entry.type = TOML_STRING;
    r->entry.text = r->text;
    return 0;
}

static int is_digit(const struct reader *r) {
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* Decimal, with single underscores between digits and no leading zero: 1, or 0 for anything else. */
static int read_integer(struct reader *r) {
    int minus = take(r, "-");
    int64_t value = 0;
    if (!minus)
        (void) take(r, "+");
    const char *first = r->at;
    while (is_digit(r)) {
        int digit = *r->at++ - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, minus ? -digit : digit, &value) || (r->at - first > 1 && *first == '0'))
            return 0;
        if (take(r, "_") && !is_digit(r))
            return 0;
    }
    r->entry.type = TOML_INTEGER;
    r->entry.number = value;
    return r->at > first;
}

static int read_value(struct reader *r, struct err *e) {
    r->entry.text = NULL;
    r->entry.number = 0;
    r->entry.type = TOML_BOOLEAN;
    if (take(r, "\""))
        return read_string(r, e);
    if (take(r, "true"))
        r->entry.number = 1;
    else if (!take(r, "false") && !read_integer(r))
        return err_set(e, EINVAL, "expected a string in double quotes, a whole number, true or false");
    return 0;
}

/* --- lines ------------------------------------------------------------------------- */

/* [name] or [[name]]. */
static int read_header(struct reader *r, struct err *e) {
    int array = take(r, "[[");
    if (!array)
        r->at++;
    int rc = read_name(r, r->table, e);
    if (rc)
        return rc;
    if (!take(r, array ? "]]" : "]"))
        return err_set(e, EINVAL, "expected %s after the table's name", array ? "]]" : "]");
    r->entry.in_array = array;
    r->entry.key = NULL;
    r->entry.text = NULL;
    return 0;
}

static int read_pair(struct reader *r, struct err *e) {
    int rc = read_name(r, r->key, e);
    if (rc)
        return rc;
    if (!take(r, "="))
        return err_set(e, EINVAL, "expected = after \"%s\"", r->key);
    skip_blanks(r);
    r->entry.key = r->key;
    return read_value(r, e);
}

static int read_line(struct reader *r, toml_visit *visit, void *arg, struct err *e) {
    int rc = check_characters(r, e);
    if (rc || at_end(r))
        return rc;
    rc = *r->at == '[' ? read_header(r, e) : read_pair(r, e);
    if (rc == 0 && !at_end(r))
        rc = err_set(e, EINVAL, "nothing but a comment may follow here");
    return rc ? rc : visit(&r->entry, arg, e);
}

int toml_read(const char *text, size_t size, const char *file, toml_visit *visit, void *arg, struct err *e) {
    struct reader r = {.entry = {.table = r.table}};
    const char *end = text + size;
    if (size > TOML_BYTES_MAX)
        return err_set(e, EFBIG, "%s:1: the file is larger than %d bytes", file, TOML_BYTES_MAX);
    for (const char *next = text; next < end;) {
        const char *newline = memchr(next, '\n', (size_t) (end - next));
        r.at = next;
        r.end = newline ? newline : end;
        next = newline ? newline + 1 : end;
        if (newline && r.end > r.at && r.end[-1] == '\r')
            r.end--;
        r.entry.line++;
        int rc = read_line(&r, visit, arg, e);
        if (rc) {
            (void) err_prefix(e, "%s:%u", file, r.entry.line);
            return rc;
        }
    }
    return 0;
}
