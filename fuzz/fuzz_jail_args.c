/* Fuzzed: the argument block banger-jail reads. A block that passes the check must
 * give exactly argc strings inside its text. */
#include "../unpriv/vmm/jail/jail.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct jail_args args;
    static char *argv[JAIL_ARGS_MAX + 2];
    char binary[] = "vmm";
    memset(&args, 'x', sizeof(args));
    memcpy(&args, data, size < sizeof(args) ? size : sizeof(args));
    if (jailargs_check(&args))
        return 0;
    jailargs_vector(&args, binary, argv);
    char *next = args.text;
    for (uint32_t i = 0; i < args.argc; i++) {
        if (argv[i + 1] != next)
            __builtin_trap();
        next += strlen(next) + 1;
    }
    if (next != args.text + args.used || argv[args.argc + 1])
        __builtin_trap();
    return 0;
}
