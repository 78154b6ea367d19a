#include "rpc.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/json.h"
#include "../../common/log.h"
#include "../metrics/place.h"
#include "../store/events.h"
#include "../vm/vm.h"
#include "metrics.h"
#include "metrics_port.h"
#include "rpc_line.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

#define REQUESTS_MAX     64
#define REQUEST_STACK    ((size_t) 256 * 1024)
#define REQUEST_WAIT_MS  10000 /* a client has this long to send its line */
#define ANSWER_WAIT_S    10    /* and this long to take each part of the answer */
#define STOP_WAIT_MS     5000  /* requests under way get this long to undo themselves */
#define BUSY_PAUSE_MS    50
#define STALE_AFTER_MOST (10LL * 365 * 86400)
#define TAP_POOL_MOST    64

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static int running;
static atomic_int stopping;
static atomic_int stop_event = -1;
static atomic_int listening = -1;

/* --- what handlers call ------------------------------------------------------- */

/* Takes `object`; adds the newline. */
static int send_line(const struct rpc *rpc, cJSON *object, int flags, const int *fds, size_t count) {
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (!text)
        return -ENOMEM;
    size_t size = strlen(text);
    text[size] = '\n'; /* in place of the terminator: it is a line now */
    int r = 0;
    if (flags) {
        if (send(rpc->sock, text, size + 1, flags | MSG_NOSIGNAL) < 0)
            r = -errno;
    } else {
        r = fdpass_send(rpc->sock, text, size + 1, fds, count);
    }
    cJSON_free(text);
    return r;
}

void rpc_progress(const struct rpc *rpc, const char *stage, const char *text, int64_t done, int64_t total) {
    cJSON *line = cJSON_CreateObject();
    cJSON *progress = cJSON_AddObjectToObject(line, "progress");
    (void) cJSON_AddStringToObject(progress, "stage", stage);
    (void) cJSON_AddStringToObject(progress, "text", text);
    (void) cJSON_AddNumberToObject(progress, "done", (double) done);
    (void) cJSON_AddNumberToObject(progress, "total", (double) total);
    /* One small message is queued whole or not at all: a client that does not read misses lines, and stops nobody. */
    (void) send_line(rpc, line, MSG_DONTWAIT, NULL, 0);
}

void rpc_warn(const struct rpc *rpc, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    text_sanitize(text);
    log_warn(rpc->op, "%s", text);
    cJSON *line = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(line, "warning", text);
    (void) send_line(rpc, line, 0, NULL, 0);
}

int rpc_event(const struct rpc *rpc, const char *name, cJSON *extra, int fd) {
    cJSON *line = extra ? extra : cJSON_CreateObject();
    (void) cJSON_AddStringToObject(line, "event", name);
    return send_line(rpc, line, 0, &fd, fd >= 0 ? 1 : 0);
}

/* A client that shuts down its sending side has cancelled too: so it can wait until the work is undone. */
int rpc_gone(const struct rpc *rpc) {
    struct pollfd p = {.fd = rpc->sock, .events = POLLRDHUP};
    return atomic_load(&stopping) || (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)));
}

/* --- one request ---------------------------------------------------------------- */

static const struct rpc_op *find(const char *name) {
    const struct rpc_op *const tables[] = {daemon_ops, image_ops, kernel_ops, vm_ops};
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct rpc_op *op = tables[t]; op->name; op++) {
            if (strcmp(op->name, name) == 0)
                return op;
        }
    }
    return NULL;
}

static void answer(const struct rpc *rpc, int r, cJSON *result, const struct err *e) {
    char id[17];
    (void) snprintf(id, sizeof(id), "%016llx", (unsigned long long) rpc->op);
    cJSON *line = cJSON_CreateObject();
    (void) cJSON_AddBoolToObject(line, "ok", r == 0);
    (void) cJSON_AddStringToObject(line, "op_id", id);
    if (r == 0) {
        (void) cJSON_AddItemToObject(line, "result", result ? result : cJSON_CreateObject());
    } else {
        cJSON_Delete(result);
        (void) cJSON_AddNumberToObject(line, "code", e->code);
        (void) cJSON_AddStringToObject(line, "error", e->text);
    }
    (void) send_line(rpc, line, 0, NULL, 0);
}

/* A handler that failed without words, or because the daemon ends, gets some here. */
static void complete_error(int r, const char *op, struct err *e) {
    if (r == -ECANCELED && atomic_load(&stopping))
        (void) err_set(e, ECANCELED, "bangerd was told to stop, so %s was undone: do it again", op);
    else if (e->text[0] == '\0')
        (void) err_sys(e, -r, "%s failed", op);
    if (e->code <= 0)
        e->code = -r;
}

/* The account's settings that the daemon must know come with every request that has them. */
static int take_settings(const cJSON *request, struct err *e) {
    int64_t stale_after = -1, place = -1, interval = -1, taps = -1;
    if (json_integer_or(request, "stale_after_s", 0, STALE_AFTER_MOST, &stale_after, e) ||
        json_integer_or(request, "metrics_listen", 0, METRICS_PLACE_MOST, &place, e) ||
        json_integer_or(request, "metrics_interval_s", METRICS_INTERVAL_MIN, METRICS_INTERVAL_MAX, &interval, e) ||
        json_integer_or(request, "tap_pool_size", 0, TAP_POOL_MOST, &taps, e) ||
        (stale_after >= 0 && vm_idle_set(stale_after, e)) || (taps >= 0 && vm_taps_want(taps, e)) ||
        metrics_port_set(place, interval, e))
        return -e->code;
    return 0;
}

static int dispatch(struct rpc *rpc, const cJSON *request, cJSON **result, struct err *e) {
    static const cJSON no_args = {.type = cJSON_Object};
    const char *name = json_string(request, "op", e);
    if (!name)
        return -EINVAL;
    const cJSON *args = cJSON_GetObjectItemCaseSensitive(request, "args");
    rpc->args = args && !cJSON_IsNull(args) ? args : &no_args;
    if (!cJSON_IsObject(rpc->args))
        return err_set(e, EINVAL, "\"args\" must be an object");
    if (take_settings(request, e))
        return -e->code;
    const struct rpc_op *op = find(name);
    if (!op)
        return err_set(e, EOPNOTSUPP,
                       "bangerd " BANGER_VERSION " knows no operation %.64s: use the banger it came with", name);
    log_debug(rpc->op, "%s begins", name);
    const long long began = io_now_ms();
    int r = op->handler(rpc, result, e);
    metrics_request(op->name, r != 0, io_now_ms() - began);
    if (r)
        complete_error(r, name, e);
    if (r)
        log_warn(rpc->op, "%s failed after %lld ms: %s", name, io_now_ms() - began, e->text);
    else
        log_info(rpc->op, "%s done in %lld ms", name, io_now_ms() - began);
    return r;
}

static uint64_t new_op(void) {
    uint64_t op = 0;
    while (getrandom(&op, sizeof(op), 0) != (ssize_t) sizeof(op) || op == 0)
        continue;
    return op;
}

static void serve_client(int sock) {
    struct rpc rpc = {.sock = sock, .op = new_op()};
    struct err e = {0};
    cJSON *result = NULL;
    cJSON *request = NULL;
    const struct timeval patience = {.tv_sec = ANSWER_WAIT_S};
    (void) setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int r = rpc_line_read(sock, REQUEST_WAIT_MS, &request, rpc.fds, &rpc.fd_count, &e);
    if (r == -ENODATA) /* came and went without a word */
        return;
    if (r == 0)
        r = dispatch(&rpc, request, &result, &e);
    else
        log_warn(rpc.op, "bad request: %s", e.text);
    answer(&rpc, r, result, &e);
    cJSON_Delete(request);
    fdpass_close(rpc.fds, rpc.fd_count);
}

static void finish(void) {
    (void) pthread_mutex_lock(&mutex);
    if (--running == 0)
        (void) pthread_cond_broadcast(&idle);
    (void) pthread_mutex_unlock(&mutex);
}

static void *request_thread(void *arg) {
    int sock = (int) (intptr_t) arg;
    serve_client(sock);
    (void) close(sock);
    finish();
    return NULL;
}

/* --- accepting ------------------------------------------------------------------ */

static void refuse(int sock, int code, const char *why) {
    struct rpc rpc = {.sock = sock, .op = new_op()};
    struct err e = {0};
    (void) err_set(&e, code, "%s", why);
    log_warn(rpc.op, "refused a client: %s", why);
    /* The accepting thread waits for nobody; an empty socket takes one line. */
    const struct timeval at_once = {.tv_usec = 1000};
    (void) setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &at_once, sizeof(at_once));
    answer(&rpc, -code, NULL, &e);
    (void) close(sock);
}

static void start_request(int sock, const pthread_attr_t *attributes) {
    (void) pthread_mutex_lock(&mutex);
    int room = running < REQUESTS_MAX;
    running += room;
    (void) pthread_mutex_unlock(&mutex);
    if (!room) {
        refuse(sock, EBUSY, "bangerd is busy with 64 requests: wait until one has ended");
        return;
    }
    pthread_t thread;
    if (pthread_create(&thread, attributes, request_thread, (void *) (intptr_t) sock)) {
        refuse(sock, EAGAIN, "bangerd could not start a thread: raise the account's process limit (ulimit -u)");
        finish();
    }
}

/* 0 to go on, 1 to stop, or a negative errno. */
static int accept_one(int listener, int event, const pthread_attr_t *attributes) {
    struct pollfd p[] = {{.fd = listener, .events = POLLIN}, {.fd = event, .events = POLLIN}};
    if (atomic_load(&stopping))
        return 1;
    if (poll(p, 2, -1) < 0)
        return errno == EINTR ? 0 : -errno;
    if (p[1].revents)
        return 1;
    int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (sock >= 0) {
        start_request(sock, attributes);
        return 0;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        log_error(0, "cannot take a client: %s", strerror(errno));
        (void) poll(NULL, 0, BUSY_PAUSE_MS);
        return 0;
    }
    return errno == EINTR || errno == ECONNABORTED || errno == EAGAIN ? 0 : -errno;
}

static void wait_for_requests(void) {
    struct timespec until;
    (void) clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_WAIT_MS / 1000;
    (void) pthread_mutex_lock(&mutex);
    while (running > 0 && pthread_cond_timedwait(&idle, &mutex, &until) == 0)
        continue;
    if (running > 0)
        log_warn(0, "%d requests did not end in time", running);
    (void) pthread_mutex_unlock(&mutex);
}

int rpc_serve(int listener, struct err *e) {
    cleanup_fd int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_t attributes;
    if (event < 0 || pthread_attr_init(&attributes))
        return err_sys(e, ENOMEM, "cannot serve clients");
    (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void) pthread_attr_setstacksize(&attributes, REQUEST_STACK);
    atomic_store(&listening, listener);
    atomic_store(&stop_event, event);
    int r;
    do {
        r = accept_one(listener, event, &attributes);
    } while (r == 0);
    rpc_stop();
    events_ring(); /* who follows the events sees the end */
    wait_for_requests();
    atomic_store(&stop_event, -1);
    atomic_store(&listening, -1);
    atomic_store(&stopping, 0);
    (void) pthread_attr_destroy(&attributes);
    return r < 0 ? err_sys(e, -r, "cannot accept clients") : 0;
}

/* Called by handlers and by the handler of SIGTERM: atomics, shutdown(2) and write(2) only. Whoever
 * asked for the end and was answered finds nobody from then on, and may start the next daemon. */
void rpc_stop(void) {
    const int before = errno;
    const uint64_t one = 1;
    atomic_store(&stopping, 1);
    const int event = atomic_load(&stop_event);
    if (event >= 0 && write(event, &one, sizeof(one)) < 0)
        atomic_store(&stopping, 1);
    /* Last: whom the listener's end wakes finds the event there. */
    const int listener = atomic_load(&listening);
    if (listener >= 0)
        (void) shutdown(listener, SHUT_RDWR);
    errno = before;
}
