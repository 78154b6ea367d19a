#include "options.h"

#include "../egress/rules.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

int64_t options_default_vcpus(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN) / 4;
    return cpus < 1 ? 1 : cpus > 4 ? 4 : cpus;
}

int64_t options_default_memory(void) {
    int64_t mib = (int64_t) sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / (8LL << 20);
    return mib < 512 ? 512 : mib > 8192 ? 8192 : mib;
}

const char *options_text(const struct invocation *in, enum option_id id, const char *fallback) {
    return in->values[id].given ? in->values[id].text : fallback;
}

int64_t options_number(const struct invocation *in, enum option_id id, int64_t fallback) {
    return in->values[id].given ? in->values[id].number : fallback;
}

/* --- values ------------------------------------------------------------------ */

/* log2 of the unit that the text is: "", "K", "KiB", "kb", ...; -1 for anything else. */
static int unit_shift(const char *text) {
    static const char letters[] = "KMGT";
    if (!*text)
        return 0;
    const char *at = strchr(letters, toupper((unsigned char) *text));
    if (!at || (text[1] && strcasecmp(text + 1, "ib") != 0 && strcasecmp(text + 1, "b") != 0))
        return -1;
    return (int) (at - letters + 1) * 10;
}

int options_size(const char *text, int64_t unit, int64_t *out) {
    if (!isdigit((unsigned char) *text) || strpbrk(text, "xXeEpP"))
        return -EINVAL;
    char *end = NULL;
    errno = 0;
    double number = strtod(text, &end);
    int shift = unit_shift(end);
    if (errno || shift < 0)
        return -EINVAL;
    double bytes = number * (double) (*end ? 1LL << shift : unit);
    if (!(bytes >= 0 && bytes <= (double) (1LL << 60)) || bytes != (double) (int64_t) bytes)
        return -EINVAL;
    *out = (int64_t) bytes;
    return 0;
}

static int whole_number(const char *text, int64_t most, int64_t *out) {
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || !isdigit((unsigned char) *text) || number > most)
        return -EINVAL;
    *out = number;
    return 0;
}

int options_duration(const char *text, int64_t *out) {
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, 86400};
    char *end = NULL;
    errno = 0;
    long long number = isdigit((unsigned char) *text) ? strtoll(text, &end, 10) : -1;
    const char *unit = end && *end && !end[1] ? strchr(units, *end) : NULL;
    if (errno || !unit || number > INT64_MAX / 86400)
        return -EINVAL;
    *out = number * seconds[unit - units];
    return 0;
}

/* RFC 1123, section 2.1: letters, digits and inner hyphens, at most 63. */
static int is_label(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length > 63 || text[0] == '-' || text[length - 1] == '-')
        return 0;
    for (const char *p = text; *p; p++) {
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-')
            return 0;
    }
    return 1;
}

static int signal_number(const char *text, int64_t *out) {
    if (whole_number(text, 64, out) == 0)
        return *out > 0 ? 0 : -EINVAL;
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    for (int i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);
        if (known && strcasecmp(known, name) == 0) {
            *out = i;
            return 0;
        }
    }
    return -EINVAL;
}

int options_choice(const char *words, const char *text) {
    size_t length = strlen(text);
    for (const char *at = words; length && at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, text, length) == 0 && (at[length] == '|' || !at[length]))
            return 1;
    }
    return 0;
}

static int bad_value(const struct option *o, const char *text, const char *wanted, struct err *e) {
    return err_set(e, EINVAL, "--%s %s: give %s", o->name, text, wanted);
}

static int take_port(const struct option *o, const char *text, struct invocation *in, struct err *e) {
    struct publish publish;
    if (publish_parse(text, &publish, e) < 0)
        return err_prefix(e, "--%s", o->name);
    if (in->port_count >= PUBLISH_MAX)
        return err_set(e, EINVAL, "--%s can be given at most %d times: leave some out", o->name, PUBLISH_MAX);
    in->ports[in->port_count++] = text;
    in->values[o->id].given = 1;
    return 0;
}

static int take_word(const struct option *o, const char *text, struct invocation *in, struct err *e) {
    if (!*text)
        return bad_value(o, "\"\"", "a value that is not empty", e);
    if (in->word_count >= OPTION_WORDS_MAX)
        return err_set(e, EINVAL, "--%s can be given at most %d times: leave some out", o->name, OPTION_WORDS_MAX);
    in->words[in->word_count++] = text;
    in->values[o->id].given = 1;
    return 0;
}

static int take_value(const struct option *o, const char *text, struct invocation *in, struct err *e) {
    struct option_value *v = &in->values[o->id];
    v->text = text;
    switch (o->kind) {
    case OPTION_NAME:
        if (!is_label(text))
            return bad_value(o, text, "small letters, digits and inner hyphens, at most 63, as in web-1", e);
        break;
    case OPTION_COUNT:
        if (whole_number(text, 1 << 20, &v->number) < 0 || v->number < 1)
            return bad_value(o, text, "a whole number from 1", e);
        break;
    case OPTION_NUMBER:
        if (whole_number(text, INT64_MAX >> 11, &v->number) < 0)
            return bad_value(o, text, "a whole number from 0", e);
        break;
    case OPTION_MEMORY:
        if (options_size(text, 1 << 20, &v->number) < 0 || v->number < (1 << 20) || v->number % (1 << 20) != 0)
            return bad_value(o, text, "whole MiB, as in 2048, 2048M or 2GiB", e);
        v->number >>= 20;
        break;
    case OPTION_DISK:
        if (options_size(text, 1, &v->number) < 0 || v->number < (1 << 20))
            return bad_value(o, text, "a size from 1M, as in 8G, 8GiB or 512M", e);
        break;
    case OPTION_ROOM:
        if (options_size(text, 1, &v->number) < 0 || (v->number && v->number < (1 << 20)) || v->number > 16LL << 40)
            return bad_value(o, text, "a size from 1M to 16T, as in 4G, 4GiB or 512M, or 0", e);
        break;
    case OPTION_SIGNAL:
        if (signal_number(text, &v->number) < 0)
            return bad_value(o, text, "a signal's name or number, as in TERM or 15", e);
        break;
    case OPTION_CHOICE:
        if (!options_choice(o->argument, text)) {
            char wanted[64];
            (void) snprintf(wanted, sizeof(wanted), "one of %s", o->argument);
            return bad_value(o, text, wanted, e);
        }
        break;
    case OPTION_EGRESS: {
        struct egress_rules rules;
        if (egress_rules_parse(text, &rules, e))
            return err_prefix(e, "--%s", o->name);
        break;
    }
    case OPTION_LIST:
        if (!strchr(text, '=') || text[0] == '=')
            return bad_value(o, text, "NAME=value", e);
        if (in->list_count >= OPTION_LIST_MAX)
            return err_set(e, EINVAL, "--%s can be given at most %d times: leave some out", o->name, OPTION_LIST_MAX);
        in->list[in->list_count++] = text;
        break;
    case OPTION_WORDS:
        return take_word(o, text, in, e);
    case OPTION_PORT:
        return take_port(o, text, in, e);
    case OPTION_TEXT:
        if (!*text)
            return bad_value(o, "\"\"", "a value that is not empty", e);
        break;
    case OPTION_FLAG:
    default:
        break;
    }
    v->given = 1;
    return 0;
}

/* --- contradictions ---------------------------------------------------------- */

/* Both given (FORBIDS), or `a` without `b` (NEEDS). */
static const struct rule {
    enum option_id a;
    enum { FORBIDS, NEEDS } relation;
    enum option_id b;
    const char *text;
} rules[] = {
    {OPT_DETACH, FORBIDS, OPT_RM, "--detach keeps the VM and --rm deletes it: leave one of them out"},
    {OPT_DETACH, FORBIDS, ARG_COMMAND,
     "--detach runs no command: leave --detach out, or run it afterwards with `banger vm exec NAME -- COMMAND`"},
    {OPT_NAT, FORBIDS, OPT_NO_NAT, "--nat and --no-nat contradict each other: leave one of them out"},
    {OPT_IPV6, FORBIDS, OPT_NO_IPV6, "--ipv6 and --no-ipv6 contradict each other: leave one of them out"},
    {OPT_EGRESS, FORBIDS, OPT_NAT, "--nat is short for --egress nat: leave one of them out"},
    {OPT_EGRESS, FORBIDS, OPT_NO_NAT, "--no-nat is short for --egress none: leave one of them out"},
    {OPT_WITH_SSH, FORBIDS, OPT_NO_START, "--with-ssh needs the VM started: leave one of it and --no-start out"},
    {OPT_INTERVAL, NEEDS, OPT_WATCH, "--interval is the time between two looks: add --watch"},
    {OPT_FROM, NEEDS, OPT_BRANCH, "--from says where a new branch starts: add --branch NAME"},
    {OPT_BRANCH, NEEDS, ARG_POSITIONAL, "--branch is for a workspace: give the PATH of a repository too"},
    {OPT_INCLUDE_UNTRACKED, NEEDS, ARG_POSITIONAL,
     "--include-untracked is for a workspace: give the PATH of a repository too"},
    {OPT_NO_BOOTSTRAP, NEEDS, ARG_POSITIONAL,
     "--no-bootstrap is for a workspace's tools: give the PATH of a repository too"},
    {OPT_PASSWORD_STDIN, NEEDS, OPT_USERNAME, "--password-stdin is a user's password: add --username USER"},
    {OPT_DRY_RUN, NEEDS, ARG_POSITIONAL, "--dry-run lists a workspace's files: give the PATH of a repository too"},
};

static int check_rules(const struct invocation *in, struct err *e) {
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        int both = in->values[rules[i].b].given;
        if (in->values[rules[i].a].given && (rules[i].relation == FORBIDS) == both)
            return err_set(e, EINVAL, "%s", rules[i].text);
    }
    return 0;
}

static void full_name(const struct command *c, char *out, size_t size) {
    (void) snprintf(out, size, "banger%s%s %s", c->group ? " " : "", c->group ? c->group : "", c->name);
}

static int check_counts(const struct command *c, const struct invocation *in, struct err *e) {
    char name[64];
    full_name(c, name, sizeof(name));
    if (in->argument_count < c->least)
        return err_set(e, EINVAL, "something is missing: the form is `%s %s`", name, c->usage);
    if (c->most >= 0 && in->argument_count > c->most) {
        const char *extra = in->arguments[c->most];
        if (c->command)
            return err_set(e, EINVAL, "%s: put -- before the command to run, as in `%s ... -- %s`", extra, name, extra);
        return err_set(e, EINVAL, "%s is one word too many: the form is `%s %s`", extra, name, c->usage);
    }
    if (c->command == 2 && in->after_count == 0)
        return err_set(e, EINVAL, "the command to run is missing: the form is `%s %s`", name, c->usage);
    return 0;
}

/* --- the parser -------------------------------------------------------------- */

static const char *next_option(size_t index, const void *arg) {
    return ((const struct option *) arg)[index].name;
}

static int unknown(const struct command *c, const char *word, struct err *e) {
    char name[64];
    full_name(c, name, sizeof(name));
    char bare[64];
    (void) snprintf(bare, sizeof(bare), "%.*s", (int) strcspn(word + 2, "="), word + 2);
    const char *near = word[1] == '-' ? options_nearest(bare, next_option, c->options) : NULL;
    if (near)
        return err_set(e, EINVAL, "there is no option %s: did you mean --%s?", word, near);
    return err_set(e, EINVAL, "there is no option %s: `%s --help` lists those that exist", word, name);
}

/* "--name", "--name=value", "--name value". Returns how many words it took, or a negative errno. */
static int parse_long(const struct command *c, char *const *argv, struct invocation *in, struct err *e) {
    const char *word = argv[0] + 2;
    size_t length = strcspn(word, "=");
    for (const struct option *o = c->options; o->name; o++) {
        if (strncmp(o->name, word, length) != 0 || o->name[length])
            continue;
        const char *value = word[length] ? word + length + 1 : NULL;
        if (o->kind == OPTION_FLAG) {
            if (value)
                return err_set(e, EINVAL, "--%s takes no value: leave \"=%s\" out", o->name, value);
            return take_value(o, "", in, e) < 0 ? -EINVAL : 1;
        }
        if (!value && !argv[1])
            return err_set(e, EINVAL, "--%s needs a value: --%s %s", o->name, o->name, o->argument);
        return take_value(o, value ? value : argv[1], in, e) < 0 ? -EINVAL : value ? 1 : 2;
    }
    return unknown(c, argv[0], e);
}

static const struct option *letter_option(const struct command *c, char letter) {
    for (const struct option *o = c->options; o->name; o++) {
        if (o->letter == letter)
            return o;
    }
    return NULL;
}

/* "-d", "-it", "-eA=b", "-e A=b". As parse_long. */
static int parse_short(const struct command *c, char *const *argv, struct invocation *in, struct err *e) {
    for (const char *p = argv[0] + 1; *p; p++) {
        const struct option *o = letter_option(c, *p);
        if (!o)
            return unknown(c, argv[0], e);
        if (o->kind == OPTION_FLAG) {
            if (take_value(o, "", in, e) < 0)
                return -EINVAL;
            continue;
        }
        const char *value = p[1] ? p + 1 : argv[1];
        if (!value)
            return err_set(e, EINVAL, "-%c needs a value: -%c %s", *p, *p, o->argument);
        return take_value(o, value, in, e) < 0 ? -EINVAL : p[1] ? 1 : 2;
    }
    return 1;
}

int options_parse(const struct command *c, int argc, char *const *argv, const char **storage, struct invocation *in,
                  struct err *e) {
    memset(in, 0, sizeof(*in));
    in->command = c;
    in->arguments = storage;
    for (int i = 0; i < argc;) {
        int used = 1;
        if (strcmp(argv[i], "--") == 0) {
            in->after = argv + i + 1;
            in->after_count = argc - i - 1;
            in->values[ARG_COMMAND].given = in->after_count > 0;
            if (!c->command || in->after_count == 0)
                return err_set(e, EINVAL,
                               c->command ? "no command follows --: add it, or leave -- out"
                                          : "this takes no command: leave out -- and what follows");
            break;
        }
        if (argv[i][0] == '-' && argv[i][1] == '-')
            used = parse_long(c, argv + i, in, e);
        else if (argv[i][0] == '-' && argv[i][1])
            used = parse_short(c, argv + i, in, e);
        else
            storage[in->argument_count++] = argv[i];
        if (c->command && c->most >= 0 && in->argument_count > c->most)
            return check_counts(c, in, e); /* before its own options are taken for ours */
        if (used < 0)
            return used;
        i += used;
    }
    storage[in->argument_count] = NULL;
    in->values[ARG_POSITIONAL].given = in->argument_count > 0;
    if (in->values[OPT_HELP].given)
        return 0;
    int r = check_counts(c, in, e);
    return r < 0 ? r : check_rules(in, e);
}

/* --- near misses ------------------------------------------------------------- */

/* Levenshtein's distance, for words of at most 31 bytes. */
static size_t distance(const char *a, const char *b) {
    size_t row[32], n = strlen(b);
    if (strlen(a) > 31 || n > 31)
        return 32;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t above = row[j], best = corner + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = above;
            row[j] = best;
        }
    }
    return row[n];
}

const char *options_nearest(const char *word, const char *(*next)(size_t index, const void *arg), const void *arg) {
    const char *best = NULL;
    size_t least = 3;
    const char *candidate = NULL;
    for (size_t i = 0; (candidate = next(i, arg)); i++) {
        size_t d = distance(word, candidate);
        if (d < least && d < strlen(candidate)) {
            least = d;
            best = candidate;
        }
    }
    return best;
}

/* --- help -------------------------------------------------------------------- */

static void print_option(const struct option *o) {
    char left[64], value[64] = "";
    (void) snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                    o->letter ? "," : " ", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
    if (o->resolve)
        o->resolve(value, sizeof(value));
    (void) printf("  %-28s %s%s%s%s\n", left, o->help, value[0] ? " (default " : "", value, value[0] ? ")" : "");
}

void options_help_command(const struct command *c) {
    char name[64];
    full_name(c, name, sizeof(name));
    (void) printf("%s %s\n\n%s.\n", name, c->usage, c->summary);
    if (c->details)
        (void) printf("\n%s\n", c->details);
    (void) printf("\nOptions:\n");
    for (const struct option *o = c->options; o->name; o++)
        print_option(o);
}

/* The groups below this one: "vm session" below "vm". */
static void help_groups(const char *group) {
    const size_t length = strlen(group);
    const char *last = "";
    for (const struct command *c = commands; c->name; c++) {
        if (!c->group || strncmp(c->group, group, length) != 0 || c->group[length] != ' ' ||
            strcmp(c->group, last) == 0)
            continue;
        last = c->group;
        (void) printf("  %-10s `banger %s --help` lists its commands\n", last + length + 1, last);
    }
}

void options_help_group(const char *group) {
    (void) printf("banger %s COMMAND\n\nCommands:\n", group);
    for (const struct command *c = commands; c->name; c++) {
        if (c->group && strcmp(c->group, group) == 0)
            (void) printf("  %-10s %s\n", c->name, c->summary);
    }
    help_groups(group);
    (void) printf("\n`banger %s COMMAND --help` tells more.\n", group);
}
