#include "internal.h"

#include "../../common/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADDRESS_SPACE ((rlim_t) 256 << 20)

/* Sockets, pipes and memory. No file can be opened, nothing executed, no process made. */
static const int calls[] = {
    SYS_epoll_ctl, SYS_epoll_wait, SYS_epoll_pwait, SYS_socket,        SYS_bind,       SYS_listen,
    SYS_accept4,   SYS_connect,    SYS_shutdown,    SYS_setsockopt,    SYS_getsockopt, SYS_recvfrom,
    SYS_recvmsg,   SYS_sendto,     SYS_sendmsg,     SYS_splice,        SYS_pipe2,      SYS_fcntl,
    SYS_close,     SYS_write,      SYS_brk,         SYS_mmap,          SYS_munmap,     SYS_mremap,
    SYS_madvise,   SYS_getrandom,  SYS_getpid,      SYS_clock_gettime, SYS_exit_group, SYS_restart_syscall,
};

/* A second filter: a socket is of IPv4 or IPv6, a stream or datagrams. */
static int only_internet(void) {
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(__u32) (SOCK_CLOEXEC | SOCK_NONBLOCK)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

int forward_confine(void) {
    const struct rlimit space = {ADDRESS_SPACE, ADDRESS_SPACE}, none = {0, 0};
    if (setrlimit(RLIMIT_AS, &space) || setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -errno;
    int r = sandbox_landlock(NULL, 0);
    if (r >= 0)
        r = only_internet();
    const struct sandbox_calls list = {.allowed = calls, .count = sizeof(calls) / sizeof(calls[0])};
    return r ? r : sandbox_seccomp(&list);
}
