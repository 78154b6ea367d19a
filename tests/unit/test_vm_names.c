#include "../../unpriv/vm/internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(vm_names, accepts_dns_labels) {
    static const char *const good[] = {
        "a", "web", "web-1", "0", "a--b", "1a2b", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert_eq(vm_name_check(good[i], NULL), 0, "%s", good[i]);
}

Test(vm_names, refuses_what_is_none) {
    static const char *const bad[] = {"",
                                      "-web",
                                      "web-",
                                      "Web",
                                      "we b",
                                      "a.b",
                                      "a_b",
                                      "../x",
                                      "\xc3\xa4",
                                      "a\n",
                                      "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz012345678901",
                                      "0123456789abcdef"};
    struct err e;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(vm_name_check(bad[i], &e), -EINVAL, "%s", bad[i]);
        cr_assert_gt(strlen(e.text), 10);
    }
}

Test(vm_names, random_names_are_names_and_differ) {
    char name[STORE_NAME_MAX];
    char last[STORE_NAME_MAX] = "";
    int same = 0;
    for (unsigned i = 0; i < 1000; i++) {
        vm_name_random(name, i % 3);
        cr_assert_eq(vm_name_check(name, NULL), 0, "%s", name);
        same += strcmp(name, last) == 0;
        memcpy(last, name, sizeof(last));
    }
    cr_assert_lt(same, 5);
}

Test(vm_names, ids_are_sixteen_digits) {
    char id[17];
    char other[17];
    vm_id_random(id);
    vm_id_random(other);
    cr_assert_eq(strlen(id), 16);
    cr_assert_eq(strspn(id, "0123456789abcdef"), 16);
    cr_assert_str_neq(id, other);
}
