/* Fuzzes the receiving of a message with its control data: what a peer can put into
 * sendmsg(2). Input: a byte for who receives and how many descriptors are asked for, then
 * control messages of three bytes (kind, count, which descriptors), a zero, and the message. */
#include "../common/fdpass.h"
#include "../priv-helper/helper.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT_MAX    40
#define CONTROL_MAX 4096
#define DESCRIPTORS 256

static int open_descriptors(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    (void) closedir(dir);
    return count;
}

/* Appends one control message; its size, or 0 when there is no room. */
static size_t put_control(char *at, size_t room, const uint8_t *what) {
    static const struct { int level, type; } kinds[] = {{SOL_SOCKET, SCM_RIGHTS}, {SOL_SOCKET, SCM_CREDENTIALS}};
    const int sources[] = {0, 1, 2};
    size_t kind = what[0] % 2, count = what[1] % SENT_MAX;
    struct ucred self = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    size_t payload = kind == 0 ? count * sizeof(int) : sizeof(self);
    if (CMSG_SPACE(payload) > room)
        return 0;
    struct cmsghdr head = {
        .cmsg_len = CMSG_LEN(payload), .cmsg_level = kinds[kind].level, .cmsg_type = kinds[kind].type};
    memcpy(at, &head, sizeof(head));
    for (size_t i = 0; kind == 0 && i < count; i++)
        memcpy(at + CMSG_LEN(i * sizeof(int)), &sources[what[2] % 3], sizeof(int));
    if (kind == 1)
        memcpy(at + CMSG_LEN(0), &self, sizeof(self));
    return CMSG_SPACE(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(struct cmsghdr) char control[CONTROL_MAX];
    int pair[2], fds[FDPASS_MAX], one = 1;
    char got[512];
    size_t used = 0, total = 0, count = 0, rights = 0, at = 1;
    if (size < 2 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
        return 0;
    if (data[0] & 0x80)
        (void) setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
    const int helper = data[0] & 0x40;
    const size_t wanted = helper ? SPAWN_ROLES : data[0] % (FDPASS_MAX + 1);
    for (; at + 3 <= size && data[at] != 0; at += 3) {
        size_t n = put_control(control + used, sizeof(control) - used, data + at);
        if (n > 0 && data[at] % 2 == 0) {
            rights++;
            total += data[at + 1] % SENT_MAX;
        }
        used += n;
    }
    struct iovec iov = {.iov_base = (void *) (uintptr_t) (data + at), .iov_len = at < size ? size - at : 0};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = used ? control : NULL, .msg_controllen = used};
    const int before = open_descriptors();
    char was_open[DESCRIPTORS];
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    if (sendmsg(pair[0], &message, MSG_NOSIGNAL) >= 0) {
        ssize_t n = helper ? worker_receive(pair[1], got, sizeof(got), fds, &count)
                           : fdpass_recv(pair[1], got, sizeof(got), fds, wanted, &count);
        for (int fd = 0; n < 0 && helper && fd < DESCRIPTORS; fd++) { /* it ends then, and so do they */
            if (!was_open[fd])
                (void) close(fd);
        }
        if (n >= 0 && (count > wanted || count != total || (size_t) n != iov.iov_len || (data[0] & 0x80)))
            abort();
        if (n >= 0 && iov.iov_len > 0 && memcmp(got, iov.iov_base, iov.iov_len) != 0)
            abort();
        if (n < 0 && count != 0)
            abort();
        for (size_t i = 0; i < count; i++) {
            if (!(fcntl(fds[i], F_GETFD) & FD_CLOEXEC))
                abort();
        }
        fdpass_close(fds, count);
    }
    if (open_descriptors() != before || rights > CONTROL_MAX)
        abort();
    (void) close(pair[0]);
    (void) close(pair[1]);
    return 0;
}
