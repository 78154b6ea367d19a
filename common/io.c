#include "io.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

int io_write(int fd, const void *data, size_t size) {
    const char *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        p += n;
        size -= (size_t) n;
    }
    return 0;
}

ssize_t io_read_some(int fd, void *data, size_t size) {
    char *p = data;
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(fd, p + have, size - have);
        if (n == 0)
            break;
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        have += (size_t) n;
    }
    return (ssize_t) have;
}

int io_read(int fd, void *data, size_t size) {
    ssize_t n = io_read_some(fd, data, size);
    if (n < 0)
        return (int) n;
    return (size_t) n == size ? 0 : -ENODATA;
}

int io_wait(int fd, short events, int timeout_ms) {
    long long deadline = timeout_ms < 0 ? 0 : io_now_ms() + timeout_ms;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int left = -1;
        if (timeout_ms >= 0) {
            long long rest = deadline - io_now_ms();
            left = rest > 0 ? (int) rest : 0;
        }
        int n = poll(&p, 1, left);
        if (n > 0)
            return 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

long long io_now_ms(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
