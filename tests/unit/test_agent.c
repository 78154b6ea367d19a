/* The guest's agent as a real process, driven over a socketpair as the engine would. */
#include "../../common/io.h"
#include "../../guest/agent/agent.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 20000 };

static int port = -1;
static pid_t agent;

/* One frame as it came. */
struct frame {
    struct mux_header header;
    uint8_t payload[MUX_PAYLOAD_MAX];
};

static void say(enum mux_type type, uint32_t channel, const void *payload, size_t length) {
    struct mux_header header = {
        .magic = MUX_MAGIC, .type = (uint8_t) type, .channel = channel, .length = (uint32_t) length};
    cr_assert_eq(io_write(port, &header, sizeof header), 0);
    if (length)
        cr_assert_eq(io_write(port, payload, length), 0);
}

static void hear(struct frame *frame) {
    cr_assert_eq(io_wait(port, POLLIN, WAIT_MS), 0, "the agent says nothing");
    cr_assert_eq(io_read(port, &frame->header, sizeof frame->header), 0);
    cr_assert(!mux_header_bad(&frame->header));
    cr_assert_eq(io_read(port, frame->payload, frame->header.length), 0);
}

/* Sends HELLO and throws away all up to its WELCOME. */
static void greet(uint8_t mark) {
    struct mux_hello hello = {.version = MUX_VERSION};
    struct mux_welcome welcome;
    memset(hello.nonce, mark, sizeof hello.nonce);
    say(MUX_HELLO, 0, &hello, sizeof hello);
    for (struct frame frame;;) {
        hear(&frame);
        if (frame.header.type != MUX_WELCOME)
            continue;
        cr_assert_eq(frame.header.length, sizeof welcome);
        memcpy(&welcome, frame.payload, sizeof welcome);
        if (memcmp(welcome.nonce, hello.nonce, sizeof welcome.nonce) != 0)
            continue;
        cr_assert_eq(welcome.version, MUX_VERSION);
        cr_assert_eq(strlen(welcome.boot_id), 36);
        cr_assert(strncmp(welcome.build, BANGER_VERSION, strlen(BANGER_VERSION)) == 0);
        return;
    }
}

static void setup(void) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    agent = fork();
    cr_assert(agent >= 0);
    if (agent == 0) {
        (void) close(pair[0]);
        _exit(agent_serve((struct agent_port){pair[1], -1}) == 0 ? 0 : 1);
    }
    (void) close(pair[1]);
    port = pair[0];
    greet(1);
}

static void teardown(void) {
    (void) close(port);
    if (agent <= 0)
        return;
    (void) kill(agent, SIGKILL);
    (void) waitpid(agent, NULL, 0);
}

/* An OPEN: "cwd\0user\0" and the arguments and variables as lists that end in NULL. */
static void open_channel(uint32_t channel, uint32_t flags, const char *cwd, const char *user, const char *const argv[],
                         const char *const envp[]) {
    uint8_t payload[4096];
    struct mux_open open = {.flags = flags, .rows = 24, .cols = 80};
    size_t size = sizeof open;
    const char *const head[] = {cwd, user, NULL};
    const char *const *lists[] = {head, argv, envp};
    for (int i = 0; i < 3; i++)
        for (const char *const *at = lists[i]; at && *at; at++) {
            memcpy(payload + size, *at, strlen(*at) + 1);
            size += strlen(*at) + 1;
            open.argc += i == 1;
            open.envc += i == 2;
        }
    memcpy(payload, &open, sizeof open);
    say(MUX_OPEN, channel, payload, size);
}

static void shell(uint32_t channel, uint32_t flags, const char *script) {
    open_channel(channel, flags, "/", "", (const char *[]){"/bin/sh", "-c", script, NULL}, NULL);
}

/* What a command wrote and how it ended. */
struct result {
    char out[3][4096]; /* by stream; cut */
    size_t size[3];
    struct mux_exit exit;
};

static void window(uint32_t channel, uint32_t stream, size_t credit) {
    struct mux_window add = {.stream = stream, .credit = (uint32_t) credit};
    say(MUX_WINDOW_ADD, channel, &add, sizeof add);
}

static struct result finish(uint32_t channel) {
    struct result result = {0};
    for (struct frame frame;;) {
        hear(&frame);
        if (frame.header.channel != channel)
            continue;
        if (frame.header.type == MUX_DATA) {
            uint8_t stream = frame.payload[0];
            size_t size = frame.header.length - 1;
            cr_assert(stream == 1 || stream == 2);
            if (result.size[stream] + size < sizeof result.out[stream])
                memcpy(result.out[stream] + result.size[stream], frame.payload + 1, size);
            result.size[stream] += size;
            window(channel, stream, size);
        } else if (frame.header.type == MUX_EXIT) {
            memcpy(&result.exit, frame.payload, sizeof result.exit);
            return result;
        }
    }
}

static void expect_exit(const struct result *result, uint32_t signaled, uint32_t code) {
    cr_assert_eq(result->exit.signaled, signaled, "signaled %u, code %u: %s", result->exit.signaled, result->exit.code,
                 result->out[2]);
    cr_assert_eq(result->exit.code, code, "code %u: %s", result->exit.code, result->out[2]);
}

TestSuite(agent, .init = setup, .fini = teardown, .timeout = 60);

Test(agent, exit_statuses) {
    static const struct {
        const char *script;
        uint32_t signaled, code;
    } cases[] = {{"exit 0", 0, 0}, {"exit 42", 0, 42}, {"kill -TERM $$", 1, SIGTERM}, {"kill -KILL $$", 1, SIGKILL}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shell(i + 1, 0, cases[i].script);
        struct result result = finish(i + 1);
        expect_exit(&result, cases[i].signaled, cases[i].code);
    }
}

Test(agent, what_cannot_start_says_why) {
    open_channel(1, 0, "", "", (const char *[]){"no-such-command-here", NULL}, NULL);
    struct result result = finish(1);
    expect_exit(&result, 0, 127);
    cr_assert_str_eq(result.out[2], "banger: no-such-command-here: command not found\n");
    open_channel(2, 0, "", "", (const char *[]){"/etc/passwd", NULL}, NULL);
    result = finish(2);
    expect_exit(&result, 0, 126);
    open_channel(3, 0, "", "no-such-user", (const char *[]){"true", NULL}, NULL);
    result = finish(3);
    expect_exit(&result, 0, 126);
    cr_assert_str_eq(result.out[2], "banger: no user no-such-user here\n");
    open_channel(4, 0, "/no/such/folder", "", (const char *[]){"true", NULL}, NULL);
    result = finish(4);
    expect_exit(&result, 0, 126);
    cr_assert(strstr(result.out[2], "/no/such/folder"));
    open_channel(5, MUX_OPEN_TTY, "", "", (const char *[]){"", NULL}, NULL);
    result = finish(5);
    expect_exit(&result, 0, 127);
    cr_assert_gt(result.size[1], 0, "with a terminal the reason goes to stream 1");
}

Test(agent, user_folder_and_environment) {
    open_channel(1, 0, "", "", (const char *[]){"sh", "-c", "pwd; echo $HOME:$USER:$FOO:$PATH; id -u", NULL},
                 (const char *[]){"FOO=bar", "PATH=/usr/bin:/bin", NULL});
    struct result result = finish(1);
    expect_exit(&result, 0, 0);
    cr_assert_str_eq(result.out[1], "/root\n/root:root:bar:/usr/bin:/bin\n0\n");
    if (geteuid() != 0)
        cr_skip_test("SKIP: other users can only be tried as root\n");
    open_channel(2, 0, "/", "nobody", (const char *[]){"sh", "-c", "id -un; id -u; echo $USER", NULL}, NULL);
    result = finish(2);
    cr_assert_str_eq(result.out[1], "nobody\n65534\nnobody\n");
}

/* `text` as a program, or a file without a use of its own. */
static void put(const char *folder, const char *name, const char *text) {
    char path[128];
    (void) snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    (void) close(fd);
}

Test(agent, workspace_that_is_not_there) {
    const char *const pwd[] = {"pwd", NULL};
    open_channel(1, MUX_OPEN_WORKSPACE, "/no/such/repo", "", pwd, NULL);
    struct result result = finish(1);
    expect_exit(&result, 0, 0);
    cr_assert_str_eq(result.out[1], "/root\n");
    cr_assert_str_eq(result.out[2], "banger: cannot enter the workspace /no/such/repo: No such file or directory: "
                                    "running in /root\n");
    open_channel(2, MUX_OPEN_WORKSPACE, "/tmp", "", pwd, NULL);
    result = finish(2);
    cr_assert_str_eq(result.out[1], "/tmp\n");
    cr_assert_eq(result.size[2], 0);
}

Test(agent, mise_where_the_workspace_asks_for_it) {
    char folder[] = "/tmp/agent.XXXXXX", path[128], bin[64];
    cr_assert(mkdtemp(folder));
    (void) snprintf(bin, sizeof bin, "%s/bin", folder);
    (void) snprintf(path, sizeof path, "PATH=/nowhere:%s:/usr/bin:/bin", bin);
    cr_assert_eq(mkdir(bin, 0755), 0);
    const char *const words[] = {"sh", "-c", "echo \"$0 $TOOLS\"; exit 3", "one two", NULL};
    const char *const env[] = {path, NULL};
    const struct {
        uint32_t flags;
        int asks, has;
        const char *said;
    } cases[] = {{MUX_OPEN_WORKSPACE, 0, 0, "one two \n"},
                 {MUX_OPEN_WORKSPACE, 1, 0, "one two \n"},
                 {MUX_OPEN_WORKSPACE, 0, 1, "one two \n"},
                 {MUX_OPEN_WORKSPACE, 1, 1, "one two exec --\n"},
                 {0, 1, 1, "one two \n"}};
    for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char file[96];
        if (cases[i].has)
            put(bin, "mise", "#!/bin/sh\nexport TOOLS=\"$1 $2\"\nshift 2\nexec \"$@\"\n");
        if (cases[i].asks)
            put(folder, ".tool-versions", "");
        open_channel(i + 1, cases[i].flags, folder, "", words, env);
        struct result result = finish(i + 1);
        expect_exit(&result, 0, 3);
        cr_expect_str_eq(result.out[1], cases[i].said, "case %u: %s", i, result.out[1]);
        (void) snprintf(file, sizeof file, "%s/mise", bin);
        (void) unlink(file);
        (void) snprintf(file, sizeof file, "%s/.tool-versions", folder);
        (void) unlink(file);
    }
    (void) rmdir(bin);
    (void) rmdir(folder);
}

Test(agent, stdout_and_stderr_are_apart) {
    shell(1, 0, "echo one; echo two >&2; cat");
    say(MUX_DATA, 1, "\0three", 6);
    say(MUX_EOF, 1, "\0", 1);
    struct result result = finish(1);
    expect_exit(&result, 0, 0);
    cr_assert_str_eq(result.out[1], "one\nthree");
    cr_assert_str_eq(result.out[2], "two\n");
}

/* 1 MiB of every byte value each way, within the windows. */
Test(agent, binary_both_ways) {
    enum { TOTAL = 1 << 20, PIECE = 30000 };
    uint8_t piece[PIECE + 1] = {0};
    size_t sent = 0, got = 0, credit = MUX_WINDOW;
    int ended = 0, exited = 0;
    open_channel(1, 0, "/", "", (const char *[]){"cat", NULL}, NULL);
    while (!exited) {
        while (sent < TOTAL && credit >= PIECE) {
            size_t size = TOTAL - sent < PIECE ? TOTAL - sent : PIECE;
            for (size_t i = 0; i < size; i++)
                piece[i + 1] = (uint8_t) ((sent + i) * 7 + (sent + i) / 256);
            say(MUX_DATA, 1, piece, size + 1);
            sent += size;
            credit -= size;
        }
        if (sent == TOTAL && !ended++)
            say(MUX_EOF, 1, "\0", 1);
        struct frame frame;
        hear(&frame);
        if (frame.header.type == MUX_WINDOW_ADD) {
            struct mux_window add;
            memcpy(&add, frame.payload, sizeof add);
            credit += add.credit;
        } else if (frame.header.type == MUX_DATA) {
            for (uint32_t i = 1; i < frame.header.length; i++, got++)
                cr_assert_eq(frame.payload[i], (uint8_t) (got * 7 + got / 256));
            window(1, 1, frame.header.length - 1);
        }
        exited = frame.header.type == MUX_EXIT;
    }
    cr_assert_eq(got, TOTAL);
}

/* A reader that gives no credit gets MUX_WINDOW bytes, and stops no other channel. */
Test(agent, output_waits_for_credit) {
    size_t got = 0;
    open_channel(1, 0, "/", "", (const char *[]){"head", "-c", "300000", "/dev/zero", NULL}, NULL);
    for (struct frame frame; got < MUX_WINDOW;) {
        hear(&frame);
        cr_assert_eq(frame.header.type, MUX_DATA);
        got += frame.header.length - 1;
    }
    cr_assert_eq(got, MUX_WINDOW);
    shell(2, 0, "exit 7");
    struct result result = finish(2);
    expect_exit(&result, 0, 7);
    window(1, 1, MUX_WINDOW);
    result = finish(1);
    expect_exit(&result, 0, 0);
    cr_assert_eq(result.size[1], 300000 - MUX_WINDOW);
}

Test(agent, too_much_input_ends_the_command) {
    static uint8_t piece[30001];
    open_channel(1, 0, "/", "", (const char *[]){"sleep", "100", NULL}, NULL);
    for (int i = 0; i < 8; i++)
        say(MUX_DATA, 1, piece, sizeof piece);
    struct result result = finish(1);
    expect_exit(&result, 1, SIGKILL);
}

Test(agent, exit_does_not_wait_for_background_processes) {
    shell(1, 0, "sleep 30 & echo here");
    long long start = io_now_ms();
    struct result result = finish(1);
    expect_exit(&result, 0, 0);
    cr_assert_str_eq(result.out[1], "here\n");
    cr_assert_lt(io_now_ms() - start, 10000);
}

Test(agent, terminal_with_size_and_resize) {
    struct mux_resize resize = {.rows = 50, .cols = 132};
    shell(1, MUX_OPEN_TTY, "stty size; tty; read line; stty size; exit 3");
    struct frame frame;
    hear(&frame);
    cr_assert_eq(frame.header.type, MUX_DATA);
    say(MUX_RESIZE, 1, &resize, sizeof resize);
    say(MUX_DATA, 1, "\0\n", 3);
    struct result result = finish(1);
    char all[8192];
    (void) snprintf(all, sizeof all, "%.*s%s", (int) frame.header.length - 1, (char *) frame.payload + 1,
                    result.out[1]);
    expect_exit(&result, 0, 3);
    cr_assert(strstr(all, "24 80\r\n"), "%s", all);
    cr_assert(strstr(all, "/dev/pts/"), "%s", all);
    cr_assert(strstr(all, "50 132\r\n"), "%s", all);
}

Test(agent, terminal_interrupt_reaches_the_command) {
    shell(1, MUX_OPEN_TTY, "echo ready; exec sleep 100"); /* dash loses the interrupt of a child it is forking */
    struct frame frame;
    hear(&frame);
    say(MUX_DATA, 1, "\0\003", 2);
    struct result result = finish(1);
    expect_exit(&result, 1, SIGINT);
}

Test(agent, signal_reaches_the_group) {
    struct mux_signal number = {.signal = SIGTERM};
    shell(1, 0, "echo ready; sleep 100 | cat");
    struct frame frame;
    hear(&frame);
    say(MUX_SIGNAL, 1, &number, sizeof number);
    struct result result = finish(1);
    expect_exit(&result, 1, SIGTERM);
}

/* The process of a shell that says its number first. */
static pid_t started(uint32_t channel, const char *script) {
    struct frame frame;
    shell(channel, 0, script);
    hear(&frame);
    cr_assert_eq(frame.header.type, MUX_DATA);
    char text[32] = "";
    memcpy(text, frame.payload + 1, frame.header.length - 1 < 31 ? frame.header.length - 1 : 31);
    return (pid_t) strtol(text, NULL, 10);
}

static void expect_gone(pid_t pid, int within_ms) {
    for (long long end = io_now_ms() + within_ms; io_now_ms() < end;) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return;
        (void) poll(NULL, 0, 20);
    }
    cr_assert_fail("process %d is still there", (int) pid);
}

Test(agent, close_hangs_up_then_kills) {
    pid_t stubborn = started(1, "trap '' HUP; echo $$; while :; do sleep 1; done");
    pid_t meek = started(2, "echo $$; exec sleep 100");
    say(MUX_CLOSE, 1, NULL, 0);
    say(MUX_CLOSE, 2, NULL, 0);
    expect_gone(meek, 1500);
    expect_gone(stubborn, 8000);
    shell(1, 0, "exit 9"); /* its number is free again */
    struct result result = finish(1);
    expect_exit(&result, 0, 9);
}

Test(agent, hello_in_the_middle_of_a_frame_starts_anew) {
    pid_t old = started(1, "echo $$; exec sleep 100");
    struct mux_header cut = {.magic = MUX_MAGIC, .type = MUX_DATA, .channel = 1, .length = 30000};
    cr_assert_eq(io_write(port, &cut, sizeof cut), 0);
    cr_assert_eq(io_write(port, "\0abc", 4), 0);
    static const uint8_t padding[MUX_PAD];
    cr_assert_eq(io_write(port, padding, sizeof padding), 0);
    greet(2);
    expect_gone(old, 3000);
    shell(1, 0, "exit 5");
    struct result result = finish(1);
    expect_exit(&result, 0, 5);
}

Test(agent, garbage_is_passed_over) {
    uint8_t noise[5000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t) (i * 131 + i / 7 + 1);
    cr_assert_eq(io_write(port, noise, sizeof noise), 0);
    cr_assert_eq(io_write(port, "\xba\xba\xba\x01", 4), 0);
    greet(3);
    shell(1, 0, "exit 6");
    struct result result = finish(1);
    expect_exit(&result, 0, 6);
}

/* An OPEN that a disconnect cut and padding filled up must not run as a shorter command. */
Test(agent, a_cut_open_never_runs) {
    static const char whole[] = "\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0\0sh\0-c\0exit 0; echo never";
    uint8_t payload[sizeof whole];
    for (size_t keep = sizeof(struct mux_open); keep < sizeof whole - 1; keep++) {
        struct agent_open open;
        memset(payload, 0, sizeof payload);
        memcpy(payload, whole, keep);
        cr_assert_neq(agent_open_parse(payload, sizeof payload, &open), 0, "cut after %zu bytes", keep);
    }
    struct agent_open open;
    cr_assert_eq(agent_open_parse((const uint8_t *) whole, sizeof whole, &open), 0);
    cr_assert_str_eq(open.argv[2], "exit 0; echo never");
    agent_open_free(&open);
}

Test(agent, ping_is_answered) {
    struct frame frame;
    say(MUX_PING, 0, "12345678", 8);
    hear(&frame);
    cr_assert_eq(frame.header.type, MUX_PONG);
    cr_assert_eq(memcmp(frame.payload, "12345678", 8), 0);
}

Test(agent, channels_are_bounded) {
    for (uint32_t i = 1; i <= AGENT_CHANNELS_MAX; i++)
        open_channel(i, 0, "/", "", (const char *[]){"sleep", "100", NULL}, NULL);
    shell(1000, 0, "exit 0");
    struct result result = finish(1000);
    expect_exit(&result, 0, 126);
    cr_assert(strstr(result.out[2], "too many commands"));
}

Test(agent, term_ends_it_and_its_commands) {
    pid_t old = started(1, "trap '' TERM HUP; echo $$; while :; do sleep 1; done");
    cr_assert_eq(kill(agent, SIGTERM), 0);
    int status = -1;
    cr_assert_eq(waitpid(agent, &status, 0), agent);
    cr_assert_eq(status, 0);
    agent = 0;
    expect_gone(old, 1000);
}

Test(agent_cmdline, takes_its_own_words) {
    struct agent_cmdline out;
    agent_cmdline_parse("quiet banger.addr=172.16.0.2/22 xbanger.gw=1 banger.gw=172.16.0.1 banger.name=web\n", &out);
    cr_assert_str_eq(out.address, "172.16.0.2/22");
    cr_assert_str_eq(out.gateway, "172.16.0.1");
    cr_assert_str_eq(out.name, "web");
    cr_assert_str_eq(out.dns, "");
    agent_cmdline_parse("banger.gw6=fd62:616e:6765::ac10:1 banger.addr6=fd62:616e:6765::ac10:2/118", &out);
    cr_assert_str_eq(out.address6, "fd62:616e:6765::ac10:2/118");
    cr_assert_str_eq(out.gateway6, "fd62:616e:6765::ac10:1");
    cr_assert_str_eq(out.address, "");
    agent_cmdline_parse("banger.addr=111111111111111111111111111111111111111111111111 banger.dns=1.2.3.4", &out);
    cr_assert_str_eq(out.address, "");
    cr_assert_str_eq(out.dns, "1.2.3.4");
}

/* Whether agent_port_wait() is content with `fd`. */
static int greeted(int fd) {
    pid_t child = fork();
    if (child == 0) {
        agent_port_wait(&(struct agent_port){fd, -1});
        _exit(0);
    }
    (void) usleep(100000);
    int ended = waitpid(child, NULL, WNOHANG) == child;
    if (!ended) {
        (void) kill(child, SIGKILL);
        (void) waitpid(child, NULL, 0);
    }
    return ended;
}

/* The disks may still be copied then. virtio_console's poll says POLLIN and POLLHUP of such a port, as a socket does.
 */
Test(agent, port_that_the_host_has_not_opened_is_no_greeting) {
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert(!greeted(ends[0]));
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert(greeted(ends[0]));
    (void) close(ends[1]);
    cr_assert(!greeted(ends[0]));
    (void) close(ends[0]);
}

/* A virtio port may tell of the last host's end when the next one's HELLO has been read. */
Test(agent, a_cut_between_frames_costs_none) {
    static struct agent_parser parser;
    static const struct mux_header ping = {.magic = MUX_MAGIC, .type = MUX_PING};
    uint8_t hello[sizeof ping + sizeof(struct mux_hello)] = {0};
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_HELLO, .length = sizeof(struct mux_hello)};
    int frame = 0;
    memcpy(hello, &header, sizeof header);
    cr_assert_eq(agent_parser_feed(&parser, (const uint8_t *) &ping, 5, &frame), 5);
    agent_parser_cut(&parser); /* in a frame: only a HELLO comes after it */
    (void) agent_parser_feed(&parser, (const uint8_t *) &ping, sizeof ping, &frame);
    cr_assert_not(frame);
    cr_assert_eq(agent_parser_feed(&parser, hello, sizeof hello, &frame), sizeof hello);
    cr_assert(frame && parser.header.type == MUX_HELLO);
    agent_parser_cut(&parser);
    cr_assert_eq(agent_parser_feed(&parser, (const uint8_t *) &ping, sizeof ping, &frame), sizeof ping);
    cr_assert(frame && parser.header.type == MUX_PING);
}
