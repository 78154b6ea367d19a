#include "sessions.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "client.h"
#include "output.h"
#include "session.h"
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GRACE_S      10
#define KILL_MS      5000 /* what a command may take to be gone when it was killed */
#define PAUSE_MIN_MS 100  /* between two looks at a session that is to end: the more often the shorter it takes */
#define PAUSE_MAX_MS 2000

const char session_start_details[] =
    "The command goes on when this one and even bangerd have ended, until it ends, is stopped, or the\n"
    "VM ends. PATH, the command and each --require-command are looked up in the guest first: where one\n"
    "is missing nothing is started. The workspace, the image's variables and its user count as they do\n"
    "for `vm exec`. What it leaves behind in its process group ends with it.";
const char session_logs_details[] =
    "Kept are the last 2 to 4 MiB of each stream, also when the session and its VM have ended.";
const char session_send_details[] =
    "TEXT is sent as a line; without TEXT standard input is sent as it is. Waits while the session\n"
    "does not read. --close sends its end after that.";
const char session_attach_details[] =
    "Shows what the session writes from now on (`vm session logs` has the rest) and sends it standard\n"
    "input, where it was started with --stdin-mode pipe. One client at a time. Ctrl-C detaches, with\n"
    "status 130, and the session goes on; when the session ends, the exit status is its own.";
const char session_stop_details[] =
    "Its process group gets TERM, and after the time to end KILL: from the guest itself, so that it ends\n"
    "also when this command is interrupted.";
const char acp_details[] =
    "For an editor that speaks the Agent Client Protocol to a program's standard streams. Needs\n"
    "opencode in the guest.";

/* {"name": VM, "session": SESSION} */
static cJSON *both_names(const struct invocation *in) {
    cJSON *args = client_named(in->arguments[0]);
    (void) cJSON_AddStringToObject(args, "session", in->arguments[1]);
    return args;
}

/* --- showing --------------------------------------------------------------------------------- */

/* "exited 3", "killed 15" or the state. */
static void outcome_text(const cJSON *session, char *out, size_t size) {
    const char *state = output_member(session, "state");
    const int exited = strcmp(state, "exited") == 0;
    if (exited || strcmp(state, "killed") == 0)
        (void) snprintf(out, size, "%s %lld", state,
                        (long long) output_number(session, exited ? "exit_code" : "signal"));
    else
        (void) snprintf(out, size, "%s", state);
}

/* Shows the answer of an operation, or its error. */
static int shown(const struct invocation *in, int r, cJSON *session, const struct err *e) {
    if (r < 0)
        return session_failed(r, e);
    if (options_given(in, OPT_JSON)) {
        output_json(session);
        return 0;
    }
    output_object(session);
    cJSON_Delete(session);
    return 0;
}

/* What became of a session, in a few words. */
static int changed(const struct invocation *in, int r, cJSON *session, const struct err *e) {
    char text[64];
    if (r < 0 || options_given(in, OPT_JSON))
        return shown(in, r, session, e);
    outcome_text(session, text, sizeof(text));
    (void) printf("%s: %s\n", output_member(session, "name"), text);
    cJSON_Delete(session);
    return 0;
}

int command_session_list(const struct invocation *in) {
    static const char *const headers[] = {"NAME", "STATE", "PID", "STARTED", "ENDED", "ATTACHED", "COMMAND"};
    struct err e = {0};
    cJSON *result = NULL;
    int r = client_simple("vm.session.list", client_named(in->arguments[0]), &result, &e);
    if (r < 0 || options_given(in, OPT_JSON))
        return shown(in, r, result, &e);
    struct table t = {.columns = 7};
    const cJSON *session = NULL;
    cJSON_ArrayForEach(session, cJSON_GetObjectItemCaseSensitive(result, "sessions")) {
        char text[64];
        outcome_text(session, text, sizeof(text));
        table_cell(&t, "%s", output_member(session, "name"));
        table_cell(&t, "%s", text);
        table_cell(&t, "%lld", (long long) output_number(session, "pid"));
        table_cell(&t, "%s", output_member(session, "started"));
        table_cell(&t, "%s", output_member(session, "ended"));
        table_cell(&t, "%s", output_member(session, "attached"));
        table_cell(&t, "%.60s", output_member(session, "command"));
    }
    table_print(&t, headers);
    cJSON_Delete(result);
    return 0;
}

int command_session_show(const struct invocation *in) {
    struct err e = {0};
    cJSON *session = NULL;
    int r = client_simple("vm.session.show", both_names(in), &session, &e);
    return shown(in, r, session, &e);
}

/* --- start, stop, kill ------------------------------------------------------------------------- */

static cJSON *list_of(const char *const *words, size_t count) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        (void) cJSON_AddItemToArray(list, cJSON_CreateString(words[i]));
    return list;
}

int command_session_start(const struct invocation *in) {
    struct err e = {0};
    cJSON *session = NULL;
    cJSON *args = client_named(in->arguments[0]);
    (void) cJSON_AddStringToObject(args, "session", options_text(in, OPT_NAME, ""));
    (void) cJSON_AddStringToObject(args, "stdin_mode", options_text(in, OPT_STDIN_MODE, "detached"));
    (void) cJSON_AddStringToObject(args, "cwd", options_text(in, OPT_CWD, ""));
    (void) cJSON_AddStringToObject(args, "user", options_text(in, OPT_USER, ""));
    (void) cJSON_AddItemToObject(args, "env", list_of(in->list, in->list_count));
    (void) cJSON_AddItemToObject(args, "require", list_of(in->words, in->word_count));
    (void) cJSON_AddItemToObject(args, "argv", list_of((const char *const *) in->after, (size_t) in->after_count));
    int r = client_simple("vm.session.start", args, &session, &e);
    if (r < 0 || options_given(in, OPT_JSON))
        return shown(in, r, session, &e);
    const char *name = output_member(session, "name"), *vm = in->arguments[0];
    if (options_given(in, OPT_QUIET))
        (void) puts(name);
    else
        (void) printf("%s runs in %s\nwatch: banger vm session attach %s %s\nlogs:  banger vm session logs %s %s\n"
                      "stop:  banger vm session stop %s %s\n",
                      name, vm, vm, name, vm, name, vm, name);
    cJSON_Delete(session);
    return 0;
}

/* Sleeps; -EINTR when a signal asks this process to end. */
static int pause_ms(long long ms) {
    struct pollfd p = {.fd = signals_open(), .events = POLLIN};
    (void) poll(&p, 1, (int) ms);
    for (int number; (number = signals_next());)
        signals_note(number);
    return signals_ending() ? -EINTR : 0;
}

/* Looks at the session, which its guest ends within that time, until it has ended. Replaces `*session`. */
static int wait_end(const struct invocation *in, long long ms, cJSON **session, struct err *e) {
    const long long began = io_now_ms();
    while (strcmp(output_member(*session, "state"), "running") == 0) {
        const long long past = io_now_ms() - began;
        if (past > ms + KILL_MS)
            return err_set(e, ETIMEDOUT, "session %s does not end: it was killed and is still there", in->arguments[1]);
        int r = pause_ms(past / 4 < PAUSE_MIN_MS ? PAUSE_MIN_MS : past / 4 > PAUSE_MAX_MS ? PAUSE_MAX_MS : past / 4);
        cJSON *now = NULL;
        if (r == 0)
            r = client_simple("vm.session.show", both_names(in), &now, e);
        if (r < 0)
            return r;
        cJSON_Delete(*session);
        *session = now;
    }
    return 0;
}

int command_session_stop(const struct invocation *in) {
    struct err e = {0};
    cJSON *session = NULL;
    const long long grace = options_number(in, OPT_GRACE, GRACE_S) * 1000;
    cJSON *args = both_names(in);
    (void) cJSON_AddNumberToObject(args, "grace_ms", (double) grace);
    int r = client_simple("vm.session.stop", args, &session, &e);
    if (r == 0)
        r = wait_end(in, grace, &session, &e);
    if (r < 0)
        cJSON_Delete(session);
    return changed(in, r, session, &e);
}

int command_session_kill(const struct invocation *in) {
    struct err e = {0};
    cJSON *session = NULL;
    const int64_t number = options_number(in, OPT_SIGNAL, SIGKILL);
    cJSON *args = both_names(in);
    (void) cJSON_AddNumberToObject(args, "signal", (double) number);
    int r = client_simple("vm.session.kill", args, &session, &e);
    if (r == 0 && number == SIGKILL)
        r = wait_end(in, 0, &session, &e);
    if (r < 0)
        cJSON_Delete(session);
    return changed(in, r, session, &e);
}

/* --- streams ------------------------------------------------------------------------------------ */

/* A request whose channel has the standard streams, `input` in place of the first; a signal ends it and nothing in
 * the guest. The exit status. */
static int stream(const char *op, cJSON *args, int input) {
    struct err e = {0};
    struct progress progress;
    const int streams[3] = {input, STDOUT_FILENO, STDERR_FILENO};
    progress_open(&progress, stderr, 0);
    struct session s = {.progress = &progress, .options = {.input = input >= 0, .streams = streams}};
    struct client_call call = {.op = op, .args = args, .progress = &progress, .event = session_event, .arg = &s};
    cJSON *result = NULL;
    int r = client_request(&call, &result, &e);
    int status = session_status(&s, r, result, &e);
    cJSON_Delete(result);
    return status;
}

int command_session_logs(const struct invocation *in) {
    cJSON *args = both_names(in);
    (void) cJSON_AddStringToObject(args, "stream", options_text(in, OPT_STREAM, "stdout"));
    (void) cJSON_AddBoolToObject(args, "follow", options_given(in, OPT_FOLLOW));
    int status = stream("vm.session.logs", args, -1);
    return status == EXIT_RUN ? EXIT_OWN : status;
}

/* The text as a line in a file of its own: it may be longer than a pipe. */
static int line_file(const char *text, struct err *e) {
    cleanup_fd int fd = memfd_create("line", MFD_CLOEXEC);
    if (fd < 0 || io_write(fd, text, strlen(text)) || io_write(fd, "\n", 1) || lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, errno, "cannot keep the text");
    return take_fd(&fd);
}

int command_session_send(const struct invocation *in) {
    struct err e = {0};
    cleanup_fd int line = in->argument_count > 2 ? line_file(in->arguments[2], &e) : -1;
    if (e.code)
        return session_failed(-e.code, &e);
    cJSON *args = both_names(in);
    (void) cJSON_AddBoolToObject(args, "close", options_given(in, OPT_CLOSE));
    int status = stream("vm.session.send", args, line < 0 ? STDIN_FILENO : line);
    return status == EXIT_RUN ? EXIT_OWN : status;
}

int command_session_attach(const struct invocation *in) {
    char who[80];
    const char *terminal = isatty(STDIN_FILENO) ? ttyname(STDIN_FILENO) : NULL;
    (void) snprintf(who, sizeof(who), "banger with pid %d%s%.40s", (int) getpid(), terminal ? " on " : "",
                    terminal ? terminal : "");
    cJSON *args = both_names(in);
    (void) cJSON_AddStringToObject(args, "who", who);
    return stream("vm.session.attach", args, STDIN_FILENO);
}

/* --- acp ----------------------------------------------------------------------------------------- */

int command_acp(const struct invocation *in) {
    static const char *const command[] = {
        "/bin/sh", "-c",
        "command -v opencode >/dev/null || { echo 'banger: opencode is not in this guest: install it there, or "
        "use an image that has it' >&2; exit 127; }; exec opencode acp"};
    struct err e = {0};
    struct session s = {.options = {.input = 1}};
    cJSON *args = client_named(in->arguments[0]);
    (void) cJSON_AddItemToObject(args, "argv", list_of(command, sizeof(command) / sizeof(command[0])));
    (void) cJSON_AddStringToObject(args, "cwd", options_text(in, OPT_CWD, ""));
    struct client_call call = {.op = "vm.exec", .args = args, .event = session_event, .arg = &s};
    cJSON *result = NULL;
    int r = client_request(&call, &result, &e);
    int status = session_status(&s, r, result, &e);
    cJSON_Delete(result);
    return status;
}
