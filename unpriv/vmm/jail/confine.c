#include "jail.h"

#include "../../../common/sandbox.h"
#include "../../../common/vmmcalls.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* x86-64's ELF interpreter (System V psABI 5.2.1): the one other file an exec of the VMM opens. */
#define LOADER          "/lib64/ld-linux-x86-64.so.2"
#define LANDLOCK_SCOPES 6 /* the ABI from which on abstract sockets outside can be closed off */

static int landlock_vmm(const char *binary) {
    const struct {
        const char *path;
        enum sandbox_access access;
        int optional;
    } wanted[] = {
        {"/", SANDBOX_READ, 0},           {"/vm", SANDBOX_WRITE, 0}, {"/dev", SANDBOX_DEVICE, 0},
        {binary, SANDBOX_EXEC, 0},        {LOADER, SANDBOX_EXEC, 1}, {"/root.ext4", SANDBOX_WRITE, 1},
        {"/work.ext4", SANDBOX_WRITE, 1},
    };
    const size_t most = sizeof(wanted) / sizeof(wanted[0]);
    struct sandbox_path paths[sizeof(wanted) / sizeof(wanted[0])];
    size_t count = 0;
    int r = 0;
    for (size_t i = 0; i < most && r == 0; i++) {
        int fd = open(wanted[i].path, O_PATH | O_CLOEXEC);
        if (fd >= 0)
            paths[count++] = (struct sandbox_path){.fd = fd, .access = wanted[i].access};
        else if (!(wanted[i].optional && errno == ENOENT))
            r = -errno;
    }
    if (r == 0)
        r = sandbox_landlock(paths, count);
    for (size_t i = 0; i < count; i++)
        (void) close(paths[i].fd);
    return r;
}

int confine_vmm(const char *binary, int by_name) {
    /* Abstract sockets are the network namespace's, which is the host's here. Where
     * Landlock cannot close them off, the last of these goes: hosts connect to guests
     * then, and guests not to hosts. */
    static const int named[] = {VMM_CALLS, VMM_NAMED_CALLS, SYS_connect};
    static const int plain[] = {VMM_CALLS};
    int abi = landlock_vmm(binary);
    if (abi < 0)
        return abi;
    struct sandbox_calls calls = {.allowed = plain, .count = sizeof(plain) / sizeof(plain[0])};
    if (by_name) {
        const size_t count = sizeof(named) / sizeof(named[0]);
        calls = (struct sandbox_calls){.allowed = named, .count = count - (abi < LANDLOCK_SCOPES), .unix_streams = 1};
    }
    return sandbox_seccomp(&calls);
}

int confine_init(void) {
    static const int allowed[] = {
        SYS_poll, SYS_read,       SYS_pread64, SYS_pwrite64,     SYS_ftruncate,       SYS_wait4,
        SYS_kill, SYS_exit_group, SYS_close,   SYS_rt_sigreturn, SYS_restart_syscall,
    };
    const struct sandbox_calls calls = {.allowed = allowed, .count = sizeof(allowed) / sizeof(allowed[0]), .kill = 1};
    int r = sandbox_landlock(NULL, 0);
    return r < 0 ? r : sandbox_seccomp(&calls);
}
