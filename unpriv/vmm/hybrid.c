#include "hybrid.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define OK_START "OK "

int hybrid_parse(const char *line, size_t have, uint32_t *port) {
    const size_t start = sizeof(OK_START) - 1;
    uint64_t number = 0;
    if (memcmp(line, OK_START, have < start ? have : start) != 0)
        return -EPROTO;
    for (size_t at = start; at < have; at++) {
        if (line[at] == '\n' && at > start && at == have - 1) {
            *port = (uint32_t) number;
            return 1;
        }
        if (line[at] < '0' || line[at] > '9')
            return -EPROTO;
        number = number * 10 + (uint64_t) (line[at] - '0');
        if (number > UINT32_MAX)
            return -EPROTO;
    }
    return have < HYBRID_LINE_MAX ? 0 : -EPROTO;
}

/* One byte: what follows the line is the guest's. */
static int take_byte(int fd, char *byte, const struct vmm_wait *wait) {
    for (;;) {
        ssize_t n = recv(fd, byte, 1, MSG_DONTWAIT);
        if (n == 1)
            return 0;
        if (n == 0 || errno == ECONNRESET)
            return -ECONNREFUSED;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int r = vmm_wait_fd(fd, POLLIN, wait);
        if (r)
            return r;
    }
}

static int take_answer(int fd, const struct vmm_wait *wait) {
    char line[HYBRID_LINE_MAX];
    uint32_t port;
    int r = 0;
    for (size_t have = 0; r == 0;) {
        r = take_byte(fd, &line[have], wait);
        if (r)
            return r;
        r = hybrid_parse(line, ++have, &port);
    }
    return r < 0 ? r : 0;
}

int hybrid_connect(int fd, uint32_t port, const struct vmm_wait *wait, struct err *e) {
    char line[HYBRID_LINE_MAX];
    int n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
    /* In one piece: the device reads what is there once. */
    ssize_t sent = send(fd, line, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT);
    int r = sent == n ? 0 : sent >= 0 || errno == EPIPE || errno == ECONNRESET ? -ECONNREFUSED : -errno;
    if (r == 0)
        r = take_answer(fd, wait);
    if (r == 0)
        return 0;
    if (r == -EPROTO)
        return err_set(e, EPROTO, "the VMM's answer to a connection to the guest cannot be read");
    if (r == -ETIMEDOUT)
        return err_set(e, ETIMEDOUT, "the guest does not answer");
    return err_sys(e, -r, "cannot connect to the guest");
}
