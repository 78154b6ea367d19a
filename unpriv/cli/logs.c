#include "logs.h"

#include "../../common/io.h"
#include "../../common/jailargs.h"
#include "client.h"
#include "output.h"
#include "session.h"
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGAIN_MS 500 /* between two looks where the kernel has no more watches for this account */

const char logs_details[] =
    "Of the VM's last run. The console goes to standard output, the VMM's log to standard error;\n"
    "either one alone, by --which, to standard output. Of each the last mebibyte or two is kept.";

/* --- showing ----------------------------------------------------------------- */

/* A guest's console is hostile: on a terminal control bytes other than newline and tab are shown as '?'. */
static int show(const struct log *log, char *text, size_t size, struct err *e) {
    const int terminal = isatty(log->out);
    for (size_t i = 0; terminal && i < size; i++) {
        unsigned char c = (unsigned char) text[i];
        if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f || (c >= 0x80 && c < 0xa0))
            text[i] = '?';
    }
    int r = io_write(log->out, text, size);
    return r < 0 && r != -EPIPE ? err_sys(e, -r, "cannot write the log") : r;
}

/* banger-jail keeps the file bounded by moving its last JAIL_CONSOLE_KEEP bytes to the front. */
static void follow_cut(struct log *log) {
    struct stat st;
    if (fstat(log->fd, &st) == 0 && st.st_size < log->at)
        log->at = log->at > (off_t) JAIL_CONSOLE_KEEP ? log->at - (off_t) JAIL_CONSOLE_KEEP : 0;
}

/* What is new. 0 or a negative errno; -EPIPE without words: nobody reads any more. */
static int show_new(struct log *log, struct err *e) {
    char text[8192];
    follow_cut(log);
    for (;;) {
        ssize_t n = pread(log->fd, text, sizeof(text), log->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_sys(e, errno, "cannot read the log") : 0;
        log->at += n;
        int r = show(log, text, (size_t) n, e);
        if (r < 0)
            return r;
    }
}

static int show_all(struct logs *l, struct err *e) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < l->count; i++)
        r = show_new(&l->list[i], e);
    return r;
}

/* --- following --------------------------------------------------------------- */

/* An inotify descriptor for all of them, or -1. */
static int watch(const struct logs *l) {
    char path[32];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    for (size_t i = 0; fd >= 0 && i < l->count; i++) {
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", l->list[i].fd);
        if (inotify_add_watch(fd, path, IN_MODIFY) < 0) {
            (void) close(fd);
            fd = -1;
        }
    }
    return fd;
}

static void forget_changes(int watched) {
    char events[4096];
    while (watched >= 0 && read(watched, events, sizeof(events)) > 0)
        ;
}

/* What the VM's end leaves in the logs is there when that is seen. */
int logs_follow(struct logs *l, struct err *e) {
    const int watched = watch(l), signals = signals_open();
    int r = 0;
    for (int ended = l->process < 0;;) {
        forget_changes(watched);
        r = show_all(l, e);
        if (r < 0 || ended)
            break;
        struct pollfd p[] = {{.fd = watched, .events = POLLIN},
                             {.fd = l->process, .events = POLLIN},
                             {.fd = signals, .events = POLLIN},
                             {.fd = STDOUT_FILENO}};
        if (poll(p, 4, watched < 0 ? AGAIN_MS : -1) < 0 && errno != EINTR) {
            r = err_sys(e, errno, "cannot wait for the log");
            break;
        }
        for (int number; p[2].revents && (number = signals_next());)
            signals_note(number);
        if (signals_ending())
            r = -EINTR;
        if (r < 0 || p[3].revents)
            break;
        ended = p[1].revents != 0;
    }
    if (watched >= 0)
        (void) close(watched);
    return r;
}

/* --- the request ------------------------------------------------------------- */

static int take(const char *name, const cJSON *line, int fd, void *arg, struct err *e) {
    struct logs *l = arg;
    (void) e;
    if (strcmp(name, "process") == 0 && l->process < 0)
        l->process = fd;
    else if (strcmp(name, "log") == 0 && fd >= 0 && l->count < 2)
        l->list[l->count++] = (struct log){
            .fd = fd, .out = strcmp(output_member(line, "which"), "vmm") == 0 ? STDERR_FILENO : STDOUT_FILENO};
    else if (fd >= 0)
        (void) close(fd);
    return 0;
}

int command_logs(const struct invocation *in) {
    struct err e = {0};
    struct logs l = {.process = -1};
    cJSON *args = client_named(in->arguments[0]);
    (void) cJSON_AddStringToObject(args, "which", options_text(in, OPT_WHICH, "both"));
    (void) cJSON_AddBoolToObject(args, "follow", options_given(in, OPT_FOLLOW));
    struct client_call call = {.op = "vm.logs", .args = args, .event = take, .arg = &l};
    int r = client_request(&call, NULL, &e);
    if (r == 0 && l.count == 1) /* asked for alone: where output goes */
        l.list[0].out = STDOUT_FILENO;
    if (r == 0)
        r = logs_follow(&l, &e);
    for (size_t i = 0; i < l.count; i++)
        (void) close(l.list[i].fd);
    if (l.process >= 0)
        (void) close(l.process);
    return r < 0 && r != -EPIPE ? session_failed(r, &e) : 0;
}
