#include "proxy.h"

#include "../reference.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What libcurl and the system calls of confine.c can do. */
static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};

/* What comes behind the scheme; NULL where that is none of ours. */
static const char *behind_scheme(const char *proxy) {
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strncasecmp(proxy, schemes[i], strlen(schemes[i])) == 0)
            return proxy + strlen(schemes[i]);
    }
    return strstr(proxy, "://") ? NULL : proxy;
}

const char *proxy_name(const char *proxy, char out[256]) {
    const char *rest = behind_scheme(proxy);
    const char *at = rest ? strrchr(rest, '@') : NULL;
    rest = at ? at + 1 : rest ? rest : "";
    (void) snprintf(out, 256, "%.*s", (int) strcspn(rest, "/?#"), rest);
    return out;
}

static int check_one(const char *proxy, const char *variable, struct err *e) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    char name[256];
    const char *rest = behind_scheme(proxy);
    (void) proxy_name(proxy, name);
    if (proxy[0] && (!rest || !name[0] || name[strspn(name, good)] || strpbrk(proxy, " \t\r\n")))
        return err_set(e, EINVAL, "%s names no proxy: give it as in http://proxy.example:3128, or unset it", variable);
    return 0;
}

int proxy_check(const struct proxies *p, struct err *e) {
    int r = check_one(p->http, "http_proxy", e);
    return r ? r : check_one(p->https, "https_proxy", e);
}

/* --- who has none -------------------------------------------------------------------- */

/* The address in 16 bytes, IPv4 as ::ffff:a.b.c.d; 0 when it is none. */
static int address_of(const char *text, uint8_t out[16]) {
    char bare[INET6_ADDRSTRLEN + 2];
    const size_t size = strlen(text);
    const int bracketed = size > 2 && text[0] == '[' && text[size - 1] == ']';
    if (size >= sizeof(bare))
        return 0;
    (void) snprintf(bare, sizeof(bare), "%.*s", (int) (bracketed ? size - 2 : size), text + bracketed);
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    return inet_pton(AF_INET, bare, out + 12) == 1 || inet_pton(AF_INET6, bare, out) == 1;
}

/* "10.0.0.0/8" */
static int range_has(const char *range, const char *host) {
    uint8_t net[16], address[16];
    char text[INET6_ADDRSTRLEN + 2], *end = NULL;
    const char *slash = strchr(range, '/');
    if (!slash || (size_t) (slash - range) >= sizeof(text))
        return 0;
    (void) snprintf(text, sizeof(text), "%.*s", (int) (slash - range), range);
    long bits = strtol(slash + 1, &end, 10);
    if (end == slash + 1 || *end || !address_of(text, net) || !address_of(host, address))
        return 0;
    const long before = strchr(text, ':') ? 0 : 96;
    if (bits < 0 || bits > 128 - before)
        return 0;
    bits += before;
    const uint8_t mask = (uint8_t) (0xff00 >> bits % 8);
    return memcmp(net, address, (size_t) bits / 8) == 0 &&
           (bits % 8 == 0 || ((net[bits / 8] ^ address[bits / 8]) & mask) == 0);
}

/* "*", "example.org" or ".example.org" with all below it, an address, a range. */
static int entry_has(const char *entry, const char *host) {
    uint8_t one[16], other[16];
    if (strcmp(entry, "*") == 0 || range_has(entry, host))
        return 1;
    if (address_of(host, one))
        return address_of(entry, other) && memcmp(one, other, sizeof(one)) == 0;
    while (*entry == '.')
        entry++;
    const size_t size = strlen(entry), length = strlen(host);
    return size > 0 && length >= size && strcasecmp(host + length - size, entry) == 0 &&
           (length == size || host[length - size - 1] == '.');
}

static int has_none(const char *list, const char *host) {
    char entry[256];
    for (const char *p = list + strspn(list, ", "); *p; p += strspn(p, ", ")) {
        const size_t size = strcspn(p, ", ");
        if (size < sizeof(entry)) {
            (void) snprintf(entry, sizeof(entry), "%.*s", (int) size, p);
            if (entry_has(entry, host))
                return 1;
        }
        p += size;
    }
    return 0;
}

const char *proxy_for(const struct proxies *p, const char *scheme, const char *host) {
    const char *proxy = strcmp(scheme, "https") == 0 ? p->https : p->http;
    return proxy[0] && !reference_is_loopback(host) && !has_none(p->none, host) ? proxy : "";
}

int proxy_address_is_near(const uint8_t a[16]) {
    static const uint8_t zeros[15], v4[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(a, v4, sizeof(v4)) == 0)
        return a[12] == 127 || a[12] == 0 || (a[12] == 169 && a[13] == 254);
    return (memcmp(a, zeros, sizeof(zeros)) == 0 && a[15] <= 1) || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

int proxy_is_near(const char *host) {
    uint8_t a[16];
    return address_of(host, a) ? proxy_address_is_near(a) : strcasecmp(host, "localhost") == 0;
}
