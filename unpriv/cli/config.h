/* The account's own settings, ~/.config/banger/config.toml, and what is in force: an
 * option, else the file, else what follows from the host. Read by the CLI: the engine
 * sees no file of the account's. */
#ifndef BANGER_CLI_CONFIG_H
#define BANGER_CLI_CONFIG_H

#include "../../common/err.h"
#include "options.h"

#include <stddef.h>
#include <stdint.h>

enum config_key {
    CONFIG_VCPU,
    CONFIG_MEMORY,
    CONFIG_DISK_SIZE,
    CONFIG_ROOT_DISK,
    CONFIG_OVERLAY_SIZE,
    CONFIG_IMAGE,
    CONFIG_VMM,
    CONFIG_STATS_INTERVAL,
    CONFIG_STALE_AFTER,
    CONFIG_METRICS_LISTEN,
    CONFIG_METRICS_INTERVAL,
    CONFIG_TAP_POOL,
    CONFIG_KEYS
};

#define CONFIG_TEXT_MAX       128
#define CONFIG_REGISTRIES_MAX 16

/* A [[registry]]: how a host is spoken to, and where else its images are. */
struct config_registry {
    char host[CONFIG_TEXT_MAX];
    char mirror[CONFIG_TEXT_MAX]; /* "" without */
    int insecure;
    unsigned line, mirror_line, insecure_line; /* 0: not in the file */
};

struct config {
    struct config_value {
        unsigned line; /* 0: not in the file */
        int64_t number;
        char text[CONFIG_TEXT_MAX];
    } values[CONFIG_KEYS];
    unsigned vm_defaults; /* line of the table, 0 without */
    struct config_registry registries[CONFIG_REGISTRIES_MAX];
    size_t registry_count;
};

/* Reads a file's text. 0, or a negative errno with a sentence that begins "<file>:<line>: ". */
int config_parse(const char *text, size_t size, const char *file, struct config *config, struct err *e);

/* Reads the account's file, once; without one nothing is set. 0 or a negative errno with a sentence. */
int config_load(struct err *e);

/* What is in force; `in` may be NULL (no options). A file that cannot be read counts as empty here. */
int64_t config_number(const struct invocation *in, enum config_key key);
const char *config_text(const struct invocation *in, enum config_key key);

/* The file's [[registry]] number `index` from 0, NULL past the end. */
const struct config_registry *config_registry(size_t index);

/* The setting's name as in the file ("vm_defaults.vcpu"). */
const char *config_name(enum config_key key);
/* The value in force without options, as people write it: "4096 MiB". */
void config_show(enum config_key key, char *out, size_t size);
/* Where it comes from: "/home/me/.config/banger/config.toml:3" or "an eighth of the host's memory, ...". */
void config_origin(enum config_key key, char *out, size_t size);

#endif
