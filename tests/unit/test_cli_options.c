/* The command line: sizes, values, contradictions and the tables themselves. */
#include "../../unpriv/cli/options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct invocation in;
static struct err error;
static const char *storage[64], *words[64];

static const struct command *command_named(const char *group, const char *name) {
    for (const struct command *c = commands; c->name; c++) {
        if (strcmp(c->name, name) == 0 && (group ? c->group && strcmp(c->group, group) == 0 : !c->group))
            return c;
    }
    cr_assert_fail("no command %s %s", group ? group : "", name);
    return NULL;
}

/* The words are kept: what is parsed points into them. */
static int parse(const char *group, const char *name, const char *const *given) {
    int count = 0;
    for (; given[count]; count++)
        words[count] = given[count];
    words[count] = NULL;
    memset(&error, 0, sizeof(error));
    return options_parse(command_named(group, name), count, (char *const *) words, storage, &in, &error);
}
#define PARSE(group, name, ...) parse(group, name, (const char *const[]){__VA_ARGS__, NULL})

#define REFUSED(part, ...)                                                                                             \
    do {                                                                                                               \
        cr_expect_eq(PARSE(__VA_ARGS__), -EINVAL);                                                                     \
        cr_expect_not_null(strstr(error.text, part), "%s", error.text);                                                \
    } while (0)

Test(options, sizes) {
    static const struct {
        const char *text;
        int64_t unit, bytes; /* -1: refused */
    } cases[] = {
        {"4G", 1, 4LL << 30},
        {"4GiB", 1, 4LL << 30},
        {"4gb", 1, 4LL << 30},
        {"512M", 1, 512LL << 20},
        {"1.5G", 1, 3LL << 29},
        {"8192", 1, 8192},
        {"512", 1 << 20, 512LL << 20},
        {"2K", 1, 2048},
        {"1T", 1, 1LL << 40},
        {"", 1, -1},
        {"G", 1, -1},
        {"-1G", 1, -1},
        {"4 G", 1, -1},
        {"4X", 1, -1},
        {"4Gi", 1, -1},
        {"0x10", 1, -1},
        {"1e3", 1, -1},
        {"nan", 1, -1},
        {"inf", 1, -1},
        {"99999999999G", 1, -1},
        {"4GiBB", 1, -1},
        {"1.0000001K", 1, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t bytes = -1;
        int r = options_size(cases[i].text, cases[i].unit, &bytes);
        cr_expect_eq(r, cases[i].bytes < 0 ? -EINVAL : 0, "%s", cases[i].text);
        if (r == 0)
            cr_expect_eq(bytes, cases[i].bytes, "%s: %lld", cases[i].text, (long long) bytes);
    }
}

Test(options, values_and_positions) {
    cr_assert_eq(PARSE("vm", "run", "./repo", "--memory", "2GiB", "--vcpu=3", "--disk-size", "16G", "--rm", "-e", "A=1",
                       "-eB=2", "-it", "--", "make", "--jobs", "-j"),
                 0, "%s", error.text);
    cr_expect_eq(options_number(&in, OPT_MEMORY, 0), 2048);
    cr_expect_eq(options_number(&in, OPT_VCPU, 0), 3);
    cr_expect_eq(options_number(&in, OPT_DISK_SIZE, 0), 16LL << 30);
    cr_expect(options_given(&in, OPT_RM) && options_given(&in, OPT_TTY) && options_given(&in, OPT_INTERACTIVE));
    cr_expect_eq(in.argument_count, 1);
    cr_expect_str_eq(in.arguments[0], "./repo");
    cr_expect_eq(in.list_count, 2);
    cr_expect_str_eq(in.list[1], "B=2");
    cr_expect_eq(in.after_count, 3);
    cr_expect_str_eq(in.after[1], "--jobs");
    cr_assert_eq(PARSE("vm", "exec", "-i", "--cwd", "/tmp", "web", "-t", "--", "ls"), 0, "%s", error.text);
    cr_expect_str_eq(in.arguments[0], "web");
    cr_assert_eq(PARSE("vm", "kill", "a", "--signal", "sigterm", "b"), 0, "%s", error.text);
    cr_expect_eq(options_number(&in, OPT_SIGNAL, 9), 15);
    cr_expect_eq(in.argument_count, 2);
    cr_expect_eq(options_number(&in, OPT_GRACE, 77), 77);
}

Test(options, contradictions_name_the_remedy) {
    REFUSED("leave one of them out", "vm", "run", "-d", "--rm");
    REFUSED("a size from 1M to 16T", "vm", "run", "--system-overlay-size", "8");
    REFUSED("a size from 1M to 16T", "vm", "create", "--system-overlay-size", "17T");
    cr_expect_eq(PARSE("vm", "create", "--system-overlay-size", "0"), 0, "%s", error.text);
    REFUSED("give the PATH", "vm", "run", "--no-bootstrap");
    REFUSED("vm exec NAME", "vm", "run", "--detach", "--", "ls");
    REFUSED("leave one of them out", "vm", "create", "--nat", "--no-nat");
    REFUSED("leave one of them out", "vm", "set", "web", "--ipv6", "--no-ipv6");
    REFUSED("add --branch", "vm", "run", ".", "--from", "HEAD~1");
    REFUSED("PATH", "vm", "run", "--branch", "b");
    REFUSED("PATH", "vm", "run", "--include-untracked");
    REFUSED("PATH", "vm", "run", "--dry-run");
}

Test(options, mistakes_name_the_remedy) {
    REFUSED("did you mean --memory", "vm", "run", "--memmory", "3");
    REFUSED("--help", "vm", "run", "--zzzzzz");
    REFUSED("--help", "vm", "run", "-Z");
    REFUSED("needs a value", "vm", "run", "--name");
    REFUSED("takes no value", "vm", "run", "--rm=yes");
    REFUSED("put -- before", "vm", "exec", "web", "ls", "-l");
    REFUSED("something is missing", "vm", "show", "--json");
    REFUSED("one word too many", "vm", "show", "a", "b");
    REFUSED("no command follows", "vm", "run", "--");
    REFUSED("takes no command", "vm", "show", "a", "--", "ls");
    REFUSED("small letters", "vm", "create", "--name", "Web_1");
    REFUSED("small letters", "vm", "create", "--name", "-web");
    REFUSED("2048", "vm", "create", "--memory", "lots");
    REFUSED("2048", "vm", "create", "--memory", "1.3M");
    REFUSED("8GiB", "vm", "create", "--disk-size", "0");
    REFUSED("whole number", "vm", "create", "--vcpu", "0");
    REFUSED("NAME=value", "vm", "exec", "web", "-e", "X", "--", "ls");
    REFUSED("TERM or 15", "vm", "kill", "web", "--signal", "FOO");
    REFUSED("not empty", "vm", "run", "--image", "");
}

Test(options, help_wins_over_what_is_missing) {
    cr_expect_eq(PARSE("vm", "show", "--help"), 0, "%s", error.text);
    cr_expect(options_given(&in, OPT_HELP));
}

Test(options, defaults_follow_the_host) {
    cr_expect(options_default_vcpus() >= 1 && options_default_vcpus() <= 4);
    cr_expect(options_default_memory() >= 512 && options_default_memory() <= 8192);
}

/* Every command has help, and no two of its options share a name, letter or id. */
Test(options, tables_are_sound) {
    for (const struct command *c = commands; c->name; c++) {
        cr_expect(c->run && c->usage && c->summary && c->options, "%s", c->name);
        int help = 0;
        for (const struct option *o = c->options; o->name; o++) {
            help += o->id == OPT_HELP;
            cr_expect_eq(o->kind == OPTION_FLAG, o->argument == NULL, "%s --%s", c->name, o->name);
            for (const struct option *p = o + 1; p->name; p++) {
                cr_expect_str_neq(o->name, p->name, "%s", c->name);
                cr_expect(!o->letter || o->letter != p->letter, "%s -%c", c->name, o->letter);
                cr_expect_neq(o->id, p->id, "%s --%s", c->name, p->name);
            }
        }
        cr_expect_eq(help, 1, "%s", c->name);
    }
}
