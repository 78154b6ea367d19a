#include "fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    char bytes[CMSG_SPACE(sizeof(int) * (FDPASS_MAX + 1))];
    struct cmsghdr align;
};

int fdpass_send(int sock, const void *data, size_t size, const int *fds, size_t count) {
    union control control = {0};
    struct iovec iov = {.iov_base = (void *) data, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (count > FDPASS_MAX)
        return -EINVAL;
    if (count > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    while (iov.iov_len > 0) {
        ssize_t n = sendmsg(sock, &msg, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        iov.iov_base = (char *) iov.iov_base + n;
        iov.iov_len -= (size_t) n;
        msg.msg_control = NULL;
        msg.msg_controllen = 0;
    }
    return 0;
}

void fdpass_close(int *fds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            (void) close(fds[i]);
        fds[i] = -1;
    }
}

/* Copies the descriptors of all control messages out; anything that is not
 * SCM_RIGHTS, or a descriptor too many, makes the message bad. */
static int collect(struct msghdr *msg, int *got, size_t *count) {
    int bad = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            bad = 1;
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n && *count < FDPASS_MAX + 1; i++)
            memcpy(&got[(*count)++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return bad;
}

ssize_t fdpass_recv(int sock, void *data, size_t size, int *fds, size_t max, size_t *count) {
    union control control = {0};
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_LEN(sizeof(int) * (FDPASS_MAX + 1)), /* its padding would take one more */
    };
    *count = 0;
    ssize_t n;
    do {
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    int got[FDPASS_MAX + 1];
    size_t have = 0;
    int bad = collect(&msg, got, &have);
    if (bad || have > max || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        fdpass_close(got, have);
        return -EBADMSG;
    }
    memcpy(fds, got, sizeof(int) * have);
    *count = have;
    return n;
}
