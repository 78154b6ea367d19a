#include "client.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/json.h"
#include "../../common/version.h"
#include "../workspace/process.h"
#include "config.h"
#include "output.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define TICK_MS    100
#define UNDO_MS    15000 /* what a cancelled request may take to undo itself */
#define START_MS   3000  /* how long another client's daemon may take to come up */
#define ANSWER_MAX (64u << 20)

/* One request under way. */
struct talk {
    struct client_call *call;
    int sock;
    char *text; /* what came and is not yet handled */
    size_t used, room;
    int fds[FDPASS_MAX]; /* came with it, in order */
    size_t fd_count;
    long long deadline; /* io_now_ms when a cancelled request is given up; 0: not cancelled */
    int done;
    int code; /* last line: 0 or positive errno */
    cJSON *result;
    struct err *error;
    int spoiled; /* an event handler failed: its error is the answer */
};

const struct paths *client_paths(struct err *e) {
    static struct paths paths;
    static int found;
    if (!found && paths_find(&paths, e) < 0)
        return NULL;
    found = 1;
    return &paths;
}

/* --- finding the daemon ------------------------------------------------------ */

static int try_connect(const struct paths *paths) {
    char path[PATH_MAX + 8];
    (void) snprintf(path, sizeof(path), "%s/run", paths->state);
    cleanup_fd int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -errno : paths_connect(dir, "bangerd.sock");
}

/* Starts bangerd and reads what it says about its start: "ok" or a sentence. */
static int start_daemon(char said[ERR_TEXT_MAX], struct err *e) {
    static const char *const argv[] = {BANGER_BINDIR "/bangerd", NULL};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot make a pipe");
    cleanup_fd int from = ends[0];
    struct process p = {.argv = argv, .in = -1, .out = -1, .err = -1, .third = ends[1]};
    pid_t pid = 0;
    int r = process_start(&p, &pid, e);
    (void) close(ends[1]);
    if (r < 0)
        return r == -ENOENT ? err_set(e, ENOENT, "%s is missing: install banger with `make install`", argv[0]) : r;
    ssize_t n = io_read_some(from, said, ERR_TEXT_MAX - 1);
    said[n < 0 ? 0 : n] = 0;
    (void) process_wait(pid); /* it goes on as a daemon of its own */
    return 0;
}

/* A connection to the daemon. Two clients may start one at the same time: one of
 * the two daemons gives way, so whoever is refused tries again for a while. */
static int reach(const struct client_call *call, struct err *e) {
    const struct paths *paths = client_paths(e);
    if (!paths)
        return -e->code;
    int sock = try_connect(paths);
    if (sock >= 0)
        return sock;
    if (sock != -ENOENT && sock != -ECONNREFUSED)
        return err_sys(e, -sock, "cannot connect to bangerd in %s/run", paths->state);
    if (call->no_start)
        return -ENOENT;
    char said[ERR_TEXT_MAX];
    int r = start_daemon(said, e);
    if (r < 0)
        return r;
    for (long long end = io_now_ms() + START_MS; (sock = try_connect(paths)) < 0 && io_now_ms() < end;) {
        if (strncmp(said, "ok", 2) == 0 && sock != -ECONNREFUSED && sock != -ENOENT)
            break;
        (void) poll(NULL, 0, 20);
    }
    if (sock >= 0)
        return sock;
    process_last_line(said);
    if (said[0] && strncmp(said, "ok", 2) != 0)
        return err_set(e, ECONNREFUSED, "%s", said);
    return err_sys(e, -sock, "bangerd does not come up: see %s/bangerd.log", paths->state);
}

/* Those that the daemon must know. What is wrong with the file is said by what needs it. */
static void add_settings(cJSON *request) {
    if (config_load(NULL))
        return;
    (void) cJSON_AddNumberToObject(request, "stale_after_s", (double) config_number(NULL, CONFIG_STALE_AFTER));
    (void) cJSON_AddNumberToObject(request, "metrics_listen", (double) config_number(NULL, CONFIG_METRICS_LISTEN));
    (void) cJSON_AddNumberToObject(request, "metrics_interval_s",
                                   (double) config_number(NULL, CONFIG_METRICS_INTERVAL));
    (void) cJSON_AddNumberToObject(request, "tap_pool_size", (double) config_number(NULL, CONFIG_TAP_POOL));
}

/* 0 also when the daemon had hung up before it had read all: what it said first waits to be read. */
static int send_request(struct client_call *call, int sock, struct err *e) {
    cJSON *request = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(request, "op", call->op);
    (void) cJSON_AddItemToObject(request, "args", call->args ? call->args : cJSON_CreateObject());
    call->args = NULL;
    add_settings(request);
    cleanup_free char *text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    size_t size = text ? strlen(text) : 0;
    int r = -ENOMEM;
    if (text) {
        text[size] = '\n'; /* in place of the NUL: sent by length */
        r = fdpass_send(sock, text, size + 1, call->fds, call->fd_count);
    }
    if (r == -EPIPE || r == -ECONNRESET)
        return 0;
    return r < 0 ? err_sys(e, -r, "cannot send the request to bangerd") : 0;
}

/* --- the answer's lines ------------------------------------------------------ */

/* Half-closes: the daemon sees that we are gone and undoes, and we see when it has. */
static void cancel(struct talk *t) {
    if (t->deadline)
        return;
    t->deadline = io_now_ms() + UNDO_MS;
    (void) shutdown(t->sock, SHUT_WR);
}

static void on_progress(struct progress *p, const cJSON *progress) {
    if (!p)
        return;
    const cJSON *done = cJSON_GetObjectItemCaseSensitive(progress, "done");
    const cJSON *total = cJSON_GetObjectItemCaseSensitive(progress, "total");
    const char *stage = json_string_or(progress, "stage", "", NULL);
    const char *text = json_string_or(progress, "text", "", NULL);
    progress_update(p, stage ? stage : "", text ? text : "", cJSON_IsNumber(done) ? (int64_t) done->valuedouble : 0,
                    cJSON_IsNumber(total) ? (int64_t) total->valuedouble : 0);
}

static void on_event(struct talk *t, const cJSON *line, const char *name) {
    int fd = -1;
    if (t->fd_count > 0) {
        fd = t->fds[0];
        memmove(t->fds, t->fds + 1, --t->fd_count * sizeof(t->fds[0]));
    }
    struct client_call *call = t->call;
    if (!call->event) {
        if (fd >= 0)
            (void) close(fd);
        return;
    }
    if (call->event(name, line, fd, call->arg, t->error) < 0) {
        t->spoiled = 1;
        cancel(t);
    }
}

static void on_last(struct talk *t, cJSON *line) {
    t->done = 1;
    if (json_true(line, "ok")) {
        t->result = cJSON_DetachItemFromObjectCaseSensitive(line, "result");
        if (!t->result)
            t->result = cJSON_CreateObject();
        return;
    }
    int64_t code = EIO;
    (void) json_integer_or(line, "code", 1, 4095, &code, NULL);
    t->code = (int) code;
    if (t->spoiled)
        return;
    const char *text = json_string_or(line, "error", "bangerd gave no reason", NULL);
    const char *op = json_string_or(line, "op_id", NULL, NULL);
    if (op && *op)
        (void) err_set(t->error, t->code, "%s (request %s)", text ? text : "", op);
    else
        (void) err_set(t->error, t->code, "%s", text ? text : "");
}

static void on_line(struct talk *t, const char *text) {
    cJSON *line = cJSON_Parse(text);
    const cJSON *progress = cJSON_GetObjectItemCaseSensitive(line, "progress");
    const char *warning = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "warning"));
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "event"));
    if (progress)
        on_progress(t->call->progress, progress);
    else if (warning && t->call->progress)
        progress_warn(t->call->progress, warning);
    else if (event)
        on_event(t, line, event);
    else if (cJSON_HasObjectItem(line, "ok"))
        on_last(t, line);
    cJSON_Delete(line);
}

/* Reads what is there and handles its whole lines. 0 at the end of the connection. */
static int receive(struct talk *t) {
    if (t->used + 4096 > t->room) {
        size_t room = t->room ? t->room * 2 : 65536;
        char *more = room > ANSWER_MAX ? NULL : realloc(t->text, room);
        if (!more)
            return -ENOBUFS;
        t->text = more;
        t->room = room;
    }
    size_t count = 0;
    ssize_t n = fdpass_recv(t->sock, t->text + t->used, t->room - t->used, t->fds + t->fd_count,
                            FDPASS_MAX - t->fd_count, &count);
    if (n <= 0)
        return (int) n;
    t->fd_count += count;
    t->used += (size_t) n;
    size_t at = 0;
    for (char *end; !t->done && (end = memchr(t->text + at, '\n', t->used - at)); at = (size_t) (end + 1 - t->text)) {
        *end = 0;
        on_line(t, t->text + at);
    }
    memmove(t->text, t->text + at, t->used - at);
    t->used -= at;
    return 1;
}

/* --- waiting ----------------------------------------------------------------- */

/* The feed's thread has ended: its pipe is closed, after the cancel when it failed. */
static void on_feed_end(struct talk *t, struct feed *f) {
    if (f->result < 0 && f->result != -EPIPE) {
        *t->error = f->error;
        t->spoiled = 1;
        cancel(t);
    }
    feed_finish(f);
}

static void on_signals(struct talk *t) {
    for (int number; (number = signals_next());)
        signals_note(number);
    if (signals_ending() && t->deadline)
        t->deadline = io_now_ms(); /* asked twice: do not wait for the undo */
}

static int wait_for_answer(struct talk *t) {
    int signals = signals_open();
    while (!t->done) {
        struct feed *f = t->call->feed;
        struct pollfd p[3] = {{.fd = t->sock, .events = POLLIN},
                              {.fd = signals, .events = POLLIN},
                              {.fd = f && f->running ? f->ended : -1, .events = POLLIN}};
        if (poll(p, 3, TICK_MS) < 0 && errno != EINTR)
            return -errno;
        if (p[1].revents)
            on_signals(t);
        if (signals_ending())
            cancel(t);
        if (f && p[2].revents)
            on_feed_end(t, f);
        int r = p[0].revents ? receive(t) : 1;
        if (r <= 0)
            return r < 0 ? r : -ECONNRESET;
        if (t->deadline && io_now_ms() >= t->deadline)
            return -ETIMEDOUT;
        if (t->call->progress)
            progress_tick(t->call->progress);
    }
    return 0;
}

/* What the end of the talk means. */
static int conclude(struct talk *t, int r) {
    if (t->done && t->result && !t->spoiled)
        return 0; /* a signal that came too late to change anything is the caller's to look at */
    if (signals_ending())
        return -EINTR;
    if (t->spoiled)
        return t->error->code ? -t->error->code : -EIO;
    if (r == 0)
        return -t->code;
    if (r == -ENOBUFS)
        return err_set(t->error, ENOBUFS, "bangerd's answer is too large");
    return err_set(
        t->error, ECONNRESET,
        "bangerd ended while it worked on this: run the command again, and see bangerd.log in banger's state "
        "folder (`banger daemon status` starts it and names it)");
}

static int talk(struct talk *t) {
    int r = send_request(t->call, t->sock, t->error);
    fdpass_close(t->call->fds, t->call->fd_count);
    t->call->fd_count = 0;
    if (r < 0)
        return r;
    return conclude(t, wait_for_answer(t));
}

int client_request(struct client_call *call, cJSON **result, struct err *e) {
    struct err unused = {0};
    struct talk t = {.call = call, .error = e ? e : &unused};
    (void) signals_open();
    t.sock = reach(call, t.error);
    int r = t.sock < 0 ? t.sock : talk(&t);
    if (t.sock >= 0)
        (void) close(t.sock);
    fdpass_close(call->fds, call->fd_count);
    fdpass_close(t.fds, t.fd_count);
    cJSON_Delete(call->args);
    call->args = NULL;
    if (call->feed)
        feed_finish(call->feed);
    if (call->progress)
        progress_finish(call->progress, r < 0);
    free(t.text);
    if (r == 0 && result)
        *result = t.result;
    else
        cJSON_Delete(t.result);
    return r;
}

int client_simple(const char *op, cJSON *args, cJSON **result, struct err *e) {
    struct client_call call = {.op = op, .args = args};
    return client_request(&call, result, e);
}

/* An installation puts other files there, and leaves what runs as it is. */
static int was_replaced(int64_t pid) {
    char path[64];
    struct stat runs, installed;
    (void) snprintf(path, sizeof(path), "/proc/%lld/exe", (long long) pid);
    return stat(path, &runs) == 0 && stat(BANGER_BINDIR "/bangerd", &installed) == 0 &&
           (runs.st_dev != installed.st_dev || runs.st_ino != installed.st_ino);
}

int client_daemon_differs(const cJSON *status, char text[ERR_TEXT_MAX]) {
    const char *version = output_member(status, "version");
    if (strcmp(version, BANGER_STAMP) != 0)
        (void) snprintf(text, ERR_TEXT_MAX, "bangerd and its helper are of banger %.80s, this command is of %s",
                        version, BANGER_STAMP);
    else if (was_replaced(output_number(status, "monitor_pid")))
        (void) snprintf(text, ERR_TEXT_MAX, "bangerd and its helper were started before banger was installed anew");
    else
        return 0;
    return 1;
}

cJSON *client_named(const char *name) {
    cJSON *args = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(args, "name", name);
    return args;
}
