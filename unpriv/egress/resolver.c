#include "resolver.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../daemon/monitor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GRACE_MS 2000 /* beyond its own patience */
#define AGAIN_MS 500  /* a process that ends at once is not started more often */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int control = -1; /* to the process; -1: none was started, or it has ended */
static long long started;

/* The lock is held. */
static int start(struct err *e) {
    int pair[2];
    const long long now = io_now_ms();
    if (started && now - started < AGAIN_MS)
        return err_set(e, EAGAIN, "banger-resolve ended right after its start: see `banger doctor`");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return err_sys(e, errno, "cannot make a socket for banger-resolve");
    const int fds[] = {pair[1], pair[1]};
    int process = monitor_resolve(fds, 2, e);
    (void) close(pair[1]);
    if (process < 0) {
        (void) close(pair[0]);
        return process;
    }
    (void) close(process); /* its socket says when it ends, and the monitor reaps it */
    control = pair[0];
    started = now;
    return 0;
}

/* Hands over the request and one end of its socket. */
static int hand_over(const struct resolve_request *request, int end, struct err *e) {
    (void) pthread_mutex_lock(&lock);
    int r = -EPIPE;
    for (int tries = 0; tries < 2 && r == -EPIPE; tries++) {
        struct pollfd p = {.fd = control};
        if (control >= 0 && poll(&p, 1, 0) == 1) {
            (void) close(control);
            control = -1;
        }
        r = control < 0 ? start(e) : 0;
        if (r == 0 && (r = fdpass_send(control, request, sizeof(*request), &end, 1)) < 0)
            (void) err_sys(e, -r, "cannot ask banger-resolve");
    }
    (void) pthread_mutex_unlock(&lock);
    return r;
}

static int take(int from, struct resolved *out) {
    size_t count = 0;
    int none[1];
    int r = io_wait(from, POLLIN, RESOLVE_PATIENCE_MS + GRACE_MS);
    ssize_t n = r ? r : fdpass_recv(from, out, sizeof(*out), none, 0, &count);
    if (n <= 0)
        return n ? (int) n : -EPIPE;
    const struct resolve_reply *reply = &out->reply;
    if ((size_t) n < sizeof(*reply) || reply->count > RESOLVE_ADDRESSES_MAX || reply->rcode > 15 ||
        reply->size != (size_t) n - sizeof(*reply) || reply->error < 0)
        return -EBADMSG;
    return 0;
}

int resolver_ask(const char *name, uint16_t type, struct resolved *out, struct err *e) {
    struct resolve_request request = {.type = type};
    int pair[2];
    int r = -EPIPE;
    (void) snprintf(request.name, sizeof(request.name), "%s", name);
    for (int tries = 0; tries < 2 && r == -EPIPE; tries++) { /* it may have ended for want of questions */
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
            return err_sys(e, errno, "cannot make a socket for a lookup");
        cleanup_fd int mine = pair[0];
        r = hand_over(&request, pair[1], e);
        (void) close(pair[1]);
        if (r)
            return r;
        r = take(mine, out);
    }
    if (r)
        return err_sys(e, -r, "banger-resolve gave no answer");
    return out->reply.error ? err_sys(e, out->reply.error, "the host's name servers gave no answer") : 0;
}
