#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILTER_MAX 260
#define X32_BIT    0x40000000u

/* struct seccomp_data's arguments are 64-bit; the kernel hands socket() an int,
 * so its low half is what counts (seccomp(2)). Leaves the call's number loaded. */
static const struct sock_filter no_unix[] = {
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 4),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
};
static const struct sock_filter unix_streams[] = {
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 6),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(__u32) (SOCK_CLOEXEC | SOCK_NONBLOCK)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
};

static size_t add_rule(struct sock_filter *f, const struct sock_filter *rule, size_t size) {
    (void) memcpy(f, rule, size);
    return size / sizeof(*rule);
}

int sandbox_seccomp(const struct sandbox_calls *calls) {
    struct sock_filter f[FILTER_MAX];
    size_t n = 0;
    if (calls->count > 240)
        return -EINVAL;
    f[n++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    f[n++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 0, 1);
    f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    if (calls->deny_unix)
        n += add_rule(f + n, no_unix, sizeof(no_unix));
    if (calls->unix_streams)
        n += add_rule(f + n, unix_streams, sizeof(unix_streams));
    for (size_t i = 0; i < calls->count; i++) {
        __u8 to_allow = (__u8) (calls->count - i);
        f[n++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32) calls->allowed[i], to_allow, 0);
    }
    __u32 otherwise = calls->kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
    f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, otherwise);
    f[n++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

    struct sock_fprog program = {.len = (unsigned short) n, .filter = f};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    unsigned flags = calls->sync ? SECCOMP_FILTER_FLAG_TSYNC : 0;
    long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (r > 0)
        return -ESRCH; /* a thread that could not be synchronised */
    return r < 0 ? -errno : 0;
}

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
