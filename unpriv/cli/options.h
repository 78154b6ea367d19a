/* The command line: tables of commands and options, one parser for all of them,
 * and the help text made from the same tables. */
#ifndef BANGER_CLI_OPTIONS_H
#define BANGER_CLI_OPTIONS_H

#include "../../common/err.h"
#include "../forward/spec.h"

#include <stddef.h>
#include <stdint.h>

#define OPTION_LIST_MAX  128
#define OPTION_WORDS_MAX 32

enum option_id {
    OPT_HELP,
    OPT_JSON,
    OPT_QUIET,
    OPT_NAME,
    OPT_IMAGE,
    OPT_KERNEL,
    OPT_VCPU,
    OPT_MEMORY,
    OPT_DISK_SIZE,
    OPT_ROOT_DISK,
    OPT_OVERLAY_SIZE,
    OPT_VMM,
    OPT_NAT,
    OPT_NO_NAT,
    OPT_IPV6,
    OPT_NO_IPV6,
    OPT_EGRESS,
    OPT_NO_START,
    OPT_RM,
    OPT_DETACH,
    OPT_BRANCH,
    OPT_FROM,
    OPT_INCLUDE_UNTRACKED,
    OPT_DRY_RUN,
    OPT_NO_BOOTSTRAP,
    OPT_AUTO_PREPARE,
    OPT_INTERACTIVE,
    OPT_TTY,
    OPT_CWD,
    OPT_ENV,
    OPT_USER,
    OPT_SIGNAL,
    OPT_GRACE,
    OPT_FORCE,
    OPT_WHICH,
    OPT_AVAILABLE,
    OPT_SOURCE,
    OPT_TAG,
    OPT_ROOTFS,
    OPT_KERNEL_REF,
    OPT_MODULES,
    OPT_INITRD,
    OPT_OUT,
    OPT_SIZE,
    OPT_PLATFORM,
    OPT_INSECURE,
    OPT_USERNAME,
    OPT_PASSWORD_STDIN,
    OPT_PRIVILEGES,
    OPT_ALL,
    OPT_LINES,
    OPT_HEAD,
    OPT_SYSLOG,
    OPT_WITH_SSH,
    OPT_INSTALL,
    OPT_UNINSTALL,
    OPT_FROM_IMAGE,
    OPT_DOCKER,
    OPT_SCRIPT,
    OPT_PACKAGES,
    OPT_FILTER,
    OPT_SINCE,
    OPT_WATCH,
    OPT_INTERVAL,
    OPT_FOLLOW,
    OPT_PUBLISH,
    OPT_REMOVE,
    OPT_STDIN_MODE,
    OPT_REQUIRE_COMMAND,
    OPT_STREAM,
    OPT_CLOSE,
    ARG_POSITIONAL, /* not an option: a positional argument was given */
    ARG_COMMAND,    /* not an option: a command was given after -- */
    OPT_COUNT,
};

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_NAME,   /* a DNS label, RFC 1123 */
    OPTION_COUNT,  /* a whole number from 1 */
    OPTION_NUMBER, /* a whole number from 0 */
    OPTION_MEMORY, /* to MiB; a plain number is MiB */
    OPTION_DISK,   /* to bytes; a plain number is bytes */
    OPTION_ROOM,   /* the same, or 0 */
    OPTION_SIGNAL, /* a name or number, to the number */
    OPTION_CHOICE, /* one of the words of `argument`, which are separated by '|' */
    OPTION_EGRESS, /* unpriv/egress/rules.h */
    OPTION_LIST,   /* NAME=value, may be repeated */
    OPTION_WORDS,  /* a text, may be repeated */
    OPTION_PORT,   /* [IP:]HOST:GUEST[/udp], may be repeated */
};

struct option {
    enum option_id id;
    const char *name; /* without -- */
    char letter;      /* 0: none */
    enum option_kind kind;
    const char *argument; /* for help; NULL for a flag */
    const char *help;
    void (*resolve)(char *out, size_t size); /* the default, for help; may be NULL */
};

struct option_value {
    int given;
    const char *text;
    int64_t number;
};

struct invocation;

struct command {
    const char *group; /* "vm", "image", ... or NULL */
    const char *name;
    const char *alias; /* another name in the group, or NULL */
    const char *usage; /* arguments, for help */
    const char *summary;
    const struct option *options; /* ends with a NULL name */
    int least, most;              /* positional arguments; most < 0: any number */
    int command;                  /* 1: takes a command after --, 2: must have one */
    int (*run)(const struct invocation *in);
    const char *details; /* a paragraph for help, or NULL */
};

struct invocation {
    const struct command *command;
    struct option_value values[OPT_COUNT];
    const char *list[OPTION_LIST_MAX];
    size_t list_count;
    const char *words[OPTION_WORDS_MAX]; /* of OPTION_WORDS */
    size_t word_count;
    const char *ports[PUBLISH_MAX]; /* of OPTION_PORT */
    size_t port_count;
    const char **arguments; /* positional, argument_count; NULL-terminated */
    int argument_count;
    char *const *after; /* the command after --, after_count; NULL-terminated */
    int after_count;
};

/* Fills `in` from the words after the command's name (`argv`, NULL-terminated).
 * Positional pointers are kept in `storage` (room for argc + 1). 0, or -EINVAL
 * with a sentence that names the remedy. */
int options_parse(const struct command *command, int argc, char *const *argv, const char **storage,
                  struct invocation *in, struct err *e);

/* The option's value or the fallback. */
const char *options_text(const struct invocation *in, enum option_id id, const char *fallback);
int64_t options_number(const struct invocation *in, enum option_id id, int64_t fallback);
static inline int options_given(const struct invocation *in, enum option_id id) {
    return in->values[id].given;
}

/* A size in bytes: "8G", "8GiB", "512M", "1.5G", plain numbers times `unit`. Units are powers of 1024.
 * 0 or -EINVAL. */
int options_size(const char *text, int64_t unit, int64_t *out);

/* A time: "90s", "15m", "12h", "7d", to seconds. 0 or -EINVAL. */
int options_duration(const char *text, int64_t *out);

/* 1 when `text` is one of `words`, which are separated by '|'. */
int options_choice(const char *words, const char *text);

/* Defaults that follow from the host. */
int64_t options_default_vcpus(void);  /* cpus/4, from 1 to 4 */
int64_t options_default_memory(void); /* MiB: ram/8, from 512 to 8192 */
#define OPTIONS_DEFAULT_DISK (8LL << 30)

#define ROOT_DISK_WORDS "auto|reflink|snapshot|copy" /* vm.create's "root_disk" */

#define VMM_WORDS "auto|firecracker|qemu" /* its "vmm" */

/* The table of all commands, which ends with a NULL name (commands.c). */
extern const struct command commands[];

/* Prints help for one command, for a group, or (NULL) for all, to stdout. */
void options_help_command(const struct command *command);
void options_help_group(const char *group);

/* The nearest of the candidates that `next` yields (NULL at the end), or NULL where none is near. */
const char *options_nearest(const char *word, const char *(*next)(size_t index, const void *arg), const void *arg);

#endif
