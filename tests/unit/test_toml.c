/* The TOML reader, and the settings made of it. */
#include "../../common/toml.h"
#include "../../unpriv/cli/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static char seen[4096];

/* Writes what is visited as "line table.key=value;", headers as "line [table];". */
static int note(const struct toml_entry *entry, void *arg, struct err *e) {
    (void) arg;
    (void) e;
    size_t used = strlen(seen);
    char value[TOML_TEXT_MAX + 32] = "";
    if (entry->key && entry->type == TOML_STRING)
        snprintf(value, sizeof(value), "\"%s\"", entry->text);
    else if (entry->key)
        snprintf(value, sizeof(value), "%s%" PRId64, entry->type == TOML_BOOLEAN ? "b" : "", entry->number);
    if (entry->key)
        snprintf(seen + used, sizeof(seen) - used, "%u %s.%s=%s;", entry->line, entry->table, entry->key, value);
    else
        snprintf(seen + used, sizeof(seen) - used, "%u %s%s];", entry->line, entry->in_array ? "[[" : "[",
                 entry->table);
    return 0;
}

static int read_text(const char *text, size_t size, struct err *e) {
    seen[0] = '\0';
    return toml_read(text, size, "f.toml", note, NULL, e);
}

Test(toml, what_is_read) {
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", ""},
        {"\n\n# only a comment", ""},
        {"a = 1", "1 .a=1;"},
        {"a=1\r\nb = 2 # two\r\n", "1 .a=1;2 .b=2;"},
        {"\t a-b_C9\t=\t+7  ", "1 .a-b_C9=7;"},
        {"1 = -0", "1 .1=0;"},
        {"a = 1_000_000", "1 .a=1000000;"},
        {"a = 9223372036854775807\nb = -9223372036854775808", "1 .a=9223372036854775807;2 .b=-9223372036854775808;"},
        {"a = true\nb = false", "1 .a=b1;2 .b=b0;"},
        {"[t]\na = \"x\"\n[[ u ]] # c\nb = \"#\"\n", "1 [t];2 t.a=\"x\";3 [[u];4 u.b=\"#\";"},
        {"a = \"\"", "1 .a=\"\";"},
        {"a = \"\\b\\t\\n\\f\\r\\\"\\\\\"", "1 .a=\"\b\t\n\f\r\"\\\";"},
        {"a = \"\\u00e4\\U0001F600\\u20ac\"", "1 .a=\"\xc3\xa4\xf0\x9f\x98\x80\xe2\x82\xac\";"},
        {"a = \"\xc3\xa4\tb\"", "1 .a=\"\xc3\xa4\tb\";"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        cr_expect_eq(read_text(cases[i].text, strlen(cases[i].text), &e), 0, "%s: %s", cases[i].text, e.text);
        cr_expect_str_eq(seen, cases[i].wanted);
    }
}

Test(toml, what_is_refused_with_its_line) {
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"a", "f.toml:1: expected = after \"a\""},
        {"a = ", "expected a string"},
        {"\n\na = nope", "f.toml:3: "},
        {"a = 'x'", "expected a string"},
        {"a = 1.5", "nothing but a comment"},
        {"a = 01", "expected a string"},
        {"a = 1__0", "expected a string"},
        {"a = 1_", "expected a string"},
        {"a = _1", "expected a string"},
        {"a = +-1", "expected a string"},
        {"a = 0x10", "nothing but a comment"},
        {"a = 9223372036854775808", "expected a string"},
        {"a = -9223372036854775809", "expected a string"},
        {"a = 1979-05-27", "nothing but a comment"},
        {"a = truth", "expected a string"},
        {"a = truea", "nothing but a comment"},
        {"a = [1]", "expected a string"},
        {"a = {}", "expected a string"},
        {"a = \"x", "no closing quote"},
        {"a = \"x\\\"", "no closing quote"},
        {"a = \"\"\"x\"\"\"", "nothing but a comment"},
        {"a = \"\\x\"", "backslash"},
        {"a = \"\\u12\"", "backslash"},
        {"a = \"\\u0000\"", "backslash"},
        {"a = \"\\ud800\"", "backslash"},
        {"a = \"\\U00110000\"", "backslash"},
        {"a = \"\\", "backslash"},
        {"a = 1 b = 2", "nothing but a comment"},
        {"a.b = 1", "expected = after"},
        {"\"a\" = 1", "expected a name"},
        {"= 1", "expected a name"},
        {"[", "expected a name"},
        {"[]", "expected a name"},
        {"[a", "expected ]"},
        {"[a.b]", "expected ]"},
        {"[[a]", "expected ]]"},
        {"[a] b", "nothing but a comment"},
        {"a = \"\xff\"", "not UTF-8"},
        {"# \xc0\x80", "not UTF-8"},
        {"# \xed\xa0\x80", "not UTF-8"},
        {"# \xf4\x90\x80\x80", "not UTF-8"},
        {"# \xe2\x82", "not UTF-8"},
        {"# \x01", "control"},
        {"a = \"\x7f\"", "control"},
        {"a = 1\rb = 2", "control"},
        {"a = 1\r", "control"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        cr_expect_eq(read_text(cases[i].text, strlen(cases[i].text), &e), -EINVAL, "%s", cases[i].text);
        cr_expect_not_null(strstr(e.text, cases[i].part), "%s: %s", cases[i].text, e.text);
        cr_expect_eq(strncmp(e.text, "f.toml:", 7), 0, "%s", e.text);
    }
    struct err e = {0};
    cr_expect_eq(read_text("a = 1\0", 6, &e), -EINVAL);
}

Test(toml, bounds) {
    static char text[TOML_BYTES_MAX + 2];
    struct err e = {0};
    memset(text, '#', sizeof(text));
    cr_expect_eq(read_text(text, TOML_BYTES_MAX, &e), 0);
    cr_expect_eq(read_text(text, TOML_BYTES_MAX + 1, &e), -EFBIG);
    memset(text, 'x', sizeof(text));
    memcpy(text, "a = \"", 5);
    text[5 + TOML_TEXT_MAX - 1] = '"';
    cr_expect_eq(read_text(text, 5 + TOML_TEXT_MAX, &e), 0, "the longest string: %s", e.text);
    text[5 + TOML_TEXT_MAX - 1] = 'x';
    text[5 + TOML_TEXT_MAX] = '"';
    cr_expect_eq(read_text(text, 6 + TOML_TEXT_MAX, &e), -EINVAL);
    memset(text, 'n', TOML_NAME_MAX);
    text[TOML_NAME_MAX] = '=';
    cr_expect_eq(read_text(text, TOML_NAME_MAX + 1, &e), -EINVAL);
}

/* --- the settings ------------------------------------------------------------------- */

static struct config config;

static int parse(const char *text, struct err *e) {
    return config_parse(text, strlen(text), "c.toml", &config, e);
}

Test(config, all_settings) {
    struct err e = {0};
    cr_assert_eq(parse("default_image_name = \"alpine\"\n\n[vm_defaults]\nvcpu = 3\nmemory_mib = 1_024\n"
                       "disk_size = \"1.5G\" # bytes\nroot_disk = \"copy\"\n",
                       &e),
                 0, "%s", e.text);
    cr_expect_str_eq(config.values[CONFIG_IMAGE].text, "alpine");
    cr_expect_eq(config.values[CONFIG_VCPU].number, 3);
    cr_expect_eq(config.values[CONFIG_VCPU].line, 4);
    cr_expect_eq(config.values[CONFIG_MEMORY].number, 1024);
    cr_expect_eq(config.values[CONFIG_DISK_SIZE].number, 3LL << 29);
    cr_expect_str_eq(config.values[CONFIG_ROOT_DISK].text, "copy");
    cr_assert_eq(parse("[vm_defaults]\ndisk_size = 1073741824", &e), 0);
    cr_expect_eq(config.values[CONFIG_DISK_SIZE].number, 1LL << 30);
    cr_expect_eq(config.values[CONFIG_VCPU].line, 0);
    cr_assert_eq(parse("[vm_defaults]\nsystem_overlay_size = \"4G\"", &e), 0);
    cr_expect_eq(config.values[CONFIG_OVERLAY_SIZE].number, 4LL << 30);
    cr_assert_eq(parse("[vm_defaults]\nsystem_overlay_size = 0", &e), 0, "%s", e.text);
    cr_expect_eq(config.values[CONFIG_OVERLAY_SIZE].line, 2);
    cr_assert_eq(parse("metrics_listen_addr = \"127.0.0.1:9464\"\nmetrics_poll_interval = 15", &e), 0, "%s", e.text);
    cr_expect_eq(config.values[CONFIG_METRICS_LISTEN].number, 0x7f00000124f8);
    cr_expect_eq(config.values[CONFIG_METRICS_INTERVAL].number, 15);
    cr_assert_eq(parse("metrics_listen_addr = \"\"", &e), 0, "%s", e.text);
    cr_expect_eq(config.values[CONFIG_METRICS_LISTEN].number, 0);
}

Test(config, mistakes_are_sentences_with_file_and_line) {
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"vcpu = 1", "c.toml:1: vcpu belongs under [vm_defaults]"},
        {"[vm_defaults]\ndefault_image_name = \"x\"", "c.toml:2: default_image_name belongs before the first"},
        {"[vm_defaults]\nvcpus = 1", "c.toml:2: there is no setting vcpus: did you mean vcpu?"},
        {"nonsense = 1", "c.toml:1: there is no setting nonsense: "},
        {"[vm]", "c.toml:1: there is no table [vm]"},
        {"[[vm_defaults]]", "there is no table [[vm_defaults]]"},
        {"[vm_defaults]\n\n[vm_defaults]", "c.toml:3: [vm_defaults] is there already, in line 1"},
        {"[vm_defaults]\nvcpu = 1\nvcpu = 1", "c.toml:3: vcpu is there already, in line 2"},
        {"[vm_defaults]\nvcpu = 0", "c.toml:2: vcpu must be a whole number from 1 to 255"},
        {"[vm_defaults]\nvcpu = 256", "must be"},
        {"[vm_defaults]\nvcpu = \"2\"", "must be"},
        {"[vm_defaults]\nvcpu = true", "must be"},
        {"[vm_defaults]\nmemory_mib = 127", "must be"},
        {"[vm_defaults]\nmemory_mib = \"2G\"", "must be"},
        {"[vm_defaults]\ndisk_size = \"8 G\"", "must be"},
        {"[vm_defaults]\ndisk_size = \"1M\"", "must be"},
        {"[vm_defaults]\nsystem_overlay_size = 8", "c.toml:2: system_overlay_size must be a size from 1M to 16T"},
        {"[vm_defaults]\nsystem_overlay_size = \"17T\"", "must be"},
        {"[vm_defaults]\nsystem_overlay_size = true", "must be"},
        {"[vm_defaults]\nroot_disk = \"auto|copy\"", "must be"},
        {"[vm_defaults]\nroot_disk = \"cop\"", "must be"},
        {"[vm_defaults]\nroot_disk = \"\"", "must be"},
        {"default_image_name = \"\"", "must be"},
        {"\nmetrics_listen_addr = \"0.0.0.0:9464\"",
         "c.toml:2: metrics_listen_addr must be a port of this host's loop"},
        {"metrics_listen_addr = \"192.0.2.1:9464\"", "must be"},
        {"metrics_listen_addr = 9464", "must be"},
        {"metrics_listen_addr = 139637976736728", "must be"},
        {"metrics_poll_interval = 0", "c.toml:1: metrics_poll_interval must be a whole number of seconds from 1"},
        {"metrics_poll_interval = 3601", "must be"},
        {"default_image_name = \"a\\nb\"", "must be"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = {0};
        cr_expect_eq(parse(cases[i].text, &e), -EINVAL, "%s", cases[i].text);
        cr_expect_not_null(strstr(e.text, cases[i].part), "%s: %s", cases[i].text, e.text);
    }
}

Test(config, without_option_and_file_the_host_decides) {
    cr_assert_eq(setenv("XDG_CONFIG_HOME", "/nowhere/config", 1), 0);
    char text[256];
    cr_expect_eq(config_number(NULL, CONFIG_VCPU), options_default_vcpus());
    cr_expect_eq(config_number(NULL, CONFIG_MEMORY), options_default_memory());
    cr_expect_str_eq(config_text(NULL, CONFIG_ROOT_DISK), "auto");
    config_show(CONFIG_DISK_SIZE, text, sizeof(text));
    cr_expect_str_eq(text, "8G");
    config_origin(CONFIG_VCPU, text, sizeof(text));
    cr_expect_not_null(strstr(text, "host's processors"));
}
