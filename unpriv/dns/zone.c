#include "zone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REVERSE "in-addr.arpa."

int zone_take(struct zone *zone, const struct dns_name *change) {
    const size_t length = strnlen(change->name, DNS_NAME_SIZE);
    if (change->slot >= SLOT_MAX || length == DNS_NAME_SIZE || (change->address && length == 0) || change->ipv6 > 1)
        return -EINVAL;
    struct zone_host *host = &zone->hosts[change->slot];
    host->address = change->address;
    host->ipv6 = (uint8_t) change->ipv6;
    host->length = (uint8_t) length;
    memcpy(host->name, change->name, DNS_NAME_SIZE);
    zone->serial++;
    return 0;
}

/* Cuts `suffix` and the dot before it off the first `*length` bytes of `text`, where they end with it. */
static int cut(const char *text, size_t *length, const char *suffix) {
    const size_t size = strlen(suffix);
    if (size == 0 || *length <= size || text[*length - size - 1] != '.' ||
        memcmp(text + *length - size, suffix, size) != 0)
        return 0;
    *length -= size + 1;
    return 1;
}

static int is_text(const char *text, size_t length, const char *wanted) {
    return length == strlen(wanted) && memcmp(text, wanted, length) == 0;
}

/* 1 for the account's name itself, and for what is between it and "vm" where it has dots. */
static int is_above_hosts(const struct zone *zone, const char *name, size_t length) {
    size_t whole = strlen(zone->user);
    char text[DNS_NAME_SIZE];
    if (length >= sizeof(text))
        return 0;
    memcpy(text, name, length);
    text[length] = '\0';
    return is_text(name, length, zone->user) || cut(zone->user, &whole, text);
}

/* A name in ZONE_NAME, without it. */
static void find_host(const struct zone *zone, const char *name, size_t length, struct zone_answer *answer) {
    answer->kind = is_above_hosts(zone, name, length) ? ZONE_EMPTY : ZONE_MISSING;
    (void) cut(name, &length, zone->user);
    if (is_text(name, length, ZONE_SERVER)) {
        answer->kind = ZONE_HOST;
        answer->address = zone->server;
        return;
    }
    for (const struct zone_host *host = zone->hosts; host < zone->hosts + SLOT_MAX; host++) {
        if (host->address && host->length == length && memcmp(host->name, name, length) == 0) {
            answer->kind = ZONE_HOST;
            answer->address = host->address;
            answer->ipv6 = host->ipv6;
            return;
        }
    }
}

/* "7.0.16.172" and fewer numbers, the last one first: how many there are, or -1. */
static int read_reverse(const char *text, size_t length, uint32_t *address) {
    const char *end = text + length;
    int count = 0;
    *address = 0;
    while (text < end) {
        char *rest = NULL;
        const unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &rest, 10) : 256;
        if (number > 255 || (*text == '0' && rest != text + 1) || (rest < end && *rest != '.') || count == 4)
            return -1;
        *address |= (uint32_t) number << (8 * count++);
        text = rest + 1;
    }
    if (count == 0)
        return -1;
    *address <<= 8 * (4 - count);
    return count;
}

/* A name in REVERSE, without it. The account's subnet is four zones there. */
static void find_pointer(const struct zone *zone, const char *name, size_t length, struct zone_answer *answer) {
    uint32_t address = 0;
    size_t skipped = 0; /* labels below an address: nothing is there, but the zone is ours */
    int count = read_reverse(name, length, &address);
    while (count < 0 && skipped < length) {
        const char *dot = memchr(name + skipped, '.', length - skipped);
        skipped = dot ? (size_t) (dot - name) + 1 : length;
        count = read_reverse(name + skipped, length - skipped, &address);
    }
    if (count < 3 || (address ^ zone->subnet) >> (32 - SUBNET_PREFIX))
        return;
    (void) snprintf(answer->origin, sizeof(answer->origin), "%u.%u.%u." REVERSE, address >> 8 & 255,
                    address >> 16 & 255, address >> 24);
    answer->kind = count == 3 && !skipped ? ZONE_APEX : ZONE_MISSING;
    for (const struct zone_host *host = zone->hosts; count == 4 && !skipped && host < zone->hosts + SLOT_MAX; host++) {
        if (host->address == address) {
            answer->kind = ZONE_POINTER;
            answer->name = host->name;
            return;
        }
    }
}

void zone_find(const struct zone *zone, const char *name, struct zone_answer *answer) {
    size_t length = strlen(name);
    *answer = (struct zone_answer){.kind = ZONE_FOREIGN};
    if (strcmp(name, ZONE_NAME) == 0 || cut(name, &length, ZONE_NAME)) {
        (void) snprintf(answer->origin, sizeof(answer->origin), ZONE_NAME);
        answer->kind = ZONE_APEX;
        if (length < strlen(name))
            find_host(zone, name, length, answer);
    } else if (cut(name, &length, REVERSE)) {
        find_pointer(zone, name, length, answer);
    }
}
