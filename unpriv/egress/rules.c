#include "rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_WORD "allow="
#define FORMS     "none, nat or allow=RULE,RULE,..., as in allow=10.1.0.0/16,deb.debian.org"
#define LABEL_MAX 63

static int is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int egress_is_name(const char *name) {
    size_t label = 0, length = strlen(name);
    if (length == 0 || length >= EGRESS_NAME_MAX)
        return 0;
    for (size_t i = 0; i <= length; i++) {
        if (name[i] == '.' || name[i] == '\0') {
            if (label == 0 || label > LABEL_MAX || name[i - label] == '-' || name[i - 1] == '-')
                return 0;
            label = 0;
        } else {
            if (!is_name_byte(name[i]))
                return 0;
            label++;
        }
    }
    return 1;
}

/* Its last label is a number: no host has such a name (RFC 1123, 2.1), so an address is meant. */
static int looks_like_address(const char *rule) {
    const char *last = strrchr(rule, '.');
    last = last ? last + 1 : rule;
    size_t digits = strspn(last, "0123456789");
    return digits > 0 && (last[digits] == '\0' || last[digits] == '/');
}

/* --- one rule -------------------------------------------------------------------------- */

static int parse_cidr(const char *rule, struct wire_cidr *cidr, struct err *e) {
    char dotted[INET_ADDRSTRLEN];
    struct in_addr in;
    const char *slash = strchr(rule, '/');
    size_t length = slash ? (size_t) (slash - rule) : strlen(rule);
    char *end = NULL;
    long prefix = slash && isdigit((unsigned char) slash[1]) ? strtol(slash + 1, &end, 10) : 32;
    (void) snprintf(dotted, sizeof(dotted), "%.*s", (int) (length < sizeof(dotted) ? length : 0), rule);
    if (inet_pton(AF_INET, dotted, &in) != 1 || (slash && (!end || *end || prefix < 0 || prefix > 32)))
        return err_set(e, EINVAL, "\"%.80s\" is no IPv4 address or range: write one as 192.0.2.7 or 192.0.2.0/24",
                       rule);
    if (prefix == 0)
        return err_set(e, EINVAL, "\"%.80s\" is the whole Internet: nat stands for that", rule);
    uint32_t mask = ~0u << (32 - prefix);
    *cidr = (struct wire_cidr){.address = ntohl(in.s_addr), .prefix = (uint32_t) prefix};
    if (!(cidr->address & ~mask))
        return 0;
    in.s_addr = htonl(cidr->address & mask);
    return err_set(e, EINVAL, "%.80s is not where a range of that size begins: write %s/%ld, or the address alone",
                   rule, inet_ntop(AF_INET, &in, dotted, sizeof(dotted)), prefix);
}

static int check_name(const char *rule, struct err *e) {
    const int wild = strncmp(rule, "*.", 2) == 0;
    const char *name = wild ? rule + 2 : rule;
    for (const char *p = rule; *p; p++) {
        if ((unsigned char) *p >= 0x80)
            return err_set(e, EINVAL, "\"%.80s\" is not ASCII: write such a name in its xn-- form", rule);
    }
    if (strchr(rule, ':') || strchr(rule, '/'))
        return err_set(e, EINVAL,
                       "\"%.80s\" is neither an IPv4 address nor a name: leave scheme, port and path out (a list opens "
                       "no IPv6)",
                       rule);
    if (!egress_is_name(name))
        return err_set(e, EINVAL, "\"%.80s\" is no DNS name: write it as host.example.org or *.example.org", rule);
    if (wild && !strchr(name, '.'))
        return err_set(e, EINVAL, "%.80s would be every name below a top-level domain: name a domain of it", rule);
    return 0;
}

/* --- the list ---------------------------------------------------------------------------- */

static int add_cidr(struct egress_rules *rules, const struct wire_cidr *cidr, struct err *e) {
    for (size_t i = 0; i < rules->cidr_count; i++) {
        if (rules->cidrs[i].address == cidr->address && rules->cidrs[i].prefix == cidr->prefix)
            return 1;
    }
    if (rules->cidr_count == EGRESS_CIDRS_MAX)
        return err_set(e, E2BIG, "there are more than %d addresses and ranges: put some of them together",
                       EGRESS_CIDRS_MAX);
    rules->cidrs[rules->cidr_count++] = *cidr;
    return 0;
}

static int add_name(struct egress_rules *rules, const char *name, size_t *used, struct err *e) {
    for (const char *at = rules->names; at < rules->names + *used; at += strlen(at) + 1) {
        if (strcmp(at, name) == 0)
            return 1;
    }
    if (rules->name_count == EGRESS_NAMES_MAX)
        return err_set(e, E2BIG, "there are more than %d names: use a wildcard, as in *.example.org", EGRESS_NAMES_MAX);
    memcpy(rules->names + *used, name, strlen(name) + 1);
    *used += strlen(name) + 1;
    rules->name_count++;
    return 0;
}

/* A rule in small letters, without blanks around it and without a name's last dot. */
static int take_rule(const char *from, size_t size, char *out, size_t room, struct err *e) {
    while (size > 0 && isblank((unsigned char) from[0])) {
        from++;
        size--;
    }
    while (size > 0 && isblank((unsigned char) from[size - 1]))
        size--;
    if (size == 0)
        return err_set(e, EINVAL, "a rule is empty: write " FORMS);
    if (size > 1 && from[size - 1] == '.')
        size--;
    if (size >= room)
        return err_set(e, EINVAL, "\"%.*s...\" is longer than a name can be", 40, from);
    for (size_t i = 0; i < size; i++)
        out[i] = (char) (from[i] >= 'A' && from[i] <= 'Z' ? from[i] - 'A' + 'a' : from[i]);
    out[size] = '\0';
    return 0;
}

static int add_rule(struct egress_rules *rules, const char *rule, size_t *used, size_t *names, struct err *e) {
    struct wire_cidr cidr = {0};
    if (*used + 1 + strlen(rule) >= sizeof(rules->text))
        return err_set(e, E2BIG, "the list is longer than %zu bytes: leave some rules out", sizeof(rules->text) - 1);
    int address = looks_like_address(rule);
    int r = address ? parse_cidr(rule, &cidr, e) : check_name(rule, e);
    if (r == 0)
        r = address ? add_cidr(rules, &cidr, e) : add_name(rules, rule, names, e);
    if (r)
        return r < 0 ? r : 0;
    *used += (size_t) snprintf(rules->text + *used, sizeof(rules->text) - *used, "%s%s",
                               rules->text[*used - 1] == '=' ? "" : ",", rule);
    return 0;
}

static int parse_list(const char *list, struct egress_rules *rules, struct err *e) {
    size_t used = strlen(LIST_WORD), names = 0;
    (void) snprintf(rules->text, sizeof(rules->text), LIST_WORD);
    rules->mode = WIRE_EGRESS_LIST;
    for (const char *at = list;; at++) {
        char rule[EGRESS_NAME_MAX + 2] = "";
        size_t size = strcspn(at, ",");
        int r = take_rule(at, size, rule, sizeof(rule), e);
        if (r == 0)
            r = add_rule(rules, rule, &used, &names, e);
        if (r)
            return r;
        at += size;
        if (!*at)
            return 0;
    }
}

int egress_rules_parse(const char *text, struct egress_rules *rules, struct err *e) {
    memset(rules, 0, sizeof(*rules));
    if (strncmp(text, LIST_WORD, strlen(LIST_WORD)) == 0)
        return parse_list(text + strlen(LIST_WORD), rules, e);
    if (strcmp(text, "none") != 0 && strcmp(text, "nat") != 0)
        return err_set(e, EINVAL, "egress is \"%.80s\": it must be " FORMS, text);
    rules->mode = strcmp(text, "nat") == 0 ? WIRE_EGRESS_NAT : WIRE_EGRESS_NONE;
    (void) snprintf(rules->text, sizeof(rules->text), "%s", text);
    return 0;
}

/* --- asking it ------------------------------------------------------------------------------ */

int egress_rules_name(const struct egress_rules *rules, const char *name) {
    const size_t length = strlen(name);
    const char *rule = rules->names;
    for (size_t i = 0; i < rules->name_count; i++, rule += strlen(rule) + 1) {
        if (strncmp(rule, "*.", 2) != 0 && strcmp(rule, name) == 0)
            return 1;
        const size_t tail = strlen(rule) - 1; /* ".example.org" */
        if (rule[0] == '*' && length > tail && strcmp(name + length - tail, rule + 1) == 0)
            return 1;
    }
    return 0;
}

int egress_rules_address(const struct egress_rules *rules, uint32_t address) {
    for (size_t i = 0; i < rules->cidr_count; i++) {
        if ((address & ~0u << (32 - rules->cidrs[i].prefix)) == rules->cidrs[i].address)
            return 1;
    }
    return 0;
}
