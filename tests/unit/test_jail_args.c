/* The argument block that banger-jail takes from an engine it does not trust. */
#include "../../unpriv/vmm/args.h"
#include "../../unpriv/vmm/jail/jail.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct jail_args block(const char *const *strings, size_t count) {
    struct jail_args args;
    vmm_args_start(&args);
    for (size_t i = 0; i < count; i++)
        vmm_args_add(&args, "%s", strings[i]);
    return args;
}

Test(jail_args, vector_has_the_strings) {
    static const char *const strings[] = {"-name", "", "a b,c=d", "-x"};
    struct jail_args args = block(strings, 4);
    char binary[] = "/usr/bin/vmm", *argv[JAIL_ARGS_MAX + 2];
    cr_assert_eq(jailargs_check(&args), 0);
    jailargs_vector(&args, binary, argv);
    cr_assert_str_eq(argv[0], "/usr/bin/vmm");
    for (size_t i = 0; i < 4; i++)
        cr_assert_str_eq(argv[i + 1], strings[i]);
    cr_assert_null(argv[5]);
}

Test(jail_args, table_of_bad_blocks) {
    static const char *const strings[] = {"one", "two"};
    const struct jail_args good = block(strings, 2);
    struct {
        const char *what;
        uint32_t magic, argc, used, reserved;
        char last; /* of the used text */
        int wanted;
    } table[] = {
        {"good", good.magic, 2, 8, 0, '\0', 0},
        {"empty", good.magic, 0, 0, 0, '\0', 0},
        {"magic", good.magic + 1, 2, 8, 0, '\0', -EBADMSG},
        {"reserved", good.magic, 2, 8, 1, '\0', -EBADMSG},
        {"fewer strings than said", good.magic, 3, 8, 0, '\0', -EBADMSG},
        {"more strings than said", good.magic, 1, 8, 0, '\0', -EBADMSG},
        {"text without strings", good.magic, 0, 8, 0, '\0', -EBADMSG},
        {"strings without text", good.magic, 2, 0, 0, '\0', -EBADMSG},
        {"no end", good.magic, 2, 8, 0, 'x', -EBADMSG},
        {"too many", good.magic, JAIL_ARGS_MAX + 1, 8, 0, '\0', -EBADMSG},
        {"huge count", good.magic, UINT32_MAX, 8, 0, '\0', -EBADMSG},
        {"too long", good.magic, 2, JAIL_ARGS_TEXT + 1, 0, '\0', -EBADMSG},
        {"huge length", good.magic, 2, UINT32_MAX, 0, '\0', -EBADMSG},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct jail_args args = good;
        args.magic = table[i].magic;
        args.argc = table[i].argc;
        args.used = table[i].used;
        args.reserved = table[i].reserved;
        args.text[7] = table[i].last;
        cr_expect_eq(jailargs_check(&args), table[i].wanted, "%s", table[i].what);
    }
}

Test(jail_args, exactly_full_is_good) {
    struct jail_args args;
    vmm_args_start(&args);
    for (int i = 0; i < JAIL_ARGS_MAX; i++)
        vmm_args_add(&args, "%127s", "x");
    cr_assert_eq(args.used, JAIL_ARGS_TEXT);
    cr_assert_eq(jailargs_check(&args), 0);
    char binary[] = "v", *argv[JAIL_ARGS_MAX + 2];
    jailargs_vector(&args, binary, argv);
    cr_assert_eq(strlen(argv[JAIL_ARGS_MAX]), 127);
    cr_assert_null(argv[JAIL_ARGS_MAX + 1]);
}

Test(jail_args, overfull_is_refused_with_a_sentence) {
    struct jail_args many, big;
    struct err e = {0};
    vmm_args_start(&many);
    for (int i = 0; i <= JAIL_ARGS_MAX; i++)
        vmm_args_add(&many, "x");
    cr_assert_eq(vmm_args_seal(&many, &e), -E2BIG);
    cr_assert(strstr(e.text, "shorten"));
    vmm_args_start(&big);
    vmm_args_add(&big, "%20000s", "x");
    vmm_args_add(&big, "x");
    cr_assert_eq(vmm_args_seal(&big, NULL), -E2BIG);
}

Test(jail_args, sealed_block_is_read_back_and_cannot_change) {
    static const char *const strings[] = {"one", "two"};
    struct jail_args args = block(strings, 2), back;
    int fd = vmm_args_seal(&args, NULL);
    cr_assert_geq(fd, 0);
    cr_assert_eq(jailargs_read(fd, &back), 0);
    cr_assert_eq(memcmp(&args, &back, sizeof(args)), 0);
    cr_assert_eq(jailargs_read(fd, &back), 0, "whatever the file's position");
    cr_assert_lt(pwrite(fd, "x", 1, 0), 0);
    cr_assert_lt(ftruncate(fd, 0), 0);
    close(fd);
}

Test(jail_args, files_of_a_wrong_size_or_kind_are_refused) {
    struct jail_args args = block(NULL, 0), back;
    int fd = memfd_create("x", MFD_CLOEXEC), ends[2];
    cr_assert_eq(jailargs_read(fd, &back), -EBADMSG);
    cr_assert_eq(write(fd, &args, sizeof(args)), (ssize_t) sizeof(args));
    cr_assert_eq(jailargs_read(fd, &back), 0);
    cr_assert_eq(write(fd, "x", 1), 1);
    cr_assert_eq(jailargs_read(fd, &back), -EBADMSG);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(jailargs_read(ends[0], &back), -EBADMSG);
    close(fd);
    cr_assert_eq(jailargs_read(fd, &back), -EBADF);
}
