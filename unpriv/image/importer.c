#include "importer.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/json.h"
#include "../daemon/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define POLL_MS        100
#define END_WAIT_MS    10000               /* the process has this long to exit after its last line */
#define COUNT_MAX      ((int64_t) 1 << 52) /* whole numbers a double holds */

/* One import under way, as the engine sees it. */
struct run {
    const struct rpc *rpc;
    const char *stage;
    struct import_result *out;
    int messages; /* read end */
    int process;  /* pidfd */
    int ended;    /* the last line came; `result` holds */
    int result;
    size_t used;
    char line[LINE_MAX_BYTES];
};

/* The plan as a memfd that nobody can change any more. */
static int make_plan(const struct import_plan *plan) {
    struct import_plan filled = *plan;
    filled.magic = IMPORT_PLAN_MAGIC;
    cleanup_fd int fd = memfd_create("import-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = io_write(fd, &filled, sizeof(filled));
    if (r)
        return r;
    if (lseek(fd, 0, SEEK_SET) || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return -errno;
    return take_fd(&fd);
}

/* A release becomes a file's name in messages and records: no other bytes. */
static int check_release(const char *release, struct err *e) {
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+~-";
    const size_t size = strlen(release);
    if (size >= sizeof(((struct import_result *) 0)->release) || strspn(release, good) != size)
        return err_set(e, EBADMSG, "the kernel's release is not one: import another package");
    return 0;
}

static int take_success(struct run *run, const cJSON *line, struct err *e) {
    struct import_result *out = run->out;
    const char *release = json_string_or(line, "release", "", e);
    if (!release || check_release(release, e) || json_integer_or(line, "bytes", 0, COUNT_MAX, &out->bytes, e) ||
        json_integer_or(line, "entries", 0, COUNT_MAX, &out->entries, e) ||
        json_integer_or(line, "size", 0, COUNT_MAX, &out->size, e) ||
        json_integer_or(line, "used", 0, COUNT_MAX, &out->used, e))
        return -e->code;
    (void) snprintf(out->release, sizeof(out->release), "%s", release);
    return 0;
}

static int take_failure(const cJSON *line, struct err *e) {
    int64_t code = EIO;
    struct err ignored = {0};
    (void) json_integer_or(line, "code", 1, 4095, &code, &ignored);
    const char *text = json_string_or(line, "error", "", &ignored);
    return err_set(e, (int) code, "%s", text && text[0] ? text : "the import failed without saying why");
}

static void take_progress(const struct run *run, const cJSON *progress) {
    int64_t bytes = 0;
    int64_t entries = 0;
    struct err ignored = {0};
    char text[64];
    if (!run->rpc || json_integer_or(progress, "bytes", 0, COUNT_MAX, &bytes, &ignored) ||
        json_integer_or(progress, "entries", 0, COUNT_MAX, &entries, &ignored))
        return;
    (void) snprintf(text, sizeof(text), "%lld files", (long long) entries);
    rpc_progress(run->rpc, run->stage, text, bytes, 0);
}

/* One line, terminated: the process that wrote it has read hostile bytes. */
static int take_line(struct run *run, struct err *e) {
    cJSON *line = cJSON_Parse(run->line);
    const cJSON *progress = cJSON_GetObjectItemCaseSensitive(line, "progress");
    int r = 0;
    if (!cJSON_IsObject(line)) {
        r = err_set(e, EBADMSG, "banger-import answered with nonsense: reinstall banger");
    } else if (cJSON_IsObject(progress)) {
        take_progress(run, progress);
    } else {
        run->ended = 1;
        run->result = json_true(line, "ok") ? take_success(run, line, e) : take_failure(line, e);
    }
    cJSON_Delete(line);
    return r;
}

static int take_bytes(struct run *run, const char *bytes, size_t size, struct err *e) {
    for (size_t i = 0; i < size && !run->ended; i++) {
        if (bytes[i] != '\n') {
            if (run->used + 1 >= sizeof(run->line))
                return err_set(e, EBADMSG, "banger-import answered with an over-long line: reinstall banger");
            run->line[run->used++] = bytes[i];
            continue;
        }
        run->line[run->used] = '\0';
        run->used = 0;
        int r = take_line(run, e);
        if (r)
            return r;
    }
    return 0;
}

/* Reads messages until the last line; notices a client that goes away. */
static int follow(struct run *run, struct err *e) {
    while (!run->ended) {
        char bytes[1024] = {0};
        if (run->rpc && rpc_gone(run->rpc))
            return err_set(e, ECANCELED, "the import was cancelled");
        int r = io_wait(run->messages, POLLIN, POLL_MS);
        if (r == -ETIMEDOUT)
            continue;
        ssize_t n = r ? r : read(run->messages, bytes, sizeof(bytes));
        if (n < 0)
            return err_sys(e, r ? -r : errno, "cannot follow the import");
        if (n == 0)
            return err_set(e, EPIPE,
                           "banger-import was killed or could not start: see the daemon's log and the "
                           "kernel's (`dmesg`)");
        r = take_bytes(run, bytes, (size_t) n, e);
        if (r)
            return r;
    }
    return run->result;
}

/* After this nobody writes to the outputs. The monitor reaps. */
static void end_process(int process, int kill_now) {
    if (!kill_now && io_wait(process, POLLIN, END_WAIT_MS) == 0)
        return;
    (void) syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
    (void) io_wait(process, POLLIN, END_WAIT_MS);
}

static int start(struct run *run, const struct import_plan *plan, const int *fds, size_t count, struct err *e) {
    int all[IMPORTER_FDS_MAX + 2];
    int ends[2];
    if (count > IMPORTER_FDS_MAX)
        return err_set(e, EINVAL, "an import takes at most %d descriptors", IMPORTER_FDS_MAX);
    cleanup_fd int sealed = make_plan(plan);
    if (sealed < 0)
        return err_sys(e, -sealed, "cannot write the import's plan");
    if (pipe2(ends, O_CLOEXEC))
        return err_sys(e, errno, "cannot make a pipe for the import");
    run->messages = ends[0];
    all[0] = ends[1];
    all[1] = sealed;
    memcpy(&all[2], fds, sizeof(int) * count);
    run->process = monitor_import(all, count + 2, e);
    (void) close(ends[1]);
    return run->process < 0 ? run->process : 0;
}

int importer_run(const struct rpc *rpc, const struct import_plan *plan, const int *fds, size_t count, const char *stage,
                 struct import_result *out, struct err *e) {
    struct err local = {0};
    struct run run = {.rpc = rpc, .stage = stage, .out = out, .messages = -1, .process = -1};
    *out = (struct import_result){0};
    int r = start(&run, plan, fds, count, &local);
    if (r == 0)
        r = follow(&run, &local);
    if (run.messages >= 0)
        (void) close(run.messages);
    if (run.process >= 0) {
        end_process(run.process, r != 0);
        (void) close(run.process);
    }
    if (r && e)
        *e = local;
    return r;
}
