#include "spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int bad(const char *text, const char *what, struct err *e) {
    return err_set(e, EINVAL, "the port to publish \"%.80s\" %s: the form is [IP:]HOST:GUEST[/udp], as in 8080:80",
                   text, what);
}

/* A port's number without a sign, a space or a leading zero. */
static int read_port(const char *text, size_t size, uint16_t *out) {
    unsigned number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9' || number > 6553)
            return -EINVAL;
        number = number * 10 + (unsigned) (text[i] - '0');
    }
    if (size == 0 || text[0] == '0' || number > UINT16_MAX)
        return -EINVAL;
    *out = (uint16_t) number;
    return 0;
}

static int read_address(const char *text, size_t size, struct publish *out) {
    char address[INET6_ADDRSTRLEN];
    if (size == 9 && memcmp(text, "localhost", size) == 0)
        return 0;
    const int in6 = size > 2 && text[0] == '[' && text[size - 1] == ']';
    if (in6) {
        text++;
        size -= 2;
    }
    if (size >= sizeof(address))
        return -EINVAL;
    (void) snprintf(address, sizeof(address), "%.*s", (int) size, text);
    out->family = in6 ? AF_INET6 : AF_INET;
    return inet_pton(out->family, address, out->address) == 1 ? 0 : -EINVAL;
}

static int read_protocol(const char *text, uint16_t *out) {
    *out = strcmp(text, "/udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
    return *out == IPPROTO_UDP || !*text || strcmp(text, "/tcp") == 0 ? 0 : -EINVAL;
}

/* From the end: what stands before the last two numbers is an address, which may have colons. */
int publish_parse(const char *text, struct publish *out, struct err *e) {
    const char *slash = strchr(text, '/');
    const char *end = slash ? slash : text + strlen(text);
    const char *guest = end, *host;
    *out = (struct publish){.family = AF_UNSPEC};
    if (read_protocol(end, &out->protocol))
        return bad(text, "has a protocol that is neither tcp nor udp", e);
    while (guest > text && guest[-1] != ':')
        guest--;
    if (guest == text)
        return bad(text, "names one port only", e);
    for (host = guest - 1; host > text && host[-1] != ':';)
        host--;
    if (read_port(guest, (size_t) (end - guest), &out->guest) ||
        read_port(host, (size_t) (guest - 1 - host), &out->host))
        return bad(text, "has a port that is no number from 1 to 65535", e);
    if (host > text && read_address(text, (size_t) (host - 1 - text), out))
        return bad(text, "has an address that is neither IPv4, nor IPv6 in brackets, nor localhost", e);
    return 0;
}

void publish_address(const struct publish *publish, char out[PUBLISH_TEXT_MAX]) {
    if (publish->family == AF_UNSPEC || !inet_ntop(publish->family, publish->address, out, PUBLISH_TEXT_MAX))
        (void) snprintf(out, PUBLISH_TEXT_MAX, "localhost");
}

void publish_format(const struct publish *publish, char out[PUBLISH_TEXT_MAX]) {
    char address[PUBLISH_TEXT_MAX] = "";
    const char *udp = publish->protocol == IPPROTO_UDP ? "/udp" : "";
    const int in6 = publish->family == AF_INET6;
    if (publish->family != AF_UNSPEC)
        publish_address(publish, address);
    (void) snprintf(out, PUBLISH_TEXT_MAX, "%s%.45s%s%s%u:%u%s", in6 ? "[" : "", address, in6 ? "]" : "",
                    *address ? ":" : "", publish->host, publish->guest, udp);
}

int publish_same_place(const struct publish *a, const struct publish *b) {
    return a->family == b->family && a->protocol == b->protocol && a->host == b->host &&
           memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

/* A host without IPv6 has no ::1 either: localhost is 127.0.0.1 there. */
size_t publish_rules(const struct publish *publish, struct forward_rule out[2]) {
    struct forward_rule rule = {
        .family = publish->family, .protocol = publish->protocol, .host = publish->host, .guest = publish->guest};
    memcpy(rule.address, publish->address, sizeof(rule.address));
    out[0] = out[1] = rule;
    if (publish->family != AF_UNSPEC)
        return 1;
    const uint32_t loopback = htonl(INADDR_LOOPBACK);
    out[0].family = AF_INET;
    memcpy(out[0].address, &loopback, sizeof(loopback));
    out[1].family = AF_INET6;
    memcpy(out[1].address, &in6addr_loopback, sizeof(in6addr_loopback));
    out[1].optional = 1;
    return 2;
}

/* --- lists ---------------------------------------------------------------------------- */

static size_t place_of(const struct publish_list *list, const struct publish *publish) {
    size_t i = 0;
    while (i < list->count && !publish_same_place(&list->items[i], publish))
        i++;
    return i;
}

int publish_add(struct publish_list *list, const struct publish *publish, struct err *e) {
    char text[PUBLISH_TEXT_MAX];
    publish_format(publish, text);
    if (place_of(list, publish) < list->count)
        return err_set(e, EEXIST, "the port %u of this host is to be published twice: leave %s out", publish->host,
                       text);
    if (list->count == PUBLISH_MAX)
        return err_set(e, ENOSPC, "a VM publishes at most %d ports: leave %s out", PUBLISH_MAX, text);
    list->items[list->count++] = *publish;
    return 0;
}

int publish_remove(struct publish_list *list, const struct publish *publish, struct err *e) {
    char text[PUBLISH_TEXT_MAX];
    size_t place = place_of(list, publish);
    publish_format(publish, text);
    if (place == list->count)
        return err_set(e, ENOENT, "%s is not published: `banger vm show` says what is", text);
    list->count--;
    memmove(&list->items[place], &list->items[place + 1], sizeof(*publish) * (list->count - place));
    return 0;
}

void publish_list_read(const char *text, struct publish_list *list) {
    char copy[PUBLISH_LIST_MAX];
    char *rest = NULL;
    list->count = 0;
    (void) snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        struct publish publish;
        struct err ignored;
        if (publish_parse(word, &publish, &ignored) == 0)
            (void) publish_add(list, &publish, &ignored);
    }
}

int publish_list_write(const struct publish_list *list, char out[PUBLISH_LIST_MAX], struct err *e) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        char text[PUBLISH_TEXT_MAX];
        publish_format(&list->items[i], text);
        int n = snprintf(out + used, PUBLISH_LIST_MAX - used, "%s%s", i ? " " : "", text);
        used += n > 0 ? (size_t) n : 0;
        if (used >= PUBLISH_LIST_MAX)
            return err_set(e, ENOSPC, "these are more published ports than a VM's record holds: leave %s out", text);
    }
    return 0;
}
