/* Help, and the way from the command line to a command. */
#include "../../common/version.h"
#include "commands.h"
#include "config.h"
#include "options.h"
#include "output.h"
#include "provision.h"
#include "run.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- help -------------------------------------------------------------------- */

static void help_short(void) {
    (void) fputs("banger: development sandboxes in microVMs, without root\n\n"
                 "  banger vm run -- uname -a         a command in a fresh guest\n"
                 "  banger vm run ./repo -- make      the same, with your repository in it\n"
                 "  banger vm run                     a shell\n\n",
                 stdout);
    const char *group = "";
    for (const struct command *c = commands; c->name; c++) {
        if (!c->group) {
            (void) printf("  %-10s %s\n", c->name, c->summary);
        } else if (strcmp(c->group, group) == 0) {
            continue;
        } else {
            group = c->group;
            (void) printf("  %-10s", group);
            for (const struct command *m = commands; m->name; m++) {
                if (m->group && strcmp(m->group, group) == 0)
                    (void) printf(" %s", m->name);
            }
            (void) putchar('\n');
        }
    }
    (void) fputs("\n`banger COMMAND --help` tells more.\n", stdout);
}

static int is_group(const char *word) {
    for (const struct command *c = commands; c->name; c++) {
        if (c->group && strcmp(c->group, word) == 0)
            return 1;
    }
    return 0;
}

static const struct command *find(const char *group, const char *name) {
    for (const struct command *c = commands; c->name; c++) {
        int same = group ? c->group && strcmp(c->group, group) == 0 : !c->group;
        if (same && (strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0)))
            return c;
    }
    return NULL;
}

#define GROUP_MAX 64

/* How many of the words name a group, which may have two ("vm session"); its name in `group`. */
static int take_group(const char *const *words, int count, char group[GROUP_MAX]) {
    char both[GROUP_MAX];
    if (count == 0 || !is_group(words[0]))
        return 0;
    (void) snprintf(group, GROUP_MAX, "%s", words[0]);
    if (count == 1)
        return 1;
    (void) snprintf(both, sizeof(both), "%s %.40s", words[0], words[1]);
    if (!is_group(both))
        return 1;
    memcpy(group, both, sizeof(both));
    return 2;
}

/* What could stand after the group in a command of this row: its name, or the second word of its group. */
static const char *word_after(const struct command *c, const char *group) {
    const size_t length = strlen(group);
    if (!c->group || strncmp(c->group, group, length) != 0 || (c->group[length] && c->group[length] != ' '))
        return NULL;
    return c->group[length] ? c->group + length + 1 : c->name;
}

/* Near misses are looked for among the words that could stand there. */
static const char *next_word(size_t index, const void *group) {
    for (const struct command *c = commands; c->name; c++) {
        const char *word = group ? word_after(c, group) : c->group ? c->group : c->name;
        if (word && index-- == 0)
            return word;
    }
    return NULL;
}

static int unknown_command(const char *group, const char *word) {
    struct err e;
    const char *near = options_nearest(word, next_word, group);
    const char *before = group ? group : "", *space = group ? " " : "";
    if (near)
        (void) err_set(&e, EINVAL, "there is no command `banger %s%s%s`: did you mean `banger %s%s%s`?", before, space,
                       word, before, space, near);
    else
        (void) err_set(&e, EINVAL, "there is no command `banger %s%s%s`: `banger%s%s --help` lists those that exist",
                       before, space, word, space, before);
    output_error(&e);
    return EXIT_USAGE;
}

int command_help(const struct invocation *in) {
    char group[GROUP_MAX] = "";
    if (in->argument_count == 0) {
        help_short();
        return 0;
    }
    const int words = take_group(in->arguments, in->argument_count, group);
    const char *name = words < in->argument_count ? in->arguments[words] : NULL;
    const struct command *c = name ? find(words ? group : NULL, name) : NULL;
    if (c)
        options_help_command(c);
    else if (words && !name)
        options_help_group(group);
    else
        return unknown_command(words ? group : NULL, name);
    return 0;
}

int command_version(const struct invocation *in) {
    (void) in;
    (void) printf("banger %s\n", BANGER_STAMP);
    return 0;
}

/* --- the way in -------------------------------------------------------------- */

static int invoke(const struct command *c, int argc, char **argv, const char **storage, struct invocation *in) {
    struct err e = {0};
    if (options_parse(c, argc, argv, storage, in, &e) < 0) {
        output_error(&e);
        return EXIT_USAGE;
    }
    if (options_given(in, OPT_HELP)) {
        options_help_command(c);
        if ((c->run == command_run || c->run == command_create || c->run == command_image_build) && config_load(&e) < 0)
            output_warning(e.text); /* the defaults shown are not those it wants */
        return 0;
    }
    return c->run(in);
}

static int run_command(const struct command *c, int argc, char **argv) {
    const char **storage = calloc((size_t) argc + 1, sizeof(*storage));
    struct invocation *in = calloc(1, sizeof(*in));
    int status = storage && in ? invoke(c, argc, argv, storage, in) : EXIT_OWN;
    free(storage);
    free(in);
    return status;
}

static int is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int commands_main(int argc, char **argv) {
    (void) signal(SIGPIPE, SIG_IGN);
    (void) setlocale(LC_CTYPE, "C.UTF-8");
    if (argc < 2 || is_help(argv[1])) {
        help_short();
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0)
        return command_version(NULL);
    const struct command *c = find(NULL, argv[1]);
    if (c)
        return run_command(c, argc - 2, argv + 2);
    char group[GROUP_MAX];
    const int words = take_group((const char *const *) argv + 1, argc - 1, group);
    if (words == 0)
        return unknown_command(NULL, argv[1]);
    argc -= words + 1;
    argv += words + 1;
    if (argc == 0 || is_help(argv[0])) {
        options_help_group(group);
        return 0;
    }
    c = find(group, argv[0]);
    return c ? run_command(c, argc - 1, argv + 1) : unknown_command(group, argv[0]);
}
