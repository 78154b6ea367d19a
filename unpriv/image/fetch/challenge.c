#include "challenge.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define TOKEN_CHARS "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define TOKEN68     TOKEN_CHARS "/="

static const char *skip(const char *p, const char *what) {
    return p + strspn(p, what);
}

/* A quoted string or a token into `out` (which may be NULL). The rest, or NULL when malformed or too long. */
static const char *take_value(const char *p, char *out, size_t room) {
    const int quoted = *p == '"';
    size_t used = 0;
    p += quoted;
    while (quoted ? *p && *p != '"' : *p && strchr(TOKEN_CHARS, *p)) {
        if (quoted && *p == '\\' && *++p == '\0')
            return NULL;
        if (*p < ' ' || *p > '~')
            return NULL;
        if (out && used + 1 >= room)
            return NULL;
        if (out)
            out[used] = *p;
        used++;
        p++;
    }
    if (out)
        out[used] = '\0';
    return quoted ? (*p == '"' ? p + 1 : NULL) : used ? p : NULL;
}

/* name [ws] = [ws] value. What is given twice is malformed. */
static const char *take_parameter(const char *p, size_t length, struct challenge *c) {
    const struct {
        const char *name;
        char *out;
        size_t room;
    } known[] = {{"realm", c->realm, sizeof(c->realm)},
                 {"service", c->service, sizeof(c->service)},
                 {"scope", c->scope, sizeof(c->scope)}};
    const char *name = p;
    p = skip(skip(p + length, " \t") + 1, " \t");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strncasecmp(name, known[i].name, length) != 0 || known[i].name[length])
            continue;
        return known[i].out[0] ? NULL : take_value(p, known[i].out, known[i].room);
    }
    return take_value(p, NULL, 0);
}

static int is_parameter(const char *p, size_t length) {
    const char *after = skip(p + length, " \t");
    return *after == '=' && after[1] != '=' && after[1] != '\0' && after[1] != ',';
}

/* One challenge's parameters, up to the next scheme. */
static const char *take_parameters(const char *p, struct challenge *c) {
    for (;;) {
        p = skip(p, " \t,");
        size_t length = strspn(p, TOKEN_CHARS);
        if (length == 0 || !is_parameter(p, length))
            return p;
        p = take_parameter(p, length, c);
        if (!p || (*p && !strchr(" \t,", *p)))
            return NULL;
    }
}

static enum challenge_scheme scheme_of(const char *p, size_t length) {
    if (length == 6 && strncasecmp(p, "bearer", 6) == 0)
        return CHALLENGE_BEARER;
    return length == 5 && strncasecmp(p, "basic", 5) == 0 ? CHALLENGE_BASIC : CHALLENGE_NONE;
}

int challenge_parse(const char *text, struct challenge *out, struct err *e) {
    const char *p = skip(text, " \t,");
    memset(out, 0, sizeof(*out));
    while (p && *p) {
        struct challenge one = {0};
        size_t length = strspn(p, TOKEN_CHARS);
        if (length == 0 || (p[length] && !strchr(" \t,", p[length])))
            break;
        one.scheme = scheme_of(p, length);
        p = skip(p + length, " \t");
        length = strspn(p, TOKEN68);
        if (length && p[strspn(p, TOKEN_CHARS)] == '=' && !is_parameter(p, strspn(p, TOKEN_CHARS)))
            p += length; /* credentials of another scheme, token68 */
        p = take_parameters(p, &one);
        if (!p)
            break;
        const int better = one.scheme == CHALLENGE_BEARER ? one.realm[0] && out->scheme != CHALLENGE_BEARER
                                                          : one.scheme == CHALLENGE_BASIC && !out->scheme;
        if (better)
            *out = one;
    }
    return p && !*p ? 0 : err_set(e, EBADMSG, "its WWW-Authenticate header is malformed");
}
