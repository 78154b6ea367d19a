#include "worker.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define POLL_MS    100
#define GRACE_MS   10000 /* after another's failure a process has this long for its last line */
#define END_MS     10000 /* and this long to exit after it */
#define AT_ONCE    4     /* more processes than any job has */
#define READ_BYTES 1024

/* The plan as a memfd that nobody can change any more. */
static int make_plan(const void *plan, size_t size) {
    cleanup_fd int fd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = io_write(fd, plan, size);
    if (r)
        return r;
    if (lseek(fd, 0, SEEK_SET) || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return -errno;
    return take_fd(&fd);
}

int worker_start(struct worker *w, const struct worker_kind *kind, void *arg, const void *plan, size_t plan_size,
                 const int *fds, size_t count, struct err *e) {
    int all[WORKER_FDS_MAX + 2];
    int ends[2];
    *w = (struct worker){.kind = kind, .arg = arg, .messages = -1, .process = -1};
    if (count > WORKER_FDS_MAX)
        return err_set(e, EINVAL, "%s takes at most %d descriptors", kind->name, WORKER_FDS_MAX);
    cleanup_fd int sealed = make_plan(plan, plan_size);
    if (sealed < 0)
        return err_sys(e, -sealed, "cannot write the plan of %s", kind->name);
    if (pipe2(ends, O_CLOEXEC))
        return err_sys(e, errno, "cannot make a pipe for %s", kind->name);
    w->messages = ends[0];
    all[0] = ends[1];
    all[1] = sealed;
    memcpy(&all[2], fds, sizeof(int) * count);
    w->process = kind->start(all, count + 2, e);
    (void) close(ends[1]);
    return w->process < 0 ? w->process : 0;
}

/* --- what it says -------------------------------------------------------------- */

static void take_failure(struct worker *w, const cJSON *line) {
    int64_t code = EIO;
    struct err ignored = {0};
    (void) json_integer_or(line, "code", 1, 4095, &code, &ignored);
    const char *text = json_string_or(line, "error", "", &ignored);
    if (text && text[0])
        w->result = err_set(&w->error, (int) code, "%s", text);
    else
        w->result = err_set(&w->error, (int) code, "%s failed without saying why", w->kind->name);
}

static void give_up(struct worker *w, const char *why) {
    w->ended = 1;
    w->result = err_set(&w->error, EBADMSG, "%s answered with %s: reinstall banger", w->kind->name, why);
}

static void take_line(struct worker *w) {
    cJSON *line = cJSON_Parse(w->line);
    const cJSON *progress = cJSON_GetObjectItemCaseSensitive(line, "progress");
    if (!cJSON_IsObject(line)) {
        give_up(w, "nonsense");
    } else if (cJSON_IsObject(progress)) {
        w->kind->progress(w->arg, progress);
    } else {
        w->ended = 1;
        if (json_true(line, "ok"))
            w->result = w->kind->success(w->arg, line, &w->error);
        else
            take_failure(w, line);
    }
    cJSON_Delete(line);
}

static void take_bytes(struct worker *w, const char *bytes, size_t size) {
    for (size_t i = 0; i < size && !w->ended; i++) {
        if (bytes[i] == '\n') {
            w->line[w->used] = '\0';
            w->used = 0;
            take_line(w);
        } else if (w->used + 1 >= sizeof(w->line)) {
            give_up(w, "an over-long line");
        } else {
            w->line[w->used++] = bytes[i];
        }
    }
}

static void hear(struct worker *w) {
    char bytes[READ_BYTES] = {0};
    ssize_t n = read(w->messages, bytes, sizeof(bytes));
    if (n > 0) {
        take_bytes(w, bytes, (size_t) n);
        return;
    }
    if (n < 0 && errno == EINTR)
        return;
    w->ended = w->killed = 1;
    w->result = n < 0 ? err_sys(&w->error, errno, "cannot follow %s", w->kind->name)
                      : err_set(&w->error, EPIPE,
                                "%s was killed or could not start: see the daemon's log and the kernel's (`dmesg`)",
                                w->kind->name);
}

int workers_follow(const struct rpc *rpc, struct worker *const *workers, size_t count) {
    struct pollfd p[AT_ONCE] = {0};
    long long until = 0; /* 0: nobody has failed */
    for (size_t open = count; open > 0 && count <= AT_ONCE;) {
        if (rpc && rpc_gone(rpc))
            return -ECANCELED;
        if (until && io_now_ms() > until)
            break;
        for (size_t i = 0; i < count; i++)
            p[i] = (struct pollfd){.fd = workers[i]->ended ? -1 : workers[i]->messages, .events = POLLIN};
        int ready = poll(p, (nfds_t) count, POLL_MS);
        open = 0;
        for (size_t i = 0; i < count; i++) {
            if (ready > 0 && p[i].revents && !workers[i]->ended)
                hear(workers[i]);
            if (workers[i]->ended && workers[i]->result && !until)
                until = io_now_ms() + GRACE_MS;
            open += !workers[i]->ended;
        }
    }
    return until ? -EIO : 0;
}

/* --- its end --------------------------------------------------------------------- */

/* After this nobody writes to the outputs. The monitor reaps. */
static void end_process(int process, int kill_now) {
    if (!kill_now && io_wait(process, POLLIN, END_MS) == 0)
        return;
    (void) syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
    (void) io_wait(process, POLLIN, END_MS);
}

void worker_end(struct worker *w) {
    if (w->messages >= 0)
        (void) close(w->messages);
    if (w->process >= 0) {
        end_process(w->process, !w->ended || w->result);
        (void) close(w->process);
    }
    w->messages = w->process = -1;
}
