#include "reference.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_HOST   "docker.io"
#define DEFAULT_SERVER "registry-1.docker.io"
#define HEX            "0123456789abcdef"

/* --- hosts ------------------------------------------------------------------- */

static int is_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 5 && !text[digits] && strtol(text, NULL, 10) <= 65535;
}

static int is_v6(const char *text) {
    char inside[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = strcspn(text, "]");
    if (text[0] != '[' || text[length] != ']' || length < 2 || length - 1 >= sizeof(inside))
        return 0;
    (void) snprintf(inside, sizeof(inside), "%.*s", (int) (length - 1), text + 1);
    const char *rest = text + length + 1;
    return inet_pton(AF_INET6, inside, &address) == 1 && (!*rest || (*rest == ':' && is_port(rest + 1)));
}

/* Labels of RFC 1123, section 2.1. */
static int is_name(const char *text, size_t length) {
    size_t label = 0;
    for (size_t i = 0; i <= length; i++) {
        char c = '.';
        if (i < length)
            c = text[i];
        if (c == '.') {
            if (label == 0 || label > 63 || text[i - 1] == '-' || text[i - label] == '-')
                return 0;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || isdigit((unsigned char) c) || c == '-') {
            label++;
        } else {
            return 0;
        }
    }
    return 1;
}

int reference_is_host(const char *text) {
    size_t length = strcspn(text, ":");
    if (strlen(text) >= REFERENCE_HOST_MAX)
        return 0;
    if (text[0] == '[')
        return is_v6(text);
    return length > 0 && is_name(text, length) && (!text[length] || is_port(text + length + 1));
}

int reference_is_loopback(const char *host) {
    char bare[REFERENCE_HOST_MAX];
    struct in_addr v4;
    struct in6_addr v6;
    if (host[0] == '[') {
        (void) snprintf(bare, sizeof(bare), "%.*s", (int) strcspn(host + 1, "]"), host + 1);
        return inet_pton(AF_INET6, bare, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    (void) snprintf(bare, sizeof(bare), "%.*s", (int) strcspn(host, ":"), host);
    if (strcmp(bare, "localhost") == 0)
        return 1;
    return inet_pton(AF_INET, bare, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

const char *reference_server(const char *host) {
    return strcmp(host, DEFAULT_HOST) == 0 ? DEFAULT_SERVER : host;
}

/* --- the parts ----------------------------------------------------------------- */

/* Small letters and digits, between them '.', '_', "__" or hyphens; parts divided by '/'. */
static int is_path(const char *text) {
    int after_word = 0;
    for (const char *p = text; *p;) {
        if ((*p >= 'a' && *p <= 'z') || isdigit((unsigned char) *p)) {
            after_word = 1;
            p++;
            continue;
        }
        size_t between = *p == '-' ? strspn(p, "-") : *p == '_' ? strspn(p, "_") : 1;
        if (!after_word || !strchr("._-/", *p) || (*p == '_' && between > 2))
            return 0;
        after_word = 0;
        p += between;
    }
    return after_word;
}

static int is_tag(const char *text) {
    if (!isalnum((unsigned char) text[0]) && text[0] != '_')
        return 0;
    for (const char *p = text; *p; p++) {
        if (!isalnum((unsigned char) *p) && !strchr("_.-", *p))
            return 0;
    }
    return 1;
}

int reference_is_digest(const char *text) {
    return strncmp(text, "sha256:", 7) == 0 && strspn(text + 7, HEX) == 64 && !text[7 + 64];
}

/* Copies `size` bytes; 0 when there is no room. */
static int copy(char *out, size_t room, const char *from, size_t size) {
    if (size >= room)
        return 0;
    memcpy(out, from, size);
    out[size] = '\0';
    return 1;
}

static int bad(const char *text, const char *what, struct err *e) {
    return err_set(e, EINVAL,
                   "\"%.80s\" names no registry's image, %s: write it as in registry.example:5000/team/app:1.2", text,
                   what);
}

/* Takes the host off the front. Returns the rest, or NULL. */
static const char *take_host(const char *text, struct reference *out) {
    size_t length = strcspn(text, "/");
    const int has_host = text[length] && (memchr(text, '.', length) || memchr(text, ':', length) ||
                                          (length == 9 && strncmp(text, "localhost", 9) == 0));
    if (!has_host) {
        (void) snprintf(out->host, sizeof(out->host), DEFAULT_HOST);
        return text;
    }
    if (!copy(out->host, sizeof(out->host), text, length))
        return NULL;
    for (char *p = out->host; *p; p++)
        *p = (char) tolower((unsigned char) *p);
    if (strcmp(out->host, "index.docker.io") == 0 || strcmp(out->host, DEFAULT_SERVER) == 0)
        (void) snprintf(out->host, sizeof(out->host), DEFAULT_HOST);
    return reference_is_host(out->host) ? text + length + 1 : NULL;
}

int reference_parse(const char *text, struct reference *out, struct err *e) {
    memset(out, 0, sizeof(*out));
    const char *rest = take_host(text, out);
    if (!rest)
        return bad(text, "since what stands before the first / is no host", e);
    const char *at = strchr(rest, '@');
    size_t end = at ? (size_t) (at - rest) : strlen(rest);
    if (at && (!reference_is_digest(at + 1) || !copy(out->digest, sizeof(out->digest), at + 1, strlen(at + 1))))
        return bad(text, "since @ must be followed by sha256: and 64 small hex digits", e);
    const char *colon = memchr(rest, ':', end);
    size_t length = colon ? (size_t) (colon - rest) : end;
    if (colon && (!copy(out->tag, sizeof(out->tag), colon + 1, end - length - 1) || !is_tag(out->tag)))
        return bad(text, "since its tag is not 1 to 128 letters, digits, '.', '_' or '-'", e);
    const int library = strcmp(out->host, DEFAULT_HOST) == 0 && length < 200 && !memchr(rest, '/', length);
    char path[REFERENCE_PATH_MAX - sizeof("library/")];
    if (!copy(path, sizeof(path), rest, length) || !is_path(path))
        return bad(text, "since its path is not small letters and digits with single separators", e);
    (void) snprintf(out->path, sizeof(out->path), "%s%s", library ? "library/" : "", path);
    if (!out->tag[0] && !out->digest[0])
        (void) snprintf(out->tag, sizeof(out->tag), "latest");
    return 0;
}

const char *reference_text(const struct reference *ref, char out[REFERENCE_TEXT_MAX]) {
    (void) snprintf(out, REFERENCE_TEXT_MAX, "%s/%s%s%s%s%s", ref->host, ref->path, ref->tag[0] ? ":" : "", ref->tag,
                    ref->digest[0] ? "@" : "", ref->digest);
    return out;
}

int reference_is_one(const char *text) {
    struct reference ref;
    struct err ignored;
    return strpbrk(text, "/:@") && reference_parse(text, &ref, &ignored) == 0;
}

/* --- platforms -------------------------------------------------------------------- */

int platform_parse(const char *text, struct platform *out, struct err *e) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    const char *parts[3] = {text, "", ""};
    size_t sizes[3] = {0}, count = 0;
    *out = (struct platform){.os = "linux", .architecture = "amd64"};
    if (!*text)
        return 0;
    for (const char *p = text; count < 3;) {
        parts[count] = p;
        sizes[count] = strcspn(p, "/");
        p += sizes[count++];
        if (!*p)
            break;
        p++;
    }
    const size_t first = count == 1 ? 1 : 0; /* of one part it is the architecture */
    char *const places[] = {out->os, out->architecture, out->variant};
    const size_t rooms[] = {sizeof(out->os), sizeof(out->architecture), sizeof(out->variant)};
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] == 0 || strspn(parts[i], good) < sizes[i] ||
            !copy(places[i + first], rooms[i + first], parts[i], sizes[i]))
            return err_set(e, EINVAL, "\"%.60s\" is no platform: give one as in linux/amd64 or linux/arm64/v8", text);
    }
    if (parts[count - 1][sizes[count - 1]])
        return err_set(e, EINVAL, "\"%.60s\" is no platform: give one as in linux/amd64 or linux/arm64/v8", text);
    return 0;
}
