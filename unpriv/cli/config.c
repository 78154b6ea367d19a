#include "config.h"

#include "../../common/toml.h"
#include "../catalog/catalog.h"
#include "../image/reference.h"
#include "../metrics/place.h"
#include "client.h"
#include "file.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME "config.toml"
#define TABLE     "vm_defaults"
#define REGISTRY  "registry"

static int64_t default_disk(void) {
    return OPTIONS_DEFAULT_DISK;
}
static void show_count(int64_t n, char *out, size_t size) {
    (void) snprintf(out, size, "%" PRId64, n);
}
static int64_t default_interval(void) {
    return 2;
}
static int64_t default_metrics(void) {
    return 5;
}
static void show_seconds(int64_t n, char *out, size_t size) {
    (void) snprintf(out, size, "%" PRId64 " s", n);
}
static void show_mib(int64_t n, char *out, size_t size) {
    (void) snprintf(out, size, "%" PRId64 " MiB", n);
}
static void show_bytes(int64_t n, char *out, size_t size) {
    char text[32];
    output_size(n, text);
    (void) snprintf(out, size, "%s", text);
}

static int64_t none(void) {
    return 0;
}
static void show_room(int64_t n, char *out, size_t size) {
    if (n)
        show_bytes(n, out, size);
    else
        (void) snprintf(out, size, "none");
}
static void show_duration(int64_t seconds, char *out, size_t size) {
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (seconds % units[i].seconds)
        i++;
    if (seconds)
        (void) snprintf(out, size, "%" PRId64 "%c", seconds / units[i].seconds, units[i].unit);
    else
        (void) snprintf(out, size, "never");
}
static int read_bytes(const char *text, int64_t *out) {
    return options_size(text, 1, out);
}

/* The engine's own bounds are the same (vm/spec.c); here they are found before an image is pulled. */
static const struct setting {
    const char *table, *key, *name;
    enum option_id option;
    int (*read)(const char *text, int64_t *out); /* of a number that can be a text too, such as "8G" */
    int64_t least, most;
    int64_t (*host)(void);                                /* of a number: its default */
    void (*show)(int64_t number, char *out, size_t size); /* NULL: a text */
    const char *words;                                    /* of a text: those it can be, or NULL */
    const char *preset;                                   /* of a text: its default */
    const char *origin;                                   /* of the default */
    const char *wanted;
} settings[CONFIG_KEYS] = {
    [CONFIG_VCPU] = {TABLE, "vcpu", TABLE ".vcpu", OPT_VCPU, NULL, 1, 255, options_default_vcpus, show_count, NULL,
                     NULL, "a quarter of the host's processors, 1 to 4", "a whole number from 1 to 255"},
    [CONFIG_MEMORY] = {TABLE, "memory_mib", TABLE ".memory_mib", OPT_MEMORY, NULL, 128, UINT32_MAX,
                       options_default_memory, show_mib, NULL, NULL, "an eighth of the host's memory, 512 MiB to 8 GiB",
                       "a whole number of MiB from 128"},
    [CONFIG_DISK_SIZE] = {TABLE, "disk_size", TABLE ".disk_size", OPT_DISK_SIZE, read_bytes, 64LL << 20, 16LL << 40,
                          default_disk, show_bytes, NULL, NULL, "banger's own", "a size from 64M to 16T, as in \"8G\""},
    [CONFIG_ROOT_DISK] = {TABLE, "root_disk", TABLE ".root_disk", OPT_ROOT_DISK, NULL, 0, 0, NULL, NULL,
                          ROOT_DISK_WORDS, "auto", "banger's own: the cheapest that can be had",
                          "one of \"" ROOT_DISK_WORDS "\""},
    [CONFIG_OVERLAY_SIZE] = {TABLE, "system_overlay_size", TABLE ".system_overlay_size", OPT_OVERLAY_SIZE, read_bytes,
                             1LL << 20, 16LL << 40, none, show_room, NULL, NULL, "banger's own: what the image has",
                             "a size from 1M to 16T, as in \"4G\", or 0 for what the image has"},
    [CONFIG_IMAGE] = {"", "default_image_name", "default_image_name", OPT_IMAGE, NULL, 0, 0, NULL, NULL, NULL,
                      CATALOG_DEFAULT_IMAGE, "banger's own", "an image's name, in quotes and not empty"},
    [CONFIG_VMM] = {"", "vmm", "vmm", OPT_VMM, NULL, 0, 0, NULL, NULL, VMM_WORDS, "auto",
                    "banger's own: Firecracker where the policy has it and KVM works, else QEMU",
                    "one of \"" VMM_WORDS "\""},
    [CONFIG_STATS_INTERVAL] = {"", "stats_poll_interval", "stats_poll_interval", OPT_INTERVAL, NULL, 1, 3600,
                               default_interval, show_seconds, NULL, NULL, "banger's own",
                               "a whole number of seconds from 1 to 3600"},
    [CONFIG_METRICS_LISTEN] = {"", "metrics_listen_addr", "metrics_listen_addr", OPT_HELP, metrics_place_read, 0,
                               METRICS_PLACE_MOST, none, metrics_place_show, NULL, NULL, "banger's own: no port",
                               "a port of this host's loopback, as in \"127.0.0.1:9464\", or \"\" for none"},
    [CONFIG_METRICS_INTERVAL] = {"", "metrics_poll_interval", "metrics_poll_interval", OPT_HELP, NULL, 1, 3600,
                                 default_metrics, show_seconds, NULL, NULL, "banger's own",
                                 "a whole number of seconds from 1 to 3600"},
    [CONFIG_STALE_AFTER] = {"", "auto_stop_stale_after", "auto_stop_stale_after", OPT_HELP, options_duration, 0,
                            10LL * 365 * 86400, none, show_duration, NULL, NULL, "banger's own: VMs run on",
                            "a time, as in \"90m\", \"12h\" or \"7d\", or 0 for never"},
    [CONFIG_TAP_POOL] = {"", "tap_pool_size", "tap_pool_size", OPT_HELP, NULL, 0, 64, none, show_count, NULL, NULL,
                         "banger's own: a tap is made when a VM starts", "a whole number from 0 to 64"},
};

static struct config own;            /* of the account's file */
static char own_file[PATH_MAX + 16]; /* its name, "" while not looked for */

/* --- the file ------------------------------------------------------------------------ */

static int take_number(const struct setting *s, const struct toml_entry *entry, int64_t *out) {
    *out = entry->number;
    if (entry->type == TOML_STRING && (!s->read || s->read(entry->text, out) < 0))
        return 0;
    const int whole = s->read != metrics_place_read; /* nobody writes an address as a number */
    if ((entry->type != TOML_INTEGER || !whole) && entry->type != TOML_STRING)
        return 0;
    return (*out >= s->least && *out <= s->most) || *out == s->host(); /* its default can be said, too */
}

static int take_text(const struct setting *s, const struct toml_entry *entry, char out[CONFIG_TEXT_MAX]) {
    if (entry->type != TOML_STRING || !entry->text[0] || strlen(entry->text) >= CONFIG_TEXT_MAX ||
        (s->words && !options_choice(s->words, entry->text)))
        return 0;
    (void) snprintf(out, CONFIG_TEXT_MAX, "%s", entry->text);
    text_sanitize(out);
    return strcmp(out, entry->text) == 0;
}

/* Until its host comes, a [[registry]] has none. */
static int is_whole(const struct config *config, struct err *e) {
    if (config->registry_count == 0)
        return 0;
    const struct config_registry *last = &config->registries[config->registry_count - 1];
    if (last->host[0])
        return 0;
    return err_set(e, EINVAL, "the [[" REGISTRY "]] in line %u has no host: add host = \"NAME\" to it", last->line);
}

static int visit_registry(const struct toml_entry *entry, struct config *config, struct err *e) {
    int r = is_whole(config, e);
    if (r)
        return r;
    if (config->registry_count == CONFIG_REGISTRIES_MAX)
        return err_set(e, EINVAL, "there are more than %d [[" REGISTRY "]] tables: leave some out",
                       CONFIG_REGISTRIES_MAX);
    config->registries[config->registry_count++].line = entry->line;
    return 0;
}

static int copy_host(const struct toml_entry *entry, char out[CONFIG_TEXT_MAX], struct err *e) {
    if (entry->type != TOML_STRING || strlen(entry->text) >= CONFIG_TEXT_MAX || !reference_is_host(entry->text))
        return err_set(e, EINVAL, "%s must be a registry's host, with its port where it has one, in quotes",
                       entry->key);
    (void) snprintf(out, CONFIG_TEXT_MAX, "%s", entry->text);
    return 0;
}

static int visit_registry_key(const struct toml_entry *entry, struct config *config, struct err *e) {
    struct config_registry *now = &config->registries[config->registry_count - 1];
    unsigned ignored = 0;
    unsigned *line = strcmp(entry->key, "mirror") == 0     ? &now->mirror_line
                     : strcmp(entry->key, "insecure") == 0 ? &now->insecure_line
                                                           : &ignored;
    if (*line || (strcmp(entry->key, "host") == 0 && now->host[0]))
        return err_set(e, EINVAL, "%s is in this [[" REGISTRY "]] already: keep one of them", entry->key);
    *line = entry->line;
    if (strcmp(entry->key, "host") == 0)
        return copy_host(entry, now->host, e);
    if (strcmp(entry->key, "mirror") == 0)
        return copy_host(entry, now->mirror, e);
    if (strcmp(entry->key, "insecure") != 0)
        return err_set(e, EINVAL, "there is no setting %s in [[" REGISTRY "]]: host, mirror and insecure are",
                       entry->key);
    if (entry->type != TOML_BOOLEAN)
        return err_set(e, EINVAL, "insecure must be true or false");
    now->insecure = (int) entry->number;
    return 0;
}

static int visit_header(const struct toml_entry *entry, struct config *config, struct err *e) {
    if (entry->in_array && strcmp(entry->table, REGISTRY) == 0)
        return visit_registry(entry, config, e);
    if (entry->in_array || strcmp(entry->table, TABLE) != 0)
        return err_set(e, EINVAL, "there is no table %s%s%s: there are [" TABLE "] and [[" REGISTRY "]]",
                       entry->in_array ? "[[" : "[", entry->table, entry->in_array ? "]]" : "]");
    if (config->vm_defaults)
        return err_set(e, EINVAL, "[" TABLE "] is there already, in line %u: keep one of them", config->vm_defaults);
    config->vm_defaults = entry->line;
    return 0;
}

static const char *next_key(size_t index, const void *arg) {
    const char *table = arg;
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        if (strcmp(settings[i].table, table) == 0 && index-- == 0)
            return settings[i].key;
    }
    return NULL;
}

static int unknown_key(const struct toml_entry *entry, struct err *e) {
    const char *near = options_nearest(entry->key, next_key, entry->table);
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        if (strcmp(settings[i].key, entry->key) == 0)
            return err_set(e, EINVAL, "%s belongs %s", entry->key,
                           settings[i].table[0] ? "under [" TABLE "]" : "before the first [table]");
    }
    if (near)
        return err_set(e, EINVAL, "there is no setting %s: did you mean %s?", entry->key, near);
    return err_set(e, EINVAL, "there is no setting %s: banger.toml(5) lists those that exist", entry->key);
}

static int visit(const struct toml_entry *entry, void *arg, struct err *e) {
    struct config *config = arg;
    if (!entry->key)
        return visit_header(entry, config, e);
    if (entry->in_array)
        return visit_registry_key(entry, config, e);
    for (size_t i = 0; i < CONFIG_KEYS; i++) {
        const struct setting *s = &settings[i];
        struct config_value *v = &config->values[i];
        if (strcmp(s->table, entry->table) != 0 || strcmp(s->key, entry->key) != 0)
            continue;
        if (v->line)
            return err_set(e, EINVAL, "%s is there already, in line %u: keep one of them", s->key, v->line);
        v->line = entry->line;
        if (s->show ? take_number(s, entry, &v->number) : take_text(s, entry, v->text))
            return 0;
        return err_set(e, EINVAL, "%s must be %s", s->key, s->wanted);
    }
    return unknown_key(entry, e);
}

int config_parse(const char *text, size_t size, const char *file, struct config *config, struct err *e) {
    memset(config, 0, sizeof(*config));
    int r = toml_read(text, size, file, visit, config, e);
    if (r == 0 && is_whole(config, e))
        r = err_prefix(e, "%s:%u", file, config->registries[config->registry_count - 1].line);
    return r;
}

int config_load(struct err *e) {
    static struct err first;
    if (!own_file[0]) {
        char text[TOML_BYTES_MAX + 1];
        const struct paths *paths = client_paths(&first);
        if (paths) {
            (void) snprintf(own_file, sizeof(own_file), "%s/" FILE_NAME, paths->config);
            ssize_t size = file_read(own_file, text, sizeof(text), &first);
            if (size >= 0 && config_parse(text, (size_t) size, own_file, &own, &first))
                memset(&own, 0, sizeof(own));
        }
    }
    if (first.code && e)
        *e = first;
    return -first.code;
}

/* --- what is in force ---------------------------------------------------------------- */

static const struct config_value *from_file(enum config_key key) {
    (void) config_load(NULL);
    return own.values[key].line ? &own.values[key] : NULL;
}

int64_t config_number(const struct invocation *in, enum config_key key) {
    const struct setting *s = &settings[key];
    if (in && options_given(in, s->option))
        return options_number(in, s->option, 0);
    const struct config_value *v = from_file(key);
    return v ? v->number : s->host();
}

const char *config_text(const struct invocation *in, enum config_key key) {
    const struct setting *s = &settings[key];
    if (in && options_given(in, s->option))
        return options_text(in, s->option, "");
    const struct config_value *v = from_file(key);
    return v ? v->text : s->preset;
}

const struct config_registry *config_registry(size_t index) {
    (void) config_load(NULL);
    return index < own.registry_count ? &own.registries[index] : NULL;
}

const char *config_name(enum config_key key) {
    return settings[key].name;
}

void config_show(enum config_key key, char *out, size_t size) {
    if (settings[key].show)
        settings[key].show(config_number(NULL, key), out, size);
    else
        (void) snprintf(out, size, "%s", config_text(NULL, key));
}

void config_origin(enum config_key key, char *out, size_t size) {
    const struct config_value *v = from_file(key);
    if (v)
        (void) snprintf(out, size, "%s:%u", own_file, v->line);
    else
        (void) snprintf(out, size, "%s", settings[key].origin);
}
