/* Through which proxy an address is asked for: what the caller's http_proxy, https_proxy and no_proxy say. */
#ifndef BANGER_IMAGE_FETCH_PROXY_H
#define BANGER_IMAGE_FETCH_PROXY_H

#include "../../../common/err.h"

#include <stdint.h>

#define PROXY_MAX      2048 /* bytes of one variable, with the NUL */
#define PROXY_NONE_MAX 4096 /* of no_proxy */

struct proxies {
    char http[PROXY_MAX], https[PROXY_MAX]; /* [SCHEME://][USER:PASSWORD@]HOST[:PORT], or "" */
    char none[PROXY_NONE_MAX];              /* hosts, domains, addresses and their ranges, divided by ',' or ' ' */
};

/* Whether they can be used: 0, or -EINVAL with a sentence that shows neither name nor password. */
int proxy_check(const struct proxies *p, struct err *e);

/* The proxy for that scheme ("http", "https") and host (a name, an IPv4 address or "[v6]"), or "": none. A
 * host that is this machine's loopback has none. */
const char *proxy_for(const struct proxies *p, const char *scheme, const char *host);

/* The proxy's HOST[:PORT], for sentences; returns `out`. */
const char *proxy_name(const char *proxy, char out[256]);

/* An address (of IPv4 ::ffff:a.b.c.d) that means something on this machine or its link only. */
int proxy_address_is_near(const uint8_t address[16]);
/* A host that is such an address, written out, or "localhost". */
int proxy_is_near(const char *host);

#endif
