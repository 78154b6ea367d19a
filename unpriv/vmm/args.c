#include "args.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#define OVERFULL (JAIL_ARGS_MAX + 1u)

void vmm_args_start(struct jail_args *args) {
    (void) memset(args, 0, sizeof(*args));
    args->magic = JAIL_ARGS_MAGIC;
}

void vmm_args_add(struct jail_args *args, const char *fmt, ...) {
    if (args->argc >= JAIL_ARGS_MAX) {
        args->argc = OVERFULL;
        return;
    }
    size_t room = JAIL_ARGS_TEXT - args->used;
    va_list list;
    va_start(list, fmt);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started one line above */
    int n = vsnprintf(args->text + args->used, room, fmt, list);
    va_end(list);
    if (n < 0 || (size_t) n >= room) {
        args->argc = OVERFULL;
        return;
    }
    args->used += (uint32_t) n + 1;
    args->argc++;
}

int vmm_args_seal(const struct jail_args *args, struct err *e) {
    if (args->argc > JAIL_ARGS_MAX)
        return err_set(e, E2BIG, "the VM's settings do not fit the VMM's command line; shorten its name");
    cleanup_fd int fd = memfd_create("banger-vmm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_sys(e, errno, "cannot make the VMM's argument block");
    int r = io_write(fd, args, sizeof(*args));
    if (r)
        return err_sys(e, -r, "cannot write the VMM's argument block");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return err_sys(e, errno, "cannot seal the VMM's argument block");
    return take_fd(&fd);
}
