#include "../../unpriv/vm/internal.h"

#include <criterion/criterion.h>

Test(vm_resolv, takes_the_first_that_a_guest_can_reach) {
    cr_assert_eq(vm_resolv_parse("nameserver 192.0.2.1\n"), 0xc0000201u);
    cr_assert_eq(vm_resolv_parse("search x\nnameserver\t9.9.9.9 # note"), 0x09090909u);
    cr_assert_eq(vm_resolv_parse("nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n"), 0x0a000001u);
    cr_assert_eq(vm_resolv_parse("\n\n#nameserver 1.1.1.1\n;x\nnameserver ::1\nnameserver 10.1.2.3\r\n"), 0x0a010203u);
}

Test(vm_resolv, says_none_where_there_is_none) {
    static const char *const none[] = {"",
                                       "\n",
                                       "nameserver",
                                       "nameserver ",
                                       "nameserver10.0.0.1",
                                       "nameserver 127.0.0.1\n",
                                       "nameserver fe80::1%eth0\n",
                                       "nameserver 300.1.1.1\n",
                                       "nameserver 10.0.0.1.evil.example.of.a.long.name\n",
                                       "xnameserver 10.0.0.1\n"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        cr_assert_eq(vm_resolv_parse(none[i]), 0, "%s", none[i]);
}
