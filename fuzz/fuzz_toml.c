/* Fuzzes the TOML reader, and the settings made of what it reads. */
#include "../common/toml.h"
#include "../unpriv/cli/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visit(const struct toml_entry *entry, void *arg, struct err *e) {
    unsigned *last = arg;
    (void) e;
    if (entry->line <= *last || strlen(entry->table) >= TOML_NAME_MAX)
        abort();
    *last = entry->line;
    if (entry->key && (!entry->key[0] || strlen(entry->key) >= TOML_NAME_MAX))
        abort();
    if (entry->key && entry->type == TOML_STRING && strlen(entry->text) >= TOML_TEXT_MAX)
        abort();
    if (entry->key && entry->type == TOML_BOOLEAN && entry->number != 0 && entry->number != 1)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct config config;
    struct err e = {0};
    unsigned last = 0;
    int r = toml_read((const char *) data, size, "f", visit, &last, &e);
    if ((r != 0) != (e.code != 0) || (r && strncmp(e.text, "f:", 2) != 0))
        abort();
    struct err why = {0};
    int made = config_parse((const char *) data, size, "f", &config, &why);
    if ((r && !made) || (made && !why.text[0]))
        abort(); /* what is no TOML is no configuration */
    if (!made && config.values[CONFIG_VCPU].line && config.values[CONFIG_VCPU].number < 1)
        abort();
    return 0;
}
