/* Progress as plain lines, and the texts of sizes. */
#include "../../unpriv/cli/output.h"
#include "../../unpriv/cli/progress.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *text;
static size_t size;
static FILE *file;
static struct progress progress;

/* A regular file stands for whatever is no terminal. */
static void begin(int quiet) {
    file = tmpfile();
    cr_assert_not_null(file);
    progress_open(&progress, file, quiet);
}

static char *end(void) {
    (void) fflush(file);
    size = (size_t) ftell(file);
    text = calloc(1, size + 1);
    rewind(file);
    cr_assert_eq(fread(text, 1, size, file), size);
    (void) fclose(file);
    return text;
}

static int lines(const char *s) {
    int count = 0;
    for (; *s; s++)
        count += *s == '\n';
    return count;
}

Test(progress, one_line_a_stage) {
    begin(0);
    progress_line(&progress, "spec: %d vcpu", 4);
    progress_update(&progress, "disk", "copying", 0, 100);
    progress_update(&progress, "disk", "copying", 50, 100);
    progress_update(&progress, "disk", "copied", 100, 100);
    progress_update(&progress, "boot", "starting", 0, 0);
    progress_update(&progress, "ready", "up", 1, 1);
    end();
    cr_expect_eq(lines(text), 4, "%s", text);
    cr_expect_eq(strncmp(text, "spec: 4 vcpu\ndisk", 17), 0, "%s", text);
    cr_expect_not_null(strstr(text, "copied\nboot"), "%s", text);
    cr_expect_null(strchr(text, '\033'));
    cr_expect_null(strchr(text, '\r'));
    free(text);
}

Test(progress, bytes) {
    begin(0);
    progress_update(&progress, "import", "reading", 734003200, 0);
    progress_finish(&progress, 0);
    end();
    cr_expect_not_null(strstr(text, "reading, 700.0 MiB"), "%s", text);
    free(text);
}

Test(progress, hostile_text_is_made_safe) {
    begin(0);
    progress_update(&progress, "a\033[2J", "b\nc\033]0;x\007", 1, 1);
    progress_line(&progress, "d\033[31m");
    end();
    cr_expect_null(strchr(text, '\033'), "%s", text);
    cr_expect_null(strchr(text, '\007'));
    cr_expect_eq(lines(text), 2);
    free(text);
}

Test(progress, quiet_says_nothing) {
    begin(1);
    progress_line(&progress, "spec");
    progress_update(&progress, "disk", "copying", 1, 1);
    progress_warn(&progress, "slow");
    progress_finish(&progress, 0);
    end();
    cr_expect_eq(size, 0);
    free(text);
}

Test(progress, a_failed_stage_claims_no_end) {
    begin(0);
    progress_update(&progress, "boot", "starting", 0, 0);
    progress_finish(&progress, 1);
    end();
    cr_expect_eq(size, 0, "%s", text);
    free(text);
}

Test(progress, texts_of_sizes) {
    char out[32];
    output_bytes(0, out);
    cr_expect_str_eq(out, "0 B");
    output_bytes(1536, out);
    cr_expect_str_eq(out, "1.5 KiB");
    output_size(8LL << 30, out);
    cr_expect_str_eq(out, "8G");
    output_size(1536LL << 20, out);
    cr_expect_str_eq(out, "1536M");
}
