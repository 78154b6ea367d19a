#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BACKOFF_MS 20 /* a port nobody has open polls as hung up, again and again */
#define READ_SIZE  32768u
/* The most one frame from the host makes us answer at once (frames of channels are queued by pump). */
#define ANSWER_ROOM 512u
/* Realtime before this (2020-01-01, ns) is no host's clock. */
#define CLOCK_FLOOR 1577836800000000000ull

static struct server {
    struct agent_port port;
    int signals, stopping;
    int greeted;
    int poweroff_tries;
    long long poweroff_at;
    long long port_after; /* agent_now_ms() from which the port is polled again */
    uint8_t in[READ_SIZE];
    size_t in_head, in_tail;
    unsigned turn; /* which channel comes first */
    struct agent_parser parser;
    struct agent_out out;
    struct agent_channel channels[AGENT_CHANNELS_MAX];
    size_t channels_end; /* one past the last channel in use */
} server;

static struct agent_channel *channel_find(uint32_t id) {
    for (size_t i = 0; i < server.channels_end; i++)
        if (server.channels[i].used && !server.channels[i].closing && server.channels[i].id == id)
            return &server.channels[i];
    return NULL;
}

static void channel_open(uint32_t id, const uint8_t *payload, size_t size) {
    if (channel_find(id))
        return;
    for (size_t i = 0; i < AGENT_CHANNELS_MAX; i++) {
        if (server.channels[i].used)
            continue;
        agent_channel_open(&server.channels[i], id, payload, size);
        if (i >= server.channels_end)
            server.channels_end = i + 1;
        return;
    }
    static const char text[] = "\002banger: too many commands run in this VM; wait until one ends\n";
    struct mux_exit end = {.code = 126};
    agent_out_frame(&server.out, MUX_DATA, id, text, sizeof text - 1);
    agent_out_frame(&server.out, MUX_EXIT, id, &end, sizeof end);
}

static void clock_follow(uint64_t realtime_ns) {
    struct timespec now,
        host = {.tv_sec = (time_t) (realtime_ns / 1000000000u), .tv_nsec = (long) (realtime_ns % 1000000000u)};
    if (realtime_ns < CLOCK_FLOOR || realtime_ns > INT64_MAX || clock_gettime(CLOCK_REALTIME, &now) < 0)
        return;
    int64_t off = (int64_t) realtime_ns - ((int64_t) now.tv_sec * 1000000000 + now.tv_nsec);
    if (off > 1000000000 || off < -1000000000)
        (void) clock_settime(CLOCK_REALTIME, &host);
}

static void hello(const uint8_t *payload, size_t size) {
    struct mux_hello hello;
    struct mux_welcome welcome = {.version = MUX_VERSION};
    if (size != sizeof hello)
        return;
    memcpy(&hello, payload, sizeof hello);
    for (size_t i = 0; i < server.channels_end; i++)
        if (server.channels[i].used && !server.channels[i].closing)
            agent_channel_close(&server.channels[i]);
    clock_follow(hello.realtime_ns);
    memcpy(welcome.nonce, hello.nonce, sizeof welcome.nonce);
    (void) agent_read_file("/proc/sys/kernel/random/boot_id", welcome.boot_id, sizeof welcome.boot_id);
    (void) snprintf(welcome.build, sizeof welcome.build, "%s", AGENT_BUILD);
    server.out.head = server.out.tail = 0; /* the host throws away all before the WELCOME */
    agent_out_frame(&server.out, MUX_WELCOME, 0, &welcome, sizeof welcome);
    server.greeted = 1;
}

static void poweroff_run(const char *const *command) {
    const struct agent_open open = {.cwd = "/", .user = "root", .argv = (char **) command, .envp = &(char *){NULL}};
    struct agent_process process;
    char reason[256];
    if (agent_spawn(&open, &process, reason, sizeof reason) == 0) {
        (void) close(process.in);
        (void) close(process.out);
        (void) close(process.err);
    } else {
        agent_log("%s", reason);
    }
}

/* Tells init to power off: systemd and banger's own by signal, others by their own program. */
static void poweroff(void) {
    char name[32] = "";
    (void) agent_read_file("/proc/1/comm", name, sizeof name);
    if (strcmp(name, "systemd") == 0 || strcmp(name, "banger-init") == 0) {
        (void) kill(1, agent_resets() ? SIGRTMIN + 5 : SIGRTMIN + 4);
        return;
    }
    char program[256] = "";
    ssize_t size = readlink("/proc/1/exe", program, sizeof program - 1);
    const char *slash = size > 0 ? strrchr(program, '/') : NULL;
    const char *const *command = agent_poweroff_command(slash ? slash + 1 : name);
    if (!command) {
        agent_log("%s has no program to power off with: the agent does it", name);
        agent_down(RB_POWER_OFF);
    }
    poweroff_run(command);
}

/* An init that is still starting may not hear the first one. */
static void poweroff_again(void) {
    if (server.poweroff_tries == 0 || agent_now_ms() < server.poweroff_at)
        return;
    poweroff();
    server.poweroff_tries--;
    server.poweroff_at = agent_now_ms() + 2000;
}

static void frame_link(const struct mux_header *header, const uint8_t *payload) {
    if (header->type == MUX_HELLO)
        hello(payload, header->length);
    else if (header->type == MUX_PING && server.greeted && header->length == 8)
        agent_out_frame(&server.out, MUX_PONG, 0, payload, 8);
    else if (header->type == MUX_ANSWER && server.greeted)
        agent_names_answer(payload, header->length);
    else if (header->type == MUX_POWEROFF && server.greeted && server.poweroff_tries == 0) {
        server.poweroff_tries = 5;
        server.poweroff_at = 0;
    }
}

static void frame_channel(const struct mux_header *header, const uint8_t *payload) {
    struct agent_channel *channel = channel_find(header->channel);
    size_t size = header->length;
    if (header->type == MUX_OPEN)
        channel_open(header->channel, payload, size);
    if (!channel)
        return; /* it has ended while the frame was on its way */
    if (header->type == MUX_DATA)
        agent_channel_data(channel, payload, size);
    else if (header->type == MUX_EOF)
        agent_channel_eof(channel, payload, size);
    else if (header->type == MUX_WINDOW_ADD)
        agent_channel_window(channel, payload, size);
    else if (header->type == MUX_RESIZE)
        agent_channel_resize(channel, payload, size);
    else if (header->type == MUX_SIGNAL)
        agent_channel_signal(channel, payload, size);
    else if (header->type == MUX_CLOSE)
        agent_channel_close(channel);
}

/* Acts on the bytes at hand while there is room for the answers. */
static void frames_take(void) {
    while (server.in_head < server.in_tail && agent_out_room(&server.out) >= ANSWER_ROOM) {
        int frame = 0;
        server.in_head +=
            agent_parser_feed(&server.parser, server.in + server.in_head, server.in_tail - server.in_head, &frame);
        if (!frame)
            continue;
        if (server.parser.header.channel == 0)
            frame_link(&server.parser.header, server.parser.payload);
        else if (server.greeted)
            frame_channel(&server.parser.header, server.parser.payload);
    }
}

/* Nobody is there any longer. */
static void port_cut(void) {
    agent_parser_cut(&server.parser);
    if (server.port.listener < 0) {
        server.port_after = agent_now_ms() + BACKOFF_MS;
    } else if (server.port.fd >= 0) {
        (void) close(server.port.fd);
        server.port.fd = -1;
    }
}

static void port_read(void) {
    if (server.in_head < server.in_tail)
        return;
    ssize_t got = read(server.port.fd, server.in, sizeof server.in);
    server.in_head = server.in_tail = 0;
    if (got > 0) {
        server.in_tail = (size_t) got;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        port_cut();
    }
}

/* The host comes anew: its last connection, if it is still there, is of a dead engine. */
static void port_accept(void) {
    int fd = agent_vsock_accept(server.port.listener);
    if (fd < 0)
        return;
    port_cut();
    server.port.fd = fd;
    server.in_head = server.in_tail = 0;
}

static void reap(void) {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < server.channels_end; i++)
            if (server.channels[i].used && server.channels[i].pid == pid && !server.channels[i].reaped) {
                agent_channel_reaped(&server.channels[i], status);
                break;
            }
}

static void signals_take(void) {
    struct signalfd_siginfo info;
    while (read(server.signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGTERM)
            continue;
        /* The machine goes down: nothing of ours may hold that up. */
        server.stopping = 1;
        for (size_t i = 0; i < server.channels_end; i++)
            if (server.channels[i].used)
                agent_channel_kill(&server.channels[i]);
    }
    reap();
}

static void pump(void) {
    server.turn++;
    for (size_t i = 0; i < server.channels_end; i++) {
        struct agent_channel *channel = &server.channels[(i + server.turn) % server.channels_end];
        if (channel->used)
            (void) agent_channel_pump(channel, &server.out);
    }
    while (server.channels_end && !server.channels[server.channels_end - 1].used)
        server.channels_end--;
}

static int sooner(int timeout, long long at, long long now) {
    long long wait = at > now ? at - now : 0;
    return timeout < 0 || wait < timeout ? (int) wait : timeout;
}

/* Fills the poll list; returns its length, and in *timeout when something is due. */
static nfds_t wait_list(struct pollfd *list, int *timeout) {
    long long now = agent_now_ms();
    nfds_t count = 3;
    int paused = server.port_after > now;
    int room = agent_out_room(&server.out) >= 256;
    *timeout = -1;
    list[0] = (struct pollfd){.fd = server.signals, .events = POLLIN};
    list[1] = (struct pollfd){.fd = paused ? -1 : server.port.fd};
    list[2] = (struct pollfd){.fd = server.port.listener, .events = POLLIN};
    if (server.in_head == server.in_tail)
        list[1].events |= POLLIN;
    if (server.out.head < server.out.tail)
        list[1].events |= POLLOUT;
    if (paused)
        *timeout = sooner(*timeout, server.port_after, now);
    if (server.poweroff_tries)
        *timeout = sooner(*timeout, server.poweroff_at, now);
    for (size_t i = 0; i < server.channels_end; i++) {
        const struct agent_channel *channel = &server.channels[i];
        if (!channel->used)
            continue;
        if (channel->in >= 0 && channel->backlog_size)
            list[count++] = (struct pollfd){.fd = channel->in, .events = POLLOUT};
        for (int stream = 0; stream < 2; stream++)
            if (room && agent_channel_wants(channel, stream))
                list[count++] = (struct pollfd){.fd = channel->out[stream].fd, .events = POLLIN};
        if (channel->kill_at)
            *timeout = sooner(*timeout, channel->kill_at, now);
    }
    return count;
}

/* Half of the buffer is the commands', whose output must not wait for lookups. */
static int names_may_send(void) {
    return server.out.tail - server.out.head < AGENT_OUT_SIZE / 2;
}

static void turn(void) {
    static struct pollfd list[3 + 3 * AGENT_CHANNELS_MAX + AGENT_NAMES_POLLS];
    int timeout = -1;
    nfds_t count = wait_list(list, &timeout);
    nfds_t names = server.greeted && names_may_send() ? agent_names_polls(list + count, &timeout) : 0;
    if (poll(list, count + names, timeout) < 0)
        return;
    if (list[0].revents)
        signals_take();
    if (list[1].revents & POLLIN)
        port_read();
    else if (list[1].revents & (POLLHUP | POLLERR))
        port_cut();
    if (list[2].revents)
        port_accept();
    poweroff_again();
    agent_names_take(list + count, names, &server.out);
    frames_take();
    pump();
    (void) agent_out_flush(&server.out, server.port.fd);
}

static int start(struct agent_port port) {
    sigset_t set;
    for (int number = 1; number < SIGRTMIN; number++) /* what we ignore our commands would */
        (void) signal(number, SIG_DFL);
    int flags = fcntl(port.fd, F_GETFL);
    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGCHLD);
    (void) sigaddset(&set, SIGTERM);
    if (flags < 0 || fcntl(port.fd, F_SETFL, flags | O_NONBLOCK) < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    memset(&server, 0, sizeof server);
    server.port = port;
    server.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return server.signals < 0 ? -errno : 0;
}

int agent_serve(struct agent_port port) {
    int code = start(port);
    if (code < 0)
        return code;
    while (!server.stopping)
        turn();
    /* The EXITs of what was killed, as far as half a second lets them. */
    for (long long end = agent_now_ms() + 500; agent_now_ms() < end;) {
        size_t left = server.out.tail - server.out.head;
        for (size_t i = 0; i < server.channels_end; i++)
            left += server.channels[i].used != 0;
        if (left == 0)
            break;
        agent_sleep_ms(10);
        signals_take();
        pump();
        (void) agent_out_flush(&server.out, server.port.fd);
    }
    (void) close(server.signals);
    return 0;
}
