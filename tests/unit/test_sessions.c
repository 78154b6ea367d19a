/* Sessions: the service of the guest's agent with real processes, and the host's reader of what it says. */
#include "../../common/io.h"
#include "../../guest/agent/session.h"
#include "../../unpriv/vm/guest_sessions.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 20000 };

static char base[64];

/* What a service said and how it ended. */
static struct said {
    char out[65536], err[4096];
    int status;
} said;

static void setup(void) {
    (void) snprintf(base, sizeof base, "/tmp/sessions.XXXXXX");
    cr_assert(mkdtemp(base));
    agent_session_base = base;
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* a keeper that is left over is ours */
}

/* Ends what a test left running, by the numbers that the sessions say. */
static void teardown(void) {
    struct agent_session *all = calloc(SESSIONS_MAX, sizeof *all);
    int count = agent_session_all(all);
    for (int i = 0; i < count; i++) {
        if (all[i].state == SESSION_RUNNING)
            (void) kill((pid_t) -all[i].pid, SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    for (int i = 0; i < count; i++)
        agent_session_remove(all[i].name);
    free(all);
    char lock[96];
    (void) snprintf(lock, sizeof lock, "%s/.lock", base);
    (void) unlink(lock);
    cr_expect_eq(rmdir(base), 0, "something is left in %s", base);
}

static size_t read_all(int fd, char *text, size_t size) {
    size_t have = 0;
    for (ssize_t got; have < size - 1 && (got = read(fd, text + have, size - 1 - have)) > 0;)
        have += (size_t) got;
    text[have] = '\0';
    (void) close(fd);
    return have;
}

/* Starts the service in a process of its own, its streams at `ours`. */
static pid_t begin(const char *const words[], int ours[3]) {
    int pipes[3][2];
    char *argv[64] = {(char *) "session"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *) words[argc - 1];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pipe2(pipes[i], O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        for (int i = 0; i < 3; i++)
            (void) dup2(pipes[i][i > 0], i);
        (void) close_range(3, ~0u, 0);  /* as the exec in the guest would */
        (void) signal(SIGHUP, SIG_DFL); /* whoever runs the tests may have nohup */
        int status = agent_service(argc, argv);
        (void) fflush(stderr);
        _exit(status);
    }
    for (int i = 0; i < 3; i++) {
        (void) close(pipes[i][i > 0]);
        ours[i] = pipes[i][i == 0];
    }
    return pid;
}

static int finish(pid_t pid, const int ours[3]) {
    int status = 0;
    (void) read_all(ours[1], said.out, sizeof said.out);
    (void) read_all(ours[2], said.err, sizeof said.err);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    said.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return said.status;
}

static int ask(const void *input, size_t size, const char *const words[]) {
    int ours[3];
    pid_t pid = begin(words, ours);
    cr_assert_eq(io_write(ours[0], input, size), 0);
    (void) close(ours[0]);
    return finish(pid, ours);
}
#define ASK(...) ask("", 0, (const char *const[]){__VA_ARGS__, NULL})

/* An OPEN for `sh -c SCRIPT`, or of the words after it where there is none. */
static size_t pack(uint8_t *payload, const char *cwd, const char *const words[]) {
    struct mux_open open = {0};
    size_t size = sizeof open;
    (void) snprintf((char *) payload + size, 256, "%s", cwd);
    size += strlen(cwd) + 1;
    payload[size++] = '\0';
    for (; words[open.argc]; open.argc++) {
        memcpy(payload + size, words[open.argc], strlen(words[open.argc]) + 1);
        size += strlen(words[open.argc]) + 1;
    }
    memcpy(payload, &open, sizeof open);
    return size;
}

static int start(const char *name, const char *mode, const char *script) {
    uint8_t payload[4096];
    size_t size = pack(payload, "/tmp", (const char *const[]){"sh", "-c", script, NULL});
    return ask(payload, size, (const char *const[]){"start", name, mode, NULL});
}

/* The one session that was said, as the host reads it. */
static const struct guest_session *heard(void) {
    static struct guest_session list[GUEST_SESSIONS_MAX];
    struct err e = {0};
    cr_assert_eq(guest_sessions_parse(said.out, list, &e), 1, "%s: %s", e.text, said.out);
    return &list[0];
}

static const struct guest_session *look(const char *name) {
    cr_assert_eq(ASK("show", name), 0, "%s", said.err);
    return heard();
}

static const struct guest_session *until_ended(const char *name) {
    const struct guest_session *session = look(name);
    for (long long end = io_now_ms() + WAIT_MS; session->state == GUEST_SESSION_RUNNING; session = look(name)) {
        cr_assert_lt(io_now_ms(), end, "session %s does not end", name);
        (void) poll(NULL, 0, 20);
    }
    return session;
}

static const char *logs(const char *name, const char *stream_name) {
    cr_assert_eq(ASK("logs", name, stream_name, "0"), 0, "%s", said.err);
    return said.out;
}

TestSuite(sessions, .init = setup, .fini = teardown, .timeout = 120);

Test(sessions, one_from_start_to_end) {
    cr_assert_eq(start("web", "detached", "echo out; echo err >&2; read x || exit 7"), 0, "%s", said.err);
    const struct guest_session *session = heard();
    cr_expect_str_eq(session->name, "web");
    cr_expect_eq(session->state, GUEST_SESSION_RUNNING);
    cr_expect_str_eq(session->folder, "/tmp");
    cr_expect_str_eq(session->command, "sh -c 'echo out; echo err >&2; read x || exit 7'");
    session = until_ended("web");
    cr_expect(session->state == GUEST_SESSION_EXITED && session->code == 7);
    cr_expect(session->started > 0 && session->ended >= session->started && !session->piped);
    cr_expect_str_eq(logs("web", "stdout"), "out\n");
    cr_expect_str_eq(logs("web", "stderr"), "err\n");
}

Test(sessions, outlive_who_started_them) {
    cr_assert_eq(start("long", "pipe", "trap '' HUP; echo $$; while read line; do echo \"got $line\"; done; exit 4"),
                 0);
    const pid_t pid = (pid_t) heard()->pid;
    cr_expect_eq(getpgid(pid), pid, "a group of its own");
    cr_expect_neq(getsid(pid), getsid(0));
    cr_assert_eq(ask("one\ntwo\n", 8, (const char *const[]){"send", "long", "0", NULL}), 0, "%s", said.err);
    cr_assert_eq(ask("three\n", 6, (const char *const[]){"send", "long", "1", NULL}), 0, "%s", said.err);
    const struct guest_session *session = until_ended("long");
    cr_expect(session->state == GUEST_SESSION_EXITED && session->code == 4 && session->piped);
    cr_expect_not_null(strstr(logs("long", "stdout"), "got one\ngot two\ngot three\n"), "%s", said.out);
    cr_expect_eq(ASK("send", "long", "0"), 125);
    cr_expect_not_null(strstr(said.err, "does not run any more: it exited with status 4"), "%s", said.err);
}

Test(sessions, what_is_missing_is_named_and_nothing_starts) {
    uint8_t payload[4096];
    size_t size = pack(payload, "/tmp", (const char *const[]){"sh", "-c", "true", NULL});
    cr_expect_eq(
        ask(payload, size, (const char *const[]){"start", "a", "pipe", "cat", "no-such-tool", "nor-that", NULL}), 1);
    cr_expect_str_eq(said.err, "not in the guest, so nothing was started: no-such-tool, nor-that\n");
    size = pack(payload, "/tmp", (const char *const[]){"no-such-command", NULL});
    cr_expect_eq(ask(payload, size, (const char *const[]){"start", "a", "pipe", NULL}), 1);
    cr_expect_str_eq(said.err, "not in the guest, so nothing was started: no-such-command\n");
    size = pack(payload, "/no/such/folder", (const char *const[]){"sh", NULL});
    cr_expect_eq(ask(payload, size, (const char *const[]){"start", "a", "pipe", NULL}), 1);
    cr_expect_str_eq(said.err, "cannot enter the folder /no/such/folder in the guest: No such file or directory\n");
    size = pack(payload, "/etc", (const char *const[]){"./passwd", NULL});
    cr_expect_eq(ask(payload, size, (const char *const[]){"start", "a", "pipe", NULL}), 1);
    cr_expect_eq(ask(payload, 9, (const char *const[]){"start", "a", "pipe", NULL}), 1, "a cut OPEN");
    cr_expect_eq(ASK("list"), 0);
    cr_expect_str_eq(said.out, "");
    cr_expect_eq(ASK("show", "a"), 1);
    cr_expect_str_eq(said.err, "there is no session a\n");
    cr_expect_eq(ASK("show", "../a"), 1);
}

Test(sessions, a_name_in_use_is_refused_and_an_ended_one_used_again) {
    cr_assert_eq(start("twice", "detached", "sleep 100"), 0);
    cr_expect_eq(start("twice", "detached", "true"), 1);
    cr_expect_not_null(strstr(said.err, "session twice runs already"), "%s", said.err);
    cr_assert_eq(ASK("kill", "twice", "15"), 0, "%s", said.err);
    const struct guest_session *session = until_ended("twice");
    cr_expect(session->state == GUEST_SESSION_KILLED && session->code == SIGTERM);
    cr_expect_eq(ASK("kill", "twice", "15"), 1);
    cr_assert_eq(start("twice", "detached", "echo anew"), 0, "%s", said.err);
    (void) until_ended("twice");
    cr_expect_str_eq(logs("twice", "stdout"), "anew\n");
}

Test(sessions, stop_asks_then_kills_the_whole_group) {
    cr_assert_eq(start("meek", "detached", "sleep 100"), 0);
    cr_assert_eq(ASK("stop", "meek", "10000"), 0, "%s", said.err);
    cr_expect(heard()->state == GUEST_SESSION_KILLED && heard()->code == SIGTERM);
    cr_assert_eq(start("deaf", "detached", "trap '' TERM; sleep 100 & echo $!; wait; wait; sleep 100"), 0);
    const char *text = "";
    for (long long end = io_now_ms() + WAIT_MS; !*text && io_now_ms() < end; text = logs("deaf", "stdout"))
        (void) poll(NULL, 0, 20);
    pid_t child = (pid_t) strtol(text, NULL, 10);
    cr_assert(child > 0 && kill(child, 0) == 0);
    cr_assert_eq(ASK("stop", "deaf", "200"), 0, "%s", said.err);
    cr_expect(heard()->state == GUEST_SESSION_KILLED && heard()->code == SIGKILL);
    while (waitpid(child, NULL, WNOHANG) == 0)
        (void) poll(NULL, 0, 10);
    cr_expect(kill(child, 0) < 0 && errno == ESRCH);
}

/* The keeper has the patience, and the shortest that it was asked for. */
Test(sessions, stop_holds_nobody_up) {
    cr_assert_eq(start("deaf", "detached", "trap '' TERM; while :; do sleep 1; done"), 0);
    cr_assert_eq(ASK("stop", "deaf", "600000"), 0, "%s", said.err);
    cr_expect_eq(heard()->state, GUEST_SESSION_RUNNING);
    cr_assert_eq(ASK("stop", "deaf", "900"), 0, "%s", said.err);
    cr_assert_eq(ASK("stop", "deaf", "600000"), 0, "%s", said.err);
    const struct guest_session *session = until_ended("deaf");
    cr_expect(session->state == GUEST_SESSION_KILLED && session->code == SIGKILL);
}

Test(sessions, what_a_command_leaves_behind_ends_with_it) {
    cr_assert_eq(start("parent", "detached", "sleep 100 & echo $!"), 0);
    (void) until_ended("parent");
    pid_t child = (pid_t) strtol(logs("parent", "stdout"), NULL, 10);
    cr_assert_gt(child, 0);
    cr_assert_eq(waitpid(child, NULL, 0), child, "this process is the subreaper");
}

/* 9 MiB of numbered lines: the newest are kept, in files of a bounded size. */
Test(sessions, logs_are_bounded) {
    cr_assert_eq(start("chatty", "detached", "seq 1300000"), 0);
    (void) until_ended("chatty");
    off_t sum = 0;
    static const char *const names[] = {"stdout", "stdout.1"};
    for (int i = 0; i < 2; i++) {
        struct stat st;
        char path[128];
        (void) snprintf(path, sizeof path, "%s/chatty/%s", base, names[i]);
        cr_assert_eq(stat(path, &st), 0);
        cr_expect_leq(st.st_size, (off_t) SESSION_LOG_MAX);
        sum += st.st_size;
    }
    cr_expect_geq(sum, (off_t) SESSION_LOG_MAX);
    int ours[3];
    pid_t pid = begin((const char *const[]){"logs", "chatty", "stdout", "0", NULL}, ours);
    FILE *file = fdopen(ours[1], "r");
    char line[64];
    long last = 0, lines = 0;
    off_t bytes = 0;
    while (fgets(line, sizeof line, file)) {
        long number = strtol(line, NULL, 10);
        cr_assert(lines++ <= 1 || number == last + 1, "%ld after %ld", number, last); /* the first may be cut */
        last = number;
        bytes += (off_t) strlen(line);
    }
    (void) fclose(file);
    cr_expect_eq(last, 1300000);
    cr_expect_eq(bytes, sum);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* A follower gets every byte over many changes of the file, and its end. */
Test(sessions, logs_are_followed_over_new_files) {
    cr_assert_eq(start("flow", "pipe", "read x; i=0; while [ $i -lt 60 ]; do seq 20000; i=$((i+1)); sleep 0.02; done"),
                 0);
    int ours[3];
    pid_t pid = begin((const char *const[]){"logs", "flow", "stdout", "1", NULL}, ours);
    cr_assert_eq(ask("go\n", 3, (const char *const[]){"send", "flow", "0", NULL}), 0);
    FILE *file = fdopen(ours[1], "r");
    char line[64];
    long wanted = 1, rounds = 0;
    while (fgets(line, sizeof line, file)) {
        cr_assert_eq(strtol(line, NULL, 10), wanted);
        rounds += wanted == 20000;
        wanted = wanted % 20000 + 1;
    }
    (void) fclose(file);
    cr_expect_eq(rounds, 60);
    int status = -1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
}

Test(sessions, attach_is_for_one_and_ends_with_the_session) {
    cr_assert_eq(start("shell", "pipe", "echo before; while read x; do echo \"<$x>\"; echo \"[$x]\" >&2; done; exit 9"),
                 0);
    while (!*logs("shell", "stdout"))
        (void) poll(NULL, 0, 20);
    int ours[3];
    pid_t pid = begin((const char *const[]){"attach", "shell", "me, on a tty", NULL}, ours);
    while (strcmp(look("shell")->attached, "me, on a tty") != 0)
        (void) poll(NULL, 0, 20);
    cr_expect_eq(ASK("attach", "shell", "another"), 125);
    cr_expect_str_eq(said.err, "banger: session shell is attached already: me, on a tty\n");
    char answer[5] = "";
    cr_assert_eq(io_write(ours[0], "hi\n", 3), 0);
    cr_assert_eq(io_read(ours[1], answer, 5), 0);
    cr_expect_eq(memcmp(answer, "<hi>\n", 5), 0, "%.5s", answer);
    cr_assert_eq(io_read(ours[2], answer, 5), 0);
    cr_expect_eq(memcmp(answer, "[hi]\n", 5), 0, "%.5s", answer);
    cr_assert_eq(kill(pid, SIGHUP), 0); /* as the agent does with a client that is gone */
    cr_expect_eq(finish(pid, ours), -SIGHUP);
    (void) close(ours[0]);
    cr_expect_str_eq(look("shell")->attached, "");
    cr_expect_eq(look("shell")->state, GUEST_SESSION_RUNNING);
    pid = begin((const char *const[]){"attach", "shell", "me", NULL}, ours);
    cr_assert_eq(io_write(ours[0], "again\n", 6), 0);
    cr_assert_eq(io_read(ours[1], answer, 5), 0);
    cr_assert_eq(ASK("send", "shell", "1"), 0, "%s", said.err); /* while who is attached could still type */
    cr_expect_eq(finish(pid, ours), 9, "its own status: %s", said.err);
    (void) close(ours[0]);
    cr_expect_eq(ASK("attach", "shell", "me"), 125);
}

/* Until its log has been changed for a new one. */
static void until_long(const char *name) {
    char path[128];
    (void) snprintf(path, sizeof path, "%s/%s/stdout.1", base, name);
    for (long long end = io_now_ms() + WAIT_MS; access(path, F_OK) < 0; (void) poll(NULL, 0, 20))
        cr_assert_lt(io_now_ms(), end, "session %s writes nothing", name);
}

/* A client that is slower than the session: what it types arrives all the same. */
Test(sessions, attach_hears_its_client_over_a_flood) {
    cr_assert_eq(start("flood", "pipe", "echo up; yes & read x; kill $!; exit 6"), 0);
    until_long("flood");
    int ours[3], status = -1;
    pid_t pid = begin((const char *const[]){"attach", "flood", "me", NULL}, ours);
    char chunk[4096];
    for (int i = 0; read(ours[1], chunk, sizeof chunk) > 0; i++) {
        if (i == 100)
            cr_assert_eq(io_write(ours[0], "enough\n", 7), 0);
        if (i % 100 == 0 && look("flood")->state == GUEST_SESSION_RUNNING)
            (void) poll(NULL, 0, 100);
    }
    (void) read_all(ours[2], said.err, sizeof said.err);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 6, "%x: %s", (unsigned) status, said.err);
    (void) close(ours[0]);
    (void) close(ours[1]);
}

/* Without following it ends, also where the session writes faster than this reads. */
Test(sessions, logs_of_a_flood_end) {
    cr_assert_eq(start("flood", "detached", "exec yes"), 0);
    until_long("flood");
    int ours[3], status = -1;
    pid_t pid = begin((const char *const[]){"logs", "flood", "stdout", "0", NULL}, ours);
    char chunk[16384];
    size_t bytes = 0;
    for (ssize_t got; (got = read(ours[1], chunk, sizeof chunk)) > 0; bytes += (size_t) got) {
        cr_assert_leq(bytes, 2 * (size_t) SESSION_LOG_MAX);
        (void) poll(NULL, 0, 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    for (int i = 0; i < 3; i++)
        (void) close(ours[i]);
}

/* What the power leaves: a state without its bytes, and a folder without a state. */
Test(sessions, what_the_power_leaves_is_lost_or_removed) {
    char path[128];
    cr_assert_eq(start("young", "detached", "true"), 0);
    (void) until_ended("young");
    (void) snprintf(path, sizeof path, "%s/young/state", base);
    cr_assert_eq(truncate(path, 0), 0);
    cr_expect_eq(look("young")->state, GUEST_SESSION_LOST);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(ASK("show", "young"), 1);
    cr_assert_eq(start("next", "detached", "true"), 0, "%s", said.err);
    (void) snprintf(path, sizeof path, "%s/young", base);
    cr_expect(access(path, F_OK) < 0 && errno == ENOENT, "nobody would remove it");
}

Test(sessions, one_whose_keeper_is_gone_is_lost) {
    cr_assert_eq(start("orphan", "detached", "sleep 100"), 0);
    const pid_t pid = (pid_t) heard()->pid;
    char text[64], path[64];
    (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) pid);
    FILE *file = fopen(path, "re");
    cr_assert(file && fgets(text, sizeof text, file));
    (void) fclose(file);
    int keeper = 0;
    cr_assert_eq(sscanf(strrchr(text, ')') + 1, " %*c %d", &keeper), 1);
    cr_assert_eq(kill(keeper, SIGKILL), 0);
    cr_assert_eq(waitpid(keeper, NULL, 0), keeper);
    cr_expect_eq(look("orphan")->state, GUEST_SESSION_LOST);
    cr_expect_eq(look("orphan")->ended, 0);
    cr_assert_eq(kill(-pid, SIGKILL), 0);
    cr_expect_eq(start("orphan", "detached", "true"), 0, "its name is free again");
}

/* A keeper that is asked to end takes its command with it at once: the machine goes down. */
Test(sessions, a_keeper_told_to_end_does_not_hold_up) {
    cr_assert_eq(start("stubborn", "detached", "trap '' TERM HUP; while :; do sleep 1; done"), 0);
    char text[64], path[64];
    (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) heard()->pid);
    FILE *file = fopen(path, "re");
    cr_assert(file && fgets(text, sizeof text, file));
    (void) fclose(file);
    int keeper = 0;
    cr_assert_eq(sscanf(strrchr(text, ')') + 1, " %*c %d", &keeper), 1);
    cr_assert_eq(kill(keeper, SIGTERM), 0);
    cr_assert_eq(waitpid(keeper, NULL, 0), keeper);
    cr_expect(look("stubborn")->state == GUEST_SESSION_KILLED && look("stubborn")->code == SIGKILL);
}

Test(sessions, are_bounded_and_the_first_ended_goes) {
    char name[16];
    for (int i = 0; i < SESSIONS_MAX; i++) {
        (void) snprintf(name, sizeof name, "s%d", i);
        cr_assert_eq(start(name, "detached", i == 5 ? "exit 0" : "sleep 100"), 0, "%s", said.err);
    }
    (void) until_ended("s5");
    cr_assert_eq(start("more", "detached", "sleep 100"), 0, "%s", said.err);
    cr_expect_eq(ASK("show", "s5"), 1, "it made room");
    cr_expect_eq(start("too-many", "detached", "true"), 1);
    cr_expect_not_null(strstr(said.err, "64 sessions run, and more cannot"), "%s", said.err);
    cr_expect_eq(ASK("list"), 0);
    static struct guest_session list[GUEST_SESSIONS_MAX];
    cr_expect_eq(guest_sessions_parse(said.out, list, NULL), SESSIONS_MAX);
}

/* The list has less of a long text, and never a part of an escape. */
Test(sessions, long_texts_in_a_list_are_read) {
    char script[1024];
    for (size_t shift = 0; shift < 3; shift++) {
        (void) memset(script, 0x16, sizeof script);
        (void) memcpy(script, ": aaa", 2 + shift);
        script[700] = '\0';
        cr_assert_eq(start("long", "detached", script), 0, "%s", said.err);
        (void) until_ended("long");
        cr_assert_eq(ASK("list"), 0, "%s", said.err);
        cr_expect_not_null(strstr(heard()->command, "..."), "%s", heard()->command);
    }
}

/* --- the host's reader --------------------------------------------------------------------------- */

#define RECORD "session a\nstate exited\npid 1\ncode 3\nstarted 5\nended 6\ninput pipe\nfolder /x%%20y\ncommand %s\n"

static int parse(const char *command, struct guest_session *out) {
    char text[8192];
    (void) snprintf(text, sizeof text, RECORD, command);
    return guest_sessions_parse(text, out, NULL);
}

Test(guest_sessions, texts_are_safe_to_show) {
    static struct guest_session list[GUEST_SESSIONS_MAX];
    cr_assert_eq(parse("caf%c3%a9 %1b[2J %ff %25", list), 1);
    cr_expect_str_eq(list[0].command, "caf\xc3\xa9 ?[2J ? %");
    cr_expect_str_eq(list[0].folder, "/x y");
    cJSON *json = guest_session_json(&list[0]);
    cr_expect_eq(cJSON_GetObjectItem(json, "exit_code")->valueint, 3);
    cr_expect_str_eq(cJSON_GetObjectItem(json, "started")->valuestring, "1970-01-01T00:00:05Z");
    cJSON_Delete(json);
}

Test(guest_sessions, anything_else_is_refused) {
    static struct guest_session list[GUEST_SESSIONS_MAX];
    static const char *const bad[] = {"%", "%4", "%zz", "%00", "a\tb", "\x80", "%C3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(parse(bad[i], list), -EPROTO, "%s", bad[i]);
    cr_expect_eq(guest_sessions_parse("session A\n", list, NULL), -EPROTO);
    cr_expect_eq(guest_sessions_parse("x", list, NULL), -EPROTO);
    cr_expect_eq(guest_sessions_parse("", list, NULL), 0);
}
