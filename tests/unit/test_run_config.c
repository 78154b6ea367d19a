/* How an image is run: run_config.h, and what vm_command_parse makes of it for the agent. */
#include "../../unpriv/image/run_config.h"
#include "../../unpriv/vm/internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static cJSON *parse(const char *text, struct err *e) {
    return run_config_parse(text, strlen(text), e);
}

Test(run_config, takes_the_canonical_form) {
    struct err e = {0};
    cJSON *config = parse("{\"env\":[\"A=b\",\"C=\"],\"workdir\":\"/x\",\"user\":\"1000:1000\",\"entrypoint\":[\"/e\"],"
                          "\"cmd\":[\"c\"],\"stop_signal\":\"SIGTERM\",\"architecture\":\"amd64\",\"other\":[1]}\n",
                          &e);
    cr_assert_not_null(config, "%s", e.text);
    cr_assert_str_eq(run_config_text(config, "workdir"), "/x");
    cr_assert_str_eq(run_config_text(config, "nothing"), "");
    cr_assert_eq(cJSON_GetArraySize(config), 7, "unknown members are dropped");
    cJSON_Delete(config);
    config = parse("{}", &e);
    cr_assert_not_null(config);
    cJSON_Delete(config);
}

Test(run_config, refuses_what_is_none) {
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{}{}",
        "{\"env\":\"A=b\"}",
        "{\"env\":[1]}",
        "{\"env\":{\"A\":\"b\"}}",
        "{\"workdir\":1}",
        "{\"workdir\":\"/a\\nb\"}",
        "{\"user\":[\"root\"]}",
        "{\"user\":\"\\u001b[31m\"}",
        "{\"entrypoint\":\"/e\"}",
        "{\"cmd\":[[\"c\"]]}",
        "{\"cmd\":[null]}",
        "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};
        cr_expect_null(parse(bad[i], &e), "%s", bad[i]);
        cr_expect_eq(e.code, EBADMSG, "%s", bad[i]);
        cr_expect(strstr(e.text, "configuration"), "%s: %s", bad[i], e.text);
    }
}

Test(run_config, is_bounded) {
    struct err e = {0};
    char *text = malloc(RUN_CONFIG_MAX + 100);
    memset(text, ' ', RUN_CONFIG_MAX + 100);
    memcpy(text, "{}", 2);
    cJSON *config = run_config_parse(text, RUN_CONFIG_MAX, &e);
    cr_assert_not_null(config);
    cJSON_Delete(config);
    cr_assert_null(run_config_parse(text, RUN_CONFIG_MAX + 1, &e));
    size_t at = (size_t) sprintf(text, "{\"cmd\":[\"\"");
    for (int i = 0; i < RUN_CONFIG_WORDS; i++)
        at += (size_t) sprintf(text + at, ",\"\"");
    at += (size_t) sprintf(text + at, "]}");
    cr_assert_null(run_config_parse(text, at, &e));
    cr_assert(strstr(e.text, "too many"), "%s", e.text);
    at = (size_t) sprintf(text, "{\"user\":\"%0300d\"}", 7);
    cr_assert_null(run_config_parse(text, at, &e));
    cr_assert(strstr(e.text, "too long"), "%s", e.text);
    free(text);
}

Test(run_config, is_read_from_the_images_folder) {
    struct err e = {0};
    char folder[] = "/tmp/banger-config-XXXXXX", command[128];
    cr_assert(mkdtemp(folder));
    int state = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(mkdirat(state, "images", 0700), 0);
    cr_assert_eq(mkdirat(state, "images/0123456789abcdef", 0700), 0);
    int image = openat(state, "images/0123456789abcdef", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cJSON *config = NULL, *made = parse("{\"user\":\"nobody\"}", &e);
    cr_assert_eq(run_config_read(state, "0123456789abcdef", &config, &e), 0);
    cr_assert_null(config, "an image without one");
    int file = openat(image, RUN_CONFIG_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(run_config_write(file, made, &e), 0, "%s", e.text);
    (void) close(file);
    cr_assert_eq(run_config_read(state, "0123456789abcdef", &config, &e), 0, "%s", e.text);
    cr_assert_str_eq(run_config_text(config, "user"), "nobody");
    cJSON_Delete(config);
    cr_assert_eq(unlinkat(image, RUN_CONFIG_FILE, 0), 0);
    cr_assert_eq(symlinkat("/etc/passwd", image, RUN_CONFIG_FILE), 0);
    cr_assert_eq(run_config_read(state, "0123456789abcdef", &config, &e), -ELOOP, "no link is followed");
    cJSON_Delete(made);
    (void) close(image);
    (void) close(state);
    (void) snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* What the agent is told, as one line: flags, cwd, user, words; then variables. */
static const char *told_in(const char *workspace, const char *args_text, const char *config_text) {
    static char line[1024];
    struct err e = {0};
    struct vm_command command;
    struct mux_open open;
    cJSON *args = cJSON_Parse(args_text), *config = config_text ? parse(config_text, &e) : NULL;
    cr_assert(args && (config || !config_text), "%s", e.text);
    int r = vm_command_parse(args, config, workspace, &command, &e);
    cJSON_Delete(args);
    cJSON_Delete(config);
    if (r) {
        (void) snprintf(line, sizeof(line), "error: %s", e.text);
        return line;
    }
    memcpy(&open, command.open, sizeof(open));
    int used = snprintf(line, sizeof(line), "%u+%u+%u", open.flags, open.argc, open.envc);
    for (uint32_t at = sizeof(open); at < command.size;) {
        const char *text = (const char *) command.open + at;
        used += snprintf(line + used, sizeof(line) - (size_t) used, "|%s", text);
        at += (uint32_t) strlen(text) + 1;
    }
    free(command.open);
    return line;
}

static const char *told(const char *args_text, const char *config_text) {
    return told_in("", args_text, config_text);
}

#define IMAGE "{\"env\":[\"A=1\",\"B=2\"],\"workdir\":\"/srv\",\"user\":\"www\",\"entrypoint\":[\"e\"],\"cmd\":[\"c\"]}"

Test(run_config, fills_what_the_request_leaves_open) {
    cr_expect_str_eq(told("{\"argv\":[\"x\"]}", NULL), "0+1+0|||x");
    cr_expect_str_eq(told("{\"argv\":[\"x\"]}", IMAGE), "2+1+2|/srv|www|x|A=1|B=2");
    cr_expect_str_eq(told("{\"argv\":[\"x\"],\"cwd\":\"/y\",\"user\":\"u\",\"env\":[\"B=3\"]}", IMAGE),
                     "0+1+2|/y|u|x|A=1|B=3");
    cr_expect_str_eq(told("{\"argv\":[\"x\"]}", "{}"), "2+1+0|/||x");
    cr_expect_str_eq(told("{\"argv\":[\"x\"]}", "{\"workdir\":\"rel\"}"), "2+1+0|/rel||x");
    cr_expect_str_eq(told("{\"argv\":[\"x\"],\"env\":[\"AB=3\"]}", "{\"env\":[\"A=1\",\"ABC=2\"]}"),
                     "2+1+3|/||x|A=1|ABC=2|AB=3");
}

Test(run_config, a_workspace_goes_before_the_images_folder) {
    const char *w = "/root/repo";
    cr_expect_str_eq(told_in(w, "{\"argv\":[\"x\"]}", "{\"workdir\":\"/srv\"}"),
                     "8+1+1|/root/repo||x|MISE_TRUSTED_CONFIG_PATHS=/root/repo");
    cr_expect_str_eq(told_in(w, "{\"argv\":[\"x\"]}", NULL),
                     "8+1+1|/root/repo||x|MISE_TRUSTED_CONFIG_PATHS=/root/repo");
    cr_expect_str_eq(told_in(w, "{\"argv\":[\"x\"],\"env\":[\"MISE_TRUSTED_CONFIG_PATHS=\"]}", NULL),
                     "8+1+1|/root/repo||x|MISE_TRUSTED_CONFIG_PATHS=");
    cr_expect_str_eq(told_in(w, "{\"argv\":[\"x\"],\"cwd\":\"/y\"}", NULL), "0+1+0|/y||x");
    cr_expect_str_eq(told_in(w, "{\"argv\":[\"x\"],\"cwd\":\"/root/repo\"}", IMAGE), "0+1+2|/root/repo|www|x|A=1|B=2");
}

Test(run_config, gives_the_images_own_command) {
    cr_expect_str_eq(told("{\"argv\":[\"sh\"],\"image_command\":true}", IMAGE), "2+2+2|/srv|www|e|c|A=1|B=2");
    cr_expect_str_eq(told("{\"argv\":[\"sh\"],\"image_command\":true}", "{\"cmd\":[\"c\"]}"), "2+1+0|/||c");
    cr_expect_str_eq(told("{\"argv\":[\"sh\"],\"image_command\":true}", "{\"entrypoint\":[\"e\"]}"), "2+1+0|/||e");
    cr_expect_str_eq(told("{\"argv\":[\"sh\"],\"image_command\":true}", "{}"), "2+1+0|/||sh");
    cr_expect_str_eq(told("{\"argv\":[\"sh\"],\"image_command\":true}", NULL), "0+1+0|||sh");
    cr_expect_str_eq(told("{\"argv\":[\"x\"]}", "{\"env\":[\"A\",\"=b\",\"C=\"]}"), "2+1+1|/||x|C=");
    cr_expect_str_eq(told("{}", IMAGE), "error: \"argv\" must name a command");
}

Test(run_config, a_command_that_is_too_long_is_an_error) {
    char *text = malloc(RUN_CONFIG_MAX);
    int at = sprintf(text, "{\"env\":[\"A=%020000d\",\"B=%020000d\"]}", 1, 2);
    cr_assert(at > 0);
    cr_expect(strstr(told("{\"argv\":[\"x\"]}", text), "longer than"));
    free(text);
}
