#include "internal.h"

#include "../../common/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define EVENTS       128
#define RETRY_MS     1000 /* ports that could let nobody in look again */
#define SOCKETS_MOST 1024
#define FILES_A_ONE  6     /* two sockets and two pipes */
#define FILES_SPARED 512ul /* listening sockets, spare pipes */

static struct {
    int epoll;
    int ended;
    long long now;
    struct watch *buried;
} loop;

int loop_watch(int operation, int fd, uint32_t events, struct watch *watch) {
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(loop.epoll, operation, fd, &event) ? -errno : 0;
}

void loop_bury(struct watch *watch) {
    watch->buried = 1;
    watch->next_buried = loop.buried;
    loop.buried = watch;
}

long long loop_now(void) {
    return loop.now;
}

static void free_buried(void) {
    while (loop.buried) {
        struct watch *watch = loop.buried;
        loop.buried = watch->next_buried;
        free(watch);
    }
}

/* Half of what there is at most goes to one VM. */
static void limits_set(void) {
    struct rlimit files = {1024, 1024};
    (void) getrlimit(RLIMIT_NOFILE, &files);
    rlim_t spared = files.rlim_cur > 2 * FILES_SPARED ? FILES_SPARED : files.rlim_cur / 2;
    rlim_t most = (files.rlim_cur - spared) / FILES_A_ONE;
    forward_limits.sockets = most < SOCKETS_MOST ? (unsigned) most : SOCKETS_MOST;
    forward_limits.sockets_of_slot = (forward_limits.sockets + 1) / 2;
}

/* The monitor keeps the other end: without it this process has no purpose. */
static void control_ready(struct watch *watch, uint32_t events) {
    struct forward_request request;
    struct forward_reply reply;
    (void) watch;
    (void) events;
    ssize_t n = recv(FORWARD_FD_CONTROL, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n != (ssize_t) sizeof(request)) {
        loop.ended = 1;
        return;
    }
    ports_answer(&request, &reply);
    (void) send(FORWARD_FD_CONTROL, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int sooner(int a, int b) {
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

static void turn(void) {
    struct epoll_event events[EVENTS];
    int wait = tcp_turn() ? 0 : sooner(udp_expire(), ports_paused() ? RETRY_MS : -1);
    free_buried();
    int n = epoll_wait(loop.epoll, events, EVENTS, wait);
    loop.now = io_now_ms();
    if (n == 0 && wait > 0)
        ports_resume();
    for (int i = 0; i < n; i++) {
        struct watch *watch = events[i].data.ptr;
        if (!watch->buried)
            watch->ready(watch, events[i].events);
    }
    free_buried();
}

int forward_loop(void) {
    static struct watch control = {.ready = control_ready};
    limits_set();
    loop.now = io_now_ms();
    loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    int r = loop.epoll < 0 ? -errno : loop_watch(EPOLL_CTL_ADD, FORWARD_FD_CONTROL, EPOLLIN, &control);
    if (r == 0)
        r = forward_confine();
    while (r == 0 && !loop.ended)
        turn();
    return r;
}
