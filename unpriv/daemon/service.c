#include "service.h"

#include "../../common/io.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define STACK    131072
#define HELLO_MS 10000
#define SEND_S   5 /* who does not read for so long is ended */

int service_start(const struct service *service, int *sock, int *pidfd, struct err *e) {
    int pair[2];
    const struct timeval patience = {.tv_sec = SEND_S};
    *sock = *pidfd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return err_sys(e, errno, "cannot make a socket for %s", service->name);
    (void) setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    const int fds[] = {STDERR_FILENO, pair[1]};
    *pidfd = service->start(fds, 2, e);
    (void) close(pair[1]);
    *sock = pair[0];
    return *pidfd < 0 ? *pidfd : 0;
}

int service_hello(const struct service *service, int sock, void *hello, size_t size, struct err *e) {
    int r = io_wait(sock, POLLIN, HELLO_MS);
    if (r == 0 && io_read(sock, hello, size))
        r = -EPROTO;
    return r ? err_sys(e, -r, "%s does not begin", service->name) : 0;
}

int service_keep(void *(*keeper)(void *arg)) {
    pthread_t thread;
    pthread_attr_t attr;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void) pthread_attr_setstacksize(&attr, STACK);
    int r = pthread_create(&thread, &attr, keeper, NULL);
    (void) pthread_attr_destroy(&attr);
    return -r;
}

int service_nap(int last, long long lived_ms) {
    if (last == 0 || lived_ms > SERVICE_STEADY_MS)
        return SERVICE_NAP_LEAST;
    return 2 * last < SERVICE_NAP_MOST ? 2 * last : SERVICE_NAP_MOST;
}
