#include "session.h"

#include "output.h"
#include "signals.h"
#include "sync.h"
#include "terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char exec_details[] =
    "Without a command: a shell. The exit status is the command's, 128+n when signal n ended\n"
    "it, 125 when banger itself failed. Without --cwd it runs in the VM's workspace where it has one,\n"
    "through `mise exec` where that has a configuration of mise's and the guest has mise. Where the\n"
    "workspace cannot be entered a line says so and it runs in the home. --auto-prepare does nothing\n"
    "where tracked files, index, branch and commit of the repository are what they were; else it keeps\n"
    "what the guest changed as a commit under refs/banger/ in the guest's checkout.";

static void add_environment(const struct session *s, const struct invocation *in, cJSON *args) {
    cJSON *env = cJSON_AddArrayToObject(args, "env");
    const char *terminal = getenv("TERM");
    if (s->options.tty && terminal && strlen(terminal) < 64) {
        char text[80];
        (void) snprintf(text, sizeof(text), "TERM=%s", terminal);
        (void) cJSON_AddItemToArray(env, cJSON_CreateString(text));
    }
    for (size_t i = 0; i < in->list_count; i++)
        (void) cJSON_AddItemToArray(env, cJSON_CreateString(in->list[i]));
}

void session_arguments(struct session *s, const struct invocation *in, const char *cwd, cJSON *args) {
    static const char *const shell[] = {"/bin/sh", "-c", "command -v bash >/dev/null && exec bash -l; exec sh -l",
                                        NULL};
    int terminals = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    int is_shell = in->after_count == 0;
    s->options.tty = options_given(in, OPT_TTY) || (is_shell && terminals);
    s->options.input = s->options.tty || is_shell || options_given(in, OPT_INTERACTIVE) || !isatty(STDIN_FILENO) ||
                       strcmp(in->command->name, "run") == 0;
    cJSON *argv = cJSON_AddArrayToObject(args, "argv");
    for (const char *const *word = is_shell ? shell : (const char *const *) in->after; *word; word++)
        (void) cJSON_AddItemToArray(argv, cJSON_CreateString(*word));
    add_environment(s, in, args);
    (void) cJSON_AddStringToObject(args, "cwd", options_text(in, OPT_CWD, cwd));
    (void) cJSON_AddStringToObject(args, "user", options_text(in, OPT_USER, ""));
    (void) cJSON_AddBoolToObject(args, "tty", s->options.tty);
    uint16_t rows = 24, cols = 80;
    if (s->options.tty)
        terminal_size(&rows, &cols);
    (void) cJSON_AddNumberToObject(args, "rows", rows);
    (void) cJSON_AddNumberToObject(args, "cols", cols);
}

/* What it says is shown; the command's input is not its. */
static int session_prepare(struct session *s, int fd, struct err *e) {
    const struct channel_options options = {.input = s->prepare_input};
    if (s->progress)
        progress_finish(s->progress, 0);
    if (fd < 0)
        return err_set(e, EPROTO, "bangerd sent no channel for preparing the VM: run it again");
    int r = channel_run(fd, &options, &s->prepared, e);
    return r == 0 && s->prepared.interrupted ? -EINTR : r;
}

int session_event(const char *name, const cJSON *line, int fd, void *arg, struct err *e) {
    struct session *s = arg;
    int preparing = strcmp(name, "prepare") == 0;
    if (!preparing && strcmp(name, "exec") != 0) {
        if (fd >= 0)
            (void) close(fd);
        return 0;
    }
    if (preparing)
        return session_prepare(s, fd, e);
    const cJSON *vm = cJSON_GetObjectItemCaseSensitive(line, "vm");
    (void) snprintf(s->name, sizeof(s->name), "%s", output_member(vm, "name"));
    if (s->progress)
        progress_finish(s->progress, 0);
    if (fd < 0)
        return err_set(e, EPROTO, "bangerd sent no channel for the command: run it again");
    return channel_run(fd, &s->options, &s->end, e);
}

int session_failed(int r, const struct err *e) {
    if (r == -EINTR && signals_ending())
        return 128 + signals_ending();
    output_error(e);
    return EXIT_OWN;
}

int session_status(const struct session *s, int r, const cJSON *result, const struct err *e) {
    if (s->end.interrupted || s->prepared.interrupted)
        return 128 + (s->end.interrupted ? s->end.interrupted : s->prepared.interrupted);
    if (r < 0) {
        int own = session_failed(r, e) == EXIT_OWN ? EXIT_RUN : 128 + signals_ending();
        return s->end.exited && s->end.status != 0 ? s->end.status : own;
    }
    int64_t number = output_number(result, "signal");
    return (int) (number > 0 ? 128 + number : output_number(result, "exit_code"));
}

int command_exec(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    progress_open(&progress, stderr, 0);
    struct session s = {.progress = &progress};
    int r = sync_workspace(in, &progress, &e);
    if (r < 0)
        return session_status(&s, r, NULL, &e);
    cJSON *args = client_named(in->arguments[0]);
    session_arguments(&s, in, "", args);
    struct client_call call = {.op = "vm.exec", .args = args, .progress = &progress, .event = session_event, .arg = &s};
    cJSON *result = NULL;
    r = client_request(&call, &result, &e);
    int status = session_status(&s, r, result, &e);
    cJSON_Delete(result);
    return status;
}
