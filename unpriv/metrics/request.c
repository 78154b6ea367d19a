#include "request.h"

#include <string.h>
#include <strings.h>

/* A part of the head. */
struct part {
    const char *at;
    size_t size;
};

static int is(struct part p, const char *text) {
    return p.size == strlen(text) && memcmp(p.at, text, p.size) == 0;
}

/* Cuts off and returns what is before the first `end`; all of it where there is none. */
static struct part cut(struct part *rest, const char *end) {
    const size_t length = strlen(end);
    const char *found = memmem(rest->at, rest->size, end, length);
    const struct part first = {rest->at, found ? (size_t) (found - rest->at) : rest->size};
    const size_t gone = found ? first.size + length : rest->size;
    rest->at += gone;
    rest->size -= gone;
    return first;
}

static struct part trim(struct part p) {
    while (p.size && (p.at[0] == ' ' || p.at[0] == '\t')) {
        p.at++;
        p.size--;
    }
    while (p.size && (p.at[p.size - 1] == ' ' || p.at[p.size - 1] == '\t'))
        p.size--;
    return p;
}

/* No byte of a head is below a blank but tab and line ends; so garbage is known by its first bytes. */
static int is_text(const char *bytes, size_t have) {
    for (size_t i = 0; i < have; i++) {
        const unsigned char c = (unsigned char) bytes[i];
        if ((c < ' ' && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
            return 0;
    }
    return have == 0 || (bytes[0] >= 'A' && bytes[0] <= 'Z');
}

/* In a time that does not tell how much of it was right. */
static int is_secret(struct part p, const char *token) {
    unsigned differs = 0;
    if (p.size != strlen(token))
        return 0;
    for (size_t i = 0; i < p.size; i++)
        differs |= (unsigned char) p.at[i] ^ (unsigned char) token[i];
    return differs == 0;
}

/* "Bearer SECRET" */
static int is_bearer(struct part value, const char *token) {
    const struct part scheme = cut(&value, " ");
    return scheme.size == 6 && strncasecmp(scheme.at, "Bearer", 6) == 0 && is_secret(trim(value), token);
}

/* The header lines: 1 with the token, 0 without, -1 where they are none. */
static int authorised(struct part lines, const char *token) {
    int seen = 0, good = 0;
    while (lines.size) {
        struct part value = cut(&lines, "\r\n");
        const size_t whole = value.size;
        const struct part name = cut(&value, ":");
        if (name.size == 0 || name.size == whole || memchr(name.at, ' ', name.size))
            return -1;
        if (name.size != 13 || strncasecmp(name.at, "Authorization", 13) != 0)
            continue;
        good = is_bearer(trim(value), token);
        seen++;
    }
    return seen > 1 ? -1 : good;
}

static int is_version(struct part p) {
    return is(p, "HTTP/1.1") || is(p, "HTTP/1.0");
}

enum request_status request_read(const char *bytes, size_t have, const char *token, int *head_only) {
    *head_only = 0;
    if (!is_text(bytes, have))
        return REQUEST_BAD;
    struct part head = {bytes, have};
    const struct part all = cut(&head, "\r\n\r\n");
    if (all.size == have)
        return have < REQUEST_MAX ? REQUEST_MORE : REQUEST_LONG;
    struct part lines = all;
    struct part line = cut(&lines, "\r\n");
    const struct part method = cut(&line, " ");
    struct part target = cut(&line, " ");
    if (method.size == 0 || target.size == 0 || !is_version(line))
        return REQUEST_BAD;
    const int right = authorised(lines, token);
    if (right <= 0)
        return right ? REQUEST_BAD : REQUEST_FOREIGN;
    *head_only = is(method, "HEAD");
    if (!*head_only && !is(method, "GET"))
        return REQUEST_METHOD;
    return is(cut(&target, "?"), "/metrics") ? REQUEST_OK : REQUEST_NOWHERE;
}
