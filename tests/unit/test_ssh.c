/* banger's part of the user's ssh configuration, and what stands in it. */
#include "../../unpriv/cli/ssh.h"
#include "../../unpriv/cli/ssh_fence.h"
#include "../../unpriv/cli/ssh_settings.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FENCE FENCE_BEGIN "\nInclude \"/h/.config/banger/ssh_config\"\n" FENCE_END

Test(ssh_fence, is_found_wherever_it_is) {
    static const struct {
        const char *before, *fence, *after;
    } rows[] = {{"", "", ""},
                {"Host x\n  User y", "", ""},
                {"", FENCE "\n", ""},
                {"", FENCE "\n", "Host x"},
                {"Host x\n", FENCE "\n", "Host y\n"},
                {"Host x\n\n", FENCE, ""},
                {"Host x\r\n", "  # begin BANGER and more\r\n\r\n  include a\r\n\t# end banger \r\n", "Host y\r\n"},
                {"# BEGIN bangers\n# END bangers\n#BEGIN banger\n", "", ""}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[1024];
        size_t at = 99, length = 99;
        struct err e = {0};
        int n = snprintf(text, sizeof(text), "%s%s%s", rows[i].before, rows[i].fence, rows[i].after);
        cr_assert_eq(fence_find(text, (size_t) n, &at, &length, &e), 0, "%zu: %s", i, e.text);
        cr_expect_eq(length, strlen(rows[i].fence), "%zu", i);
        cr_expect(length == 0 || at == strlen(rows[i].before), "%zu", i);
    }
}

Test(ssh_fence, is_refused_in_doubt) {
    static const struct {
        const char *text, *why;
    } rows[] = {{FENCE_BEGIN "\nInclude x\n", "line 1 and does not end"},
                {"Host x\n" FENCE_END "\n", "line 2 ends"},
                {FENCE "\n" FENCE_END "\n", "line 4 ends"},
                {FENCE "\nHost x\n" FENCE, "line 5 begins banger's part again"},
                {FENCE_BEGIN "\n" FENCE, "line 2 begins"},
                {FENCE_BEGIN "\nHost x\n" FENCE_END "\n", "line 2 is within"},
                {FENCE_BEGIN "\nIncluded\n" FENCE_END "\n", "line 2 is within"}};
    size_t at, length;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err e = {0};
        cr_expect_eq(fence_find(rows[i].text, strlen(rows[i].text), &at, &length, &e), -EINVAL);
        cr_expect(strstr(e.text, rows[i].why), "%s", e.text);
    }
    struct err e = {0};
    cr_expect_eq(fence_find("a\0b", 3, &at, &length, &e), -EINVAL);
}

Test(ssh, finds_the_vm_in_a_host_name) {
    static const char *const rows[][2] = {
        {"box.vm", "box"}, {"BOX.VM", "box"},         {"box.ann.lee.vm", "box"}, {"box", "box"},         {"vm", "vm"},
        {".vm", ".vm"},    {"box.bob.vm", "box.bob"}, {"ann.lee.vm", "ann.lee"}, {"box.vm.vm", "box.vm"}};
    char name[SSH_HOST_MAX];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ssh_vm_name(rows[i][0], "ann.lee", name);
        cr_expect_str_eq(name, rows[i][1], "%s", rows[i][0]);
    }
}

Test(ssh, writes_paths_as_ssh_reads_them) {
    static struct paths paths;
    static char line[SSH_SETTING_MAX];
    struct err e = {0};
    (void) snprintf(paths.state, sizeof(paths.state), "/h/a b%%c");
    cr_assert_eq(ssh_setting(&paths, 1, "=", line, &e), 0);
    cr_expect_str_eq(line, "IdentityFile=\"/h/a b%%c/ssh/id_ed25519\"");
    for (size_t i = 0; i < SSH_SETTINGS; i++)
        cr_expect_eq(ssh_setting(&paths, i, " ", line, &e), 0);
    static const char *const bad[] = {"/h/\"", "/h/\\", "/h/${X}", "/h/\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void) snprintf(paths.state, sizeof(paths.state), "%s", bad[i]);
        cr_expect_eq(ssh_setting(&paths, 1, " ", line, &e), -EINVAL, "%s", bad[i]);
    }
}
