#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights by the ABI that brought them (landlock(7)); Debian 12's header ends at 2. */
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                                       \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                  \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM |                         \
     LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define FS_ABI1        ((1ull << 13) - 1)
#define FS_REFER       (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE    (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV   (1ull << 15) /* ABI 5 */
#define SCOPE_ABSTRACT (1ull << 0)  /* ABI 6 */

struct ruleset_attr {
    __u64 handled_fs, handled_net, scoped;
};

static __u64 handled_by(int abi) {
    return FS_ABI1 | (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static __u64 rights_of(enum sandbox_access access) {
    switch (access) {
    case SANDBOX_READ:
        return FS_READ;
    case SANDBOX_WRITE:
        return FS_READ | FS_WRITE | FS_REFER | FS_TRUNCATE;
    case SANDBOX_DEVICE:
        return LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_IOCTL_DEV;
    case SANDBOX_EXEC:
        return FS_READ | LANDLOCK_ACCESS_FS_EXECUTE;
    default:
        return 0;
    }
}

/* Rights that apply to folders only are an error on a file. */
static __u64 rights_for(int fd, enum sandbox_access access) {
    const __u64 on_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE |
                           FS_TRUNCATE | FS_IOCTL_DEV;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return rights_of(access);
    return rights_of(access) & on_files;
}

int sandbox_landlock(const struct sandbox_path *paths, size_t count) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
    struct ruleset_attr attr = {.handled_fs = handled_by((int) abi), .scoped = abi >= 6 ? SCOPE_ABSTRACT : 0};
    size_t size = abi >= 6 ? sizeof(attr) : offsetof(struct ruleset_attr, handled_net);
    int ruleset = (int) syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return -errno;
    int r = (int) abi;
    for (size_t i = 0; i < count && r > 0; i++) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = rights_for(paths[i].fd, paths[i].access) & attr.handled_fs,
            .parent_fd = paths[i].fd,
        };
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
            r = -errno;
    }
    if (r > 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, ruleset, 0)))
        r = -errno;
    (void) close(ruleset);
    return r;
}
