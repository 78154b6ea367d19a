/* The service "session" (session.h). */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_MS 20  /* between two looks at a session that is to end */
#define END_MS  500 /* so long it is waited for here: most are gone by then */

static struct agent_session session;
static int streams; /* the output is the user's: what we have to say is marked as ours */

static int refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int refuse(const char *fmt, ...) {
    va_list args;
    if (streams)
        (void) fputs("banger: ", stderr);
    va_start(args, fmt);
    (void) vfprintf(stderr, fmt, args);
    va_end(args);
    (void) fputc('\n', stderr);
    return streams ? 125 : 1;
}

/* How it ended, in a sentence's second half. */
static const char *outcome(void) {
    static char text[64];
    if (session.state == SESSION_EXITED)
        (void) snprintf(text, sizeof text, "exited with status %lld", session.code);
    else if (session.state == SESSION_KILLED)
        (void) snprintf(text, sizeof text, "was ended by signal %lld", session.code);
    else
        (void) snprintf(text, sizeof text, "ended with its guest");
    return text;
}

/* The folder of the session named so; else -1 after saying why. */
static int find(const char *name) {
    int folder = agent_session_open(name, &session);
    if (folder == -ENOENT)
        (void) refuse("there is no session %.63s", name);
    else if (folder < 0)
        (void) refuse("cannot look at session %.63s: %s", name, strerror(-folder));
    return folder < 0 ? -1 : folder;
}

/* The same of one that runs. */
static int find_running(const char *name) {
    int folder = find(name);
    if (folder < 0 || session.state == SESSION_RUNNING)
        return folder;
    (void) refuse("session %s does not run any more: it %s", name, outcome());
    (void) close(folder);
    return -1;
}

/* --- start ------------------------------------------------------------------------------ */

/* The OPEN on descriptor 0. */
static int open_read(struct agent_open *open) {
    static uint8_t payload[MUX_PAYLOAD_MAX + 1];
    size_t have = 0;
    ssize_t got = 1;
    while (got > 0 && have < sizeof payload) {
        got = read(STDIN_FILENO, payload + have, sizeof payload - have);
        have += got > 0 ? (size_t) got : 0;
    }
    return have > MUX_PAYLOAD_MAX ? -EINVAL : agent_open_parse(payload, have, open);
}

/* The command's folder, which becomes this process's, and whose path is the session's. 0, or 1 after saying why. */
static int folder_find(struct agent_open *open, const struct agent_user *user) {
    static char path[1024];
    const char *cwd = open->cwd;
    if (chdir("/") == 0 && (open->flags & MUX_OPEN_MAKE_CWD))
        agent_path_make(cwd, 0755);
    int entered = cwd[0] && chdir(cwd) == 0;
    if (!entered && cwd[0] && !(open->flags & MUX_OPEN_WORKSPACE))
        return refuse("cannot enter the folder %.200s in the guest: %s", cwd, strerror(errno));
    if (!entered && chdir(user->home) < 0) /* of a workspace that is not there the command's own log will tell */
        (void) !chdir("/");
    if (!getcwd(path, sizeof path))
        return refuse("cannot use the folder %.200s: %s", cwd, strerror(errno));
    if (entered)
        open->cwd = path;
    agent_session_escape(path, session.folder, sizeof session.folder);
    return 0;
}

static int is_program(const char *file) {
    struct stat about;
    return stat(file, &about) == 0 && S_ISREG(about.st_mode) && access(file, X_OK) == 0;
}

/* 1 when the command is there: by a path from this folder, or in PATH. */
static int is_there(const char *name, const char *path) {
    char file[4096];
    if (strchr(name, '/'))
        return is_program(name);
    while (name[0] && agent_path_next(&path, name, file, sizeof file))
        if (is_program(file))
            return 1;
    return 0;
}

/* The command and all that it is said to need. 0, or 1 after naming those that are missing. */
static int commands_find(const char *command, char *const required[], const char *path) {
    char missing[256] = "";
    size_t used = 0;
    const char *names[SESSION_REQUIRED_MAX + 2] = {command};
    for (size_t i = 0; i < SESSION_REQUIRED_MAX && required[i]; i++)
        names[i + 1] = required[i];
    for (size_t i = 0; names[i]; i++) {
        if (is_there(names[i], path))
            continue;
        int size = snprintf(missing + used, sizeof missing - used, "%s%.60s", used ? ", " : "", names[i]);
        used += size > 0 && (size_t) size < sizeof missing - used ? (size_t) size : 0;
    }
    return used ? refuse("not in the guest, so nothing was started: %s", missing) : 0;
}

/* Everything the command needs, before anything is made or started. */
static int look(struct agent_open *open, char *const required[]) {
    static struct agent_user user;
    if (agent_user_find(open->user, &user) < 0)
        return refuse("there is no user %.60s in the guest", open->user);
    if (folder_find(open, &user))
        return 1;
    char path[8192];
    char **envp = agent_environment(&user, 0, open->envp);
    if (!envp)
        return refuse("out of memory");
    char **tools = agent_tools_words(open, agent_path_of(envp), user.home);
    (void) snprintf(path, sizeof path, "%.4096s%s%s%s", agent_path_of(envp), tools ? ":" : "", tools ? user.home : "",
                    tools ? "/.local/share/mise/shims" : ""); /* mise has one for each program of its tools */
    free(tools);
    free(envp);
    return commands_find(open->argv[0], required, path);
}

static int start(int argc, char **argv) {
    struct agent_open open;
    char why[384] = "";
    int guard = -1;
    session = (struct agent_session){.piped = strcmp(argv[1], "pipe") == 0};
    if (argc > 2 + SESSION_REQUIRED_MAX)
        return refuse("more than %d commands are required: leave some out", SESSION_REQUIRED_MAX);
    if (!agent_session_name_good(argv[0]) || open_read(&open) < 0)
        return refuse("the request to start a session is malformed");
    (void) snprintf(session.name, sizeof session.name, "%s", argv[0]);
    if (look(&open, argv + 2))
        return 1;
    agent_session_command(open.argv, session.command);
    int folder = agent_session_make(&session, &guard, why, sizeof why);
    if (folder < 0)
        return refuse("%s", why);
    if (agent_session_start(folder, guard, &session, &open, why, sizeof why)) {
        agent_session_remove(session.name);
        return refuse("%.*s", (int) strcspn(why, "\n"), strncmp(why, "banger: ", 8) == 0 ? why + 8 : why);
    }
    agent_session_print(stdout, &session, SESSION_TEXT_MAX);
    return 0;
}

/* --- looking --------------------------------------------------------------------------------- */

static int list(int argc, char **argv) {
    (void) argc;
    (void) argv;
    struct agent_session *all = calloc(SESSIONS_MAX, sizeof *all);
    int count = all ? agent_session_all(all) : -ENOMEM;
    if (count < 0)
        return refuse("cannot look at the sessions: %s", strerror(-count));
    for (int i = 0; i < count; i++)
        agent_session_print(stdout, &all[i], SESSION_LIST_TEXT);
    return 0;
}

static int show(int argc, char **argv) {
    (void) argc;
    if (find(argv[0]) < 0)
        return 1;
    agent_session_print(stdout, &session, SESSION_TEXT_MAX);
    return 0;
}

static int logs(int argc, char **argv) {
    (void) argc;
    int folder = find(argv[0]);
    if (folder < 0)
        return 125;
    int code = agent_session_logs(folder, argv[1], argv[2][0] == '1');
    return code < 0 ? refuse("cannot read the log of session %s: %s", argv[0], strerror(-code)) : 0;
}

/* --- ending ------------------------------------------------------------------------------------ */

/* An order for the keeper. 0 or a negative errno. */
static int tell(int folder, uint32_t signal, uint32_t kill_within) {
    const struct agent_session_order order = {signal, kill_within};
    int fd = openat(folder, "control", O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int code = write(fd, &order, sizeof order) == sizeof order ? 0 : -errno;
    (void) close(fd);
    return code;
}

static void wait_end(int folder) {
    for (long long end = agent_now_ms() + END_MS; agent_session_kept(folder) && agent_now_ms() < end;)
        agent_sleep_ms(STEP_MS);
}

/* What has become of it. The order, whose error is `code`, may have come too late for a keeper that was ending. */
static int told(int folder, int code, int ending, char **argv) {
    if (code < 0 || ending)
        wait_end(folder);
    if (code < 0 && agent_session_kept(folder))
        return refuse("cannot signal session %s: %s", argv[0], strerror(-code));
    return show(1, argv);
}

/* The keeper has the patience: whoever asked may go. */
static int stop(int argc, char **argv) {
    (void) argc;
    const long grace = strtol(argv[1], NULL, 10);
    int folder = find_running(argv[0]);
    if (folder < 0)
        return 1;
    int code = tell(folder, SIGTERM, grace > 0 ? (uint32_t) grace : 1);
    if (code == 0)
        code = tell(folder, SIGCONT, 0);
    return told(folder, code, 1, argv);
}

static int kill_session(int argc, char **argv) {
    (void) argc;
    const long number = strtol(argv[1], NULL, 10);
    int folder = find_running(argv[0]);
    if (folder < 0)
        return 1;
    int code = number >= 1 && number <= 64 ? tell(folder, (uint32_t) number, 0) : -EINVAL;
    return told(folder, code, number == SIGKILL, argv);
}

/* --- talking ------------------------------------------------------------------------------------- */

static int copy_input(int to) {
    static char chunk[16384];
    ssize_t got = 0;
    while ((got = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
        for (ssize_t at = 0, put = 0; at < got; at += put) {
            put = write(to, chunk + at, (size_t) (got - at));
            if (put < 0 && errno != EINTR)
                return -errno;
            put = put < 0 ? 0 : put;
        }
    return got < 0 ? -errno : 0;
}

static int send_input(int argc, char **argv) {
    (void) argc;
    int folder = find_running(argv[0]);
    if (folder < 0)
        return 125;
    int to = session.piped ? openat(folder, "stdin", O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (!session.piped)
        return refuse("session %s takes no input: it was started without --stdin-mode pipe", argv[0]);
    if (to < 0)
        return refuse("session %s takes no input any more: it has been closed", argv[0]);
    (void) fcntl(to, F_SETFL, O_WRONLY); /* what it does not read waits */
    int code = copy_input(to);
    if (code == 0 && argv[1][0] == '1')
        code = tell(folder, 0, 0);
    (void) close(to);
    return code < 0 ? refuse("session %s did not take all of it: %s", argv[0], strerror(-code)) : 0;
}

/* Only one at a time: two would share its input. */
static int attach(int argc, char **argv) {
    (void) argc;
    int folder = find_running(argv[0]);
    if (folder < 0)
        return 125;
    int lock = agent_session_lock(folder, "attach");
    if (lock == -EAGAIN)
        return refuse("session %s is attached already: %s", argv[0],
                      session.attached[0] ? session.attached : "to somebody else");
    if (lock < 0 || ftruncate(lock, 0) < 0 || write(lock, argv[1], strlen(argv[1])) < 0)
        return refuse("cannot attach to session %s: %s", argv[0], strerror(lock < 0 ? -lock : errno));
    int code = agent_session_attach(folder);
    if (code < 0)
        return refuse("cannot follow session %s: %s", argv[0], strerror(-code));
    (void) close(folder);
    folder = agent_session_open(argv[0], &session);
    if (folder < 0 || session.state == SESSION_RUNNING || session.state == SESSION_LOST)
        return refuse("session %s is gone", argv[0]);
    return (int) (session.state == SESSION_KILLED ? 128 + session.code : session.code);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    int words, streams; /* at least so many */
} verbs[] = {
    {"start", start, 2, 0}, {"list", list, 0, 0},         {"show", show, 1, 0},       {"logs", logs, 3, 1},
    {"stop", stop, 2, 0},   {"kill", kill_session, 2, 0}, {"send", send_input, 2, 1}, {"attach", attach, 2, 1},
};

int service_session(int argc, char **argv) {
    (void) signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].words) {
            streams = verbs[i].streams;
            return verbs[i].run(argc - 2, argv + 2);
        }
    return refuse("this agent does not know how to do that with a session");
}
