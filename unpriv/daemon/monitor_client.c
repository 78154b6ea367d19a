#include "monitor.h"

#include "../../common/fdpass.h"
#include "../store/events.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int monitor_sock = -1;
static int helper_pid; /* of the last reply that named one; `mutex` guards it */

void monitor_client_open(int sock) {
    monitor_sock = sock;
}

/* Every reply names the helper: the pid of the one before where it is another, else 0. */
static int replaced(int pid) {
    int old = pid && helper_pid && pid != helper_pid ? helper_pid : 0;
    if (pid)
        helper_pid = pid;
    return old;
}

/* One round trip. `*got` is the descriptor that came back, or -1. */
static int call(const struct monitor_request *request, const int *fds, size_t count, struct monitor_reply *reply,
                int *got) {
    size_t received = 0;
    int old = 0;
    *got = -1;
    (void) pthread_mutex_lock(&mutex);
    int r = fdpass_send(monitor_sock, request, sizeof(*request), fds, count);
    ssize_t n = r ? r : fdpass_recv(monitor_sock, reply, sizeof(*reply), got, 1, &received);
    if (n == (ssize_t) sizeof(*reply))
        old = replaced(reply->helper);
    (void) pthread_mutex_unlock(&mutex);
    if (old)
        events_add(EVENT_HELPER_RESTARTED, NULL, "pid %d, was %d", reply->helper, old);
    if (n != (ssize_t) sizeof(*reply)) {
        if (received)
            fdpass_close(got, 1);
        return n < 0 ? (int) n : -EPIPE;
    }
    reply->text[MONITOR_TEXT - 1] = '\0';
    return -reply->error;
}

/* The same, where a descriptor is the answer. */
static int call_fd(const struct monitor_request *request, const int *fds, size_t count, const char *what,
                   struct err *e) {
    struct monitor_reply reply = {0};
    int fd = -1;
    int r = call(request, fds, count, &reply, &fd);
    if (r == 0 && fd < 0)
        r = -EPROTO;
    if (r == 0)
        return fd;
    if (fd >= 0)
        (void) close(fd);
    return reply.text[0] ? err_set(e, -r, "%s", reply.text) : err_sys(e, -r, "%s", what);
}

int monitor_listen(uint32_t slot, enum monitor_socket which, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_LISTEN, .slot = slot, .which = which};
    return call_fd(&request, NULL, 0, "cannot make the VM's socket", e);
}

int monitor_connect(uint32_t slot, enum monitor_socket which, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_CONNECT, .slot = slot, .which = which};
    return call_fd(&request, NULL, 0, "cannot connect to the VM", e);
}

int monitor_helper(enum wire_worker worker, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_HELPER, .which = worker};
    return call_fd(&request, NULL, 0, "cannot reach banger-helper", e);
}

int monitor_import(const int *fds, size_t count, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_IMPORT};
    return call_fd(&request, fds, count, "cannot start banger-import", e);
}

int monitor_fetch(const int *fds, size_t count, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_FETCH};
    return call_fd(&request, fds, count, "cannot start banger-fetch", e);
}

int monitor_dns(const int *fds, size_t count, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_DNS};
    return call_fd(&request, fds, count, "cannot start banger-dns", e);
}

int monitor_metrics(const int *fds, size_t count, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_METRICS};
    return call_fd(&request, fds, count, "cannot start banger-metrics", e);
}

int monitor_resolve(const int *fds, size_t count, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_RESOLVE};
    return call_fd(&request, fds, count, "cannot start banger-resolve", e);
}

int monitor_forward(int start, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_FORWARD, .which = start != 0};
    return call_fd(&request, NULL, 0, "cannot start banger-forward", e);
}

int monitor_cgroup(uint32_t slot, uint32_t memory_mib, uint32_t vcpus, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_CGROUP, .slot = slot, .which = memory_mib, .vcpus = vcpus};
    return call_fd(&request, NULL, 0, "cannot make the VM's cgroup", e);
}

int monitor_cgroup_end(uint32_t slot, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_CGROUP_END, .slot = slot};
    struct monitor_reply reply = {0};
    int fd = -1;
    int r = call(&request, NULL, 0, &reply, &fd);
    return r ? err_sys(e, -r, "cannot tell the monitor of a VM's end") : 0;
}

int monitor_cgroup_why(char why[MONITOR_TEXT], struct err *e) {
    const struct monitor_request request = {.op = MONITOR_CGROUP_WHY};
    struct monitor_reply reply = {0};
    int fd = -1;
    int r = call(&request, NULL, 0, &reply, &fd);
    if (r)
        return err_sys(e, -r, "cannot ask the monitor");
    memcpy(why, reply.text, MONITOR_TEXT);
    return 0;
}

int monitor_usage(uint32_t slot, int pidfd, struct usage *usage, struct err *e) {
    const struct monitor_request request = {.op = MONITOR_USAGE, .slot = slot};
    struct monitor_reply reply = {0};
    int fd = -1;
    int r = call(&request, &pidfd, 1, &reply, &fd);
    *usage = reply.usage;
    return r ? err_sys(e, -r, "cannot ask the monitor what a VM uses") : 0;
}

int monitor_stop(struct err *e) {
    const struct monitor_request request = {.op = MONITOR_STOP};
    struct monitor_reply reply = {0};
    int fd = -1;
    int r = call(&request, NULL, 0, &reply, &fd);
    return r ? err_sys(e, -r, "cannot tell the monitor to stop") : 0;
}

int monitor_status(int *helper, char why[MONITOR_TEXT], struct err *e) {
    const struct monitor_request request = {.op = MONITOR_STATUS};
    struct monitor_reply reply = {0};
    int fd = -1;
    int r = call(&request, NULL, 0, &reply, &fd);
    if (r)
        return err_sys(e, -r, "cannot ask the monitor");
    *helper = reply.helper;
    memcpy(why, reply.text, MONITOR_TEXT);
    return 0;
}
