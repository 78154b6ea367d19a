/* The policy file's grammar: a line is words between blanks, '#' starts a comment
 * (policy.conf.in explains each keyword). Words are compared whole, numbers are
 * plain decimal, and one bad line makes the whole file bad. */
#include "policy.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX (3 + POLICY_FOLDERS_MAX)

struct line {
    const struct keyword *keyword;
    char text[POLICY_LINE_MAX + 1], *words[WORDS_MAX];
    size_t count;
};

static int is(const char *word, const char *text) {
    return strcmp(word, text) == 0;
}

/* Decimal without sign, blank or leading zero, from `least` to `most`. */
static int number(const char *word, uint32_t least, uint32_t most, uint32_t *out) {
    size_t size = strlen(word);
    if (size == 0 || size > 10 || (size > 1 && word[0] == '0') || strspn(word, "0123456789") < size)
        return 0;
    uint64_t n = strtoull(word, NULL, 10);
    *out = (uint32_t) n;
    return n >= least && n <= most;
}

static uint32_t mask_of(uint32_t prefix) {
    return prefix == 0 ? 0 : ~0u << (32 - prefix);
}

/* Copies a word of at most size-1 bytes; over-long is refused, never cut. */
static int copy(const char *word, char *out, size_t size) {
    if (strlen(word) >= size)
        return 0;
    memcpy(out, word, strlen(word) + 1);
    return 1;
}

/* A.B.C.D/N with no host bits set. */
static int cidr(char *word, struct policy_cidr *out) {
    struct in_addr address;
    char *slash = strchr(word, '/');
    if (!slash)
        return 0;
    *slash = '\0';
    if (inet_pton(AF_INET, word, &address) != 1 || !number(slash + 1, 0, 32, &out->prefix))
        return 0;
    out->address = ntohl(address.s_addr);
    return (out->address & ~mask_of(out->prefix)) == 0;
}

static int overlap(struct policy_cidr a, struct policy_cidr b) {
    uint32_t mask = mask_of(a.prefix < b.prefix ? a.prefix : b.prefix);
    return (a.address & mask) == (b.address & mask);
}

/* Absolute and without empty, "." or ".." parts, and no slash at the end. */
static int path(const char *word, char *out) {
    char ended[POLICY_PATH_SIZE + 1];
    if (!copy(word, out, POLICY_PATH_SIZE))
        return 0;
    (void) snprintf(ended, sizeof(ended), "%s/", word);
    return ended[0] == '/' && !strstr(ended, "//") && !strstr(ended, "/./") && !strstr(ended, "/../");
}

/* What is wrong with a line, or NULL. `usage`: see the keyword's own. */
static const char usage[] = "";
typedef const char *reader(struct policy *p, const struct line *l);
static reader read_rule, read_net, read_number, read_nat, read_uplink, read_private, read_vmm;

static const struct keyword {
    const char *word;
    reader *read;
    const char *usage;
    size_t least_words, most_words;
    int once;
    size_t field; /* of a number: its place in struct policy, and its range */
    uint32_t least, most;
} keywords[] = {
    {"allow", read_rule, "expected `allow uid NUMBER` or `allow gid NUMBER`", 3, 3, 0, 0, 0, 0},
    {"deny", read_rule, "expected `deny uid NUMBER` or `deny gid NUMBER`", 3, 3, 0, 0, 0, 0},
    {"pool", read_net, "expected `pool A.B.C.D/N FIRST-UID` with N from 8 to 22 and no host bits", 3, 3, 0, 0, 8, 0},
    {"subnet", read_net, "expected `subnet A.B.C.D/22 uid NUMBER` without host bits", 4, 4, 0, 0, SUBNET_PREFIX, 0},
    {"slots", read_number, "expected `slots NUMBER`, 0 to 1000", 2, 2, 1, offsetof(struct policy, slots), 0, SLOT_MAX},
    {"nat", read_nat, "expected `nat yes` or `nat no`", 2, 2, 1, 0, 0, 0},
    {"uplink", read_uplink, "expected `uplink NAME` with an interface's name, or `uplink default`", 2, 2, 0, 0, 0, 0},
    {"private", read_private, "expected `private allow A.B.C.D/N` without host bits", 3, 3, 0, 0, 0, 0},
    {"vmm", read_vmm, "expected `vmm NAME /absolute/binary [/folder...]`", 3, WORDS_MAX, 0, 0, 0, 0},
    {"memory-max", read_number, "expected `memory-max MIB`", 2, 2, 1, offsetof(struct policy, memory_max), 1,
     UINT32_MAX},
    {"vcpus-max", read_number, "expected `vcpus-max NUMBER`", 2, 2, 1, offsetof(struct policy, vcpus_max), 1, 65535},
    {"disk-max", read_number, "expected `disk-max MIB`", 2, 2, 1, offsetof(struct policy, disk_max), 1, UINT32_MAX},
};

static const char *read_rule(struct policy *p, const struct line *l) {
    if (p->rule_count == POLICY_RULES_MAX)
        return "too many allow and deny lines";
    struct policy_rule *rule = &p->rules[p->rule_count++];
    rule->deny = is(l->words[0], "deny");
    rule->group = is(l->words[1], "gid");
    return (rule->group || is(l->words[1], "uid")) && number(l->words[2], 0, UINT32_MAX - 1, &rule->id) ? NULL : usage;
}

static const char *add_net(struct policy *p, struct policy_net net) {
    static const struct policy_cidr special[] = {{0, 8}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xe0000000, 3}};
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (overlap(net.net, special[i]))
            return "not a range for guests (this network, loopback, link-local or multicast)";
    }
    if (net.count > UINT32_MAX - net.uid)
        return "the pool reaches beyond the last uid";
    for (uint32_t i = 0; i < p->net_count; i++) {
        if (overlap(net.net, p->nets[i].net))
            return "the addresses overlap an earlier pool or subnet line";
        if (net.uid < p->nets[i].uid + p->nets[i].count && p->nets[i].uid < net.uid + net.count)
            return "the uids overlap an earlier pool or subnet line";
    }
    if (p->net_count == POLICY_NETS_MAX)
        return "too many pool and subnet lines";
    p->nets[p->net_count++] = net;
    return NULL;
}

/* A pool, or the one subnet of one uid, which the line names as `uid NUMBER`. */
static const char *read_net(struct policy *p, const struct line *l) {
    struct policy_net net = {0};
    if (!cidr(l->words[1], &net.net) || net.net.prefix < l->keyword->least || net.net.prefix > SUBNET_PREFIX ||
        (l->count == 4 && !is(l->words[2], "uid")) || !number(l->words[l->count - 1], 1, UINT32_MAX - 1, &net.uid))
        return usage;
    net.count = 1u << (SUBNET_PREFIX - net.net.prefix);
    return add_net(p, net);
}

static const char *read_number(struct policy *p, const struct line *l) {
    uint32_t *field = (uint32_t *) (void *) ((char *) p + l->keyword->field);
    return number(l->words[1], l->keyword->least, l->keyword->most, field) ? NULL : usage;
}

static const char *read_nat(struct policy *p, const struct line *l) {
    p->nat = is(l->words[1], "yes");
    return p->nat || is(l->words[1], "no") ? NULL : usage;
}

/* The kernel's own rule for interface names (dev_valid_name), ':' included. */
static const char *read_uplink(struct policy *p, const struct line *l) {
    if (p->uplink_count == POLICY_UPLINKS_MAX)
        return "too many uplink lines";
    char *name = p->uplinks[p->uplink_count];
    if (!copy(l->words[1], name, IFNAME_SIZE) || strpbrk(name, "/:") || name[0] == '.')
        return usage;
    for (uint32_t i = 0; i < p->uplink_count; i++) {
        if (strcmp(p->uplinks[i], name) == 0)
            return "this uplink is there already";
    }
    p->uplink_count++;
    return NULL;
}

static const char *read_private(struct policy *p, const struct line *l) {
    struct policy_cidr net = {0};
    if (!is(l->words[1], "allow") || !cidr(l->words[2], &net))
        return usage;
    for (uint32_t i = 0; i < p->private_count; i++) {
        if (overlap(p->private_allow[i], net))
            return "the range overlaps an earlier private line";
    }
    if (p->private_count == POLICY_PRIVATE_MAX)
        return "too many private lines";
    p->private_allow[p->private_count++] = net;
    return NULL;
}

static const char *read_vmm(struct policy *p, const struct line *l) {
    if (p->vmm_count == POLICY_VMMS_MAX)
        return "too many vmm lines";
    struct policy_vmm *vmm = &p->vmms[p->vmm_count];
    if (!copy(l->words[1], vmm->name, sizeof(vmm->name)) || !path(l->words[2], vmm->binary))
        return usage;
    for (uint32_t i = 0; i < p->vmm_count; i++) {
        if (strcmp(p->vmms[i].name, vmm->name) == 0)
            return "a vmm line has this name already";
    }
    for (size_t i = 3; i < l->count; i++) {
        if (!path(l->words[i], vmm->folders[vmm->folder_count++]))
            return "a folder must be an absolute path without `.`, `..` or a slash at the end";
    }
    p->vmm_count++;
    return NULL;
}

static const char *read_line(struct policy *p, struct line *l) {
    if (l->count == 0)
        return NULL;
    for (size_t k = 0; k < sizeof(keywords) / sizeof(keywords[0]); k++) {
        if (!is(l->words[0], keywords[k].word))
            continue;
        if (keywords[k].once && (p->seen & 1u << k))
            return "this keyword may occur only once";
        p->seen |= 1u << k;
        l->keyword = &keywords[k];
        const char *problem = usage;
        if (l->count >= keywords[k].least_words && l->count <= keywords[k].most_words)
            problem = keywords[k].read(p, l);
        return problem == usage ? keywords[k].usage : problem;
    }
    return "no such keyword";
}

/* Splits one line (no newline in it) into words. */
static const char *split(const char *text, size_t size, struct line *l) {
    char *rest;
    l->count = 0;
    if (size > POLICY_LINE_MAX)
        return "the line is too long";
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char) text[i] < ' ' && text[i] != '\t')
            return "a control character (a Windows line end?)";
        l->text[i] = text[i];
    }
    l->text[size] = '\0';
    l->text[strcspn(l->text, "#")] = '\0';
    for (char *word = strtok_r(l->text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (l->count == WORDS_MAX)
            return "too many words";
        l->words[l->count++] = word;
    }
    return NULL;
}

uint32_t policy_parse(struct policy *policy, const char *text, size_t size) {
    memset(policy, 0, sizeof(*policy));
    policy->slots = 32;
    policy->memory_max = UINT32_MAX;
    policy->vcpus_max = UINT32_MAX;
    policy->disk_max = UINT32_MAX;
    const char *end = text + size;
    for (uint32_t n = 1; text < end; n++) {
        const char *stop = memchr(text, '\n', (size_t) (end - text));
        if (!stop)
            stop = end;
        struct line line;
        const char *problem = split(text, (size_t) (stop - text), &line);
        if (!problem)
            problem = read_line(policy, &line);
        if (problem) {
            policy->fault = POLICY_BAD_LINE;
            policy->bad_line = n;
            policy->problem = problem;
            return n;
        }
        text = stop < end ? stop + 1 : end;
    }
    return 0;
}
