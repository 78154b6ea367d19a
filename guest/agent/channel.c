#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define HEADER sizeof(struct mux_header)
/* Credit is given back in pieces of this size, or when all is consumed. */
#define CREDIT_STEP (MUX_WINDOW / 4)

static void fd_drop(int *fd) {
    if (*fd >= 0)
        (void) close(*fd);
    *fd = -1;
}

/* Bytes of stdin that are done with, written or thrown away. */
static void consumed(struct agent_channel *channel, size_t size) {
    channel->in_consumed += (uint32_t) size;
}

static void stdin_drop(struct agent_channel *channel) {
    consumed(channel, channel->backlog_size);
    channel->backlog_size = 0;
    fd_drop(&channel->in);
}

static void streams_drop(struct agent_channel *channel) {
    fd_drop(&channel->in);
    fd_drop(&channel->out[0].fd);
    fd_drop(&channel->out[1].fd);
}

static void group_signal(const struct agent_channel *channel, int number) {
    if (channel->pid > 0 && !channel->reaped)
        (void) kill(-channel->pid, number);
}

void agent_channel_open(struct agent_channel *channel, uint32_t id, const uint8_t *payload, size_t size) {
    struct agent_open open;
    struct agent_process process = {.in = -1, .out = -1, .err = -1};
    *channel = (struct agent_channel){.id = id, .used = 1, .in_credit = MUX_WINDOW};
    channel->out[0].credit = channel->out[1].credit = MUX_WINDOW;
    int code = agent_open_parse(payload, size, &open);
    if (code < 0) {
        channel->failed = 126;
        memcpy(channel->reason, "banger: the request to start a command is malformed\n", 53);
    } else {
        channel->tty = (open.flags & MUX_OPEN_TTY) != 0;
        channel->failed = (uint32_t) agent_spawn(&open, &process, channel->reason, sizeof channel->reason);
        agent_open_free(&open);
    }
    channel->pid = process.pid;
    channel->reaped = channel->failed != 0;
    channel->in = process.in;
    channel->out[0].fd = process.out;
    channel->out[1].fd = process.err;
}

/* Writes to the command; what it does not take stays. -1 when nobody reads any more. */
static ssize_t stdin_write(struct agent_channel *channel, const uint8_t *data, size_t size) {
    ssize_t put = write(channel->in, data, size);
    if (put < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (put < 0)
        stdin_drop(channel);
    else
        consumed(channel, (size_t) put);
    return put;
}

static int backlog_add(struct agent_channel *channel, const uint8_t *data, size_t size) {
    if (!channel->backlog)
        channel->backlog = malloc(MUX_WINDOW);
    if (!channel->backlog)
        return -ENOMEM;
    for (size_t part; size; data += part, size -= part) {
        size_t at = (channel->backlog_head + channel->backlog_size) % MUX_WINDOW;
        part = size < MUX_WINDOW - at ? size : MUX_WINDOW - at;
        memcpy(channel->backlog + at, data, part);
        channel->backlog_size += part;
    }
    return 0;
}

void agent_channel_data(struct agent_channel *channel, const uint8_t *payload, size_t size) {
    if (size < 1 || payload[0] != 0 || size - 1 > channel->in_credit || channel->in_ended) {
        agent_channel_kill(channel);
        return;
    }
    payload++;
    size--;
    channel->in_credit -= (uint32_t) size;
    if (channel->in >= 0 && channel->backlog_size == 0) {
        ssize_t put = stdin_write(channel, payload, size);
        if (put > 0) {
            payload += put;
            size -= (size_t) put;
        }
    }
    if (channel->in < 0)
        consumed(channel, size);
    else if (size && backlog_add(channel, payload, size) < 0)
        agent_channel_kill(channel);
}

void agent_channel_eof(struct agent_channel *channel, const uint8_t *payload, size_t size) {
    if (size == 1 && payload[0] == 0)
        channel->in_ended = 1;
}

void agent_channel_window(struct agent_channel *channel, const uint8_t *payload, size_t size) {
    struct mux_window window;
    if (size != sizeof window)
        return;
    memcpy(&window, payload, sizeof window);
    if (window.stream != 1 && window.stream != 2)
        return;
    uint32_t *credit = &channel->out[window.stream - 1].credit;
    *credit = window.credit > MUX_WINDOW - *credit ? MUX_WINDOW : *credit + window.credit;
}

void agent_channel_resize(struct agent_channel *channel, const uint8_t *payload, size_t size) {
    struct mux_resize resize;
    if (size != sizeof resize || !channel->tty || channel->out[0].fd < 0)
        return;
    memcpy(&resize, payload, sizeof resize);
    struct winsize window = {.ws_row = resize.rows, .ws_col = resize.cols};
    (void) ioctl(channel->out[0].fd, TIOCSWINSZ, &window);
}

void agent_channel_signal(struct agent_channel *channel, const uint8_t *payload, size_t size) {
    struct mux_signal number;
    if (size != sizeof number)
        return;
    memcpy(&number, payload, sizeof number);
    if (number.signal >= 1 && number.signal <= 64)
        group_signal(channel, (int) number.signal);
}

void agent_channel_close(struct agent_channel *channel) {
    channel->closing = 1;
    streams_drop(channel);
    channel->backlog_size = 0;
    group_signal(channel, SIGHUP);
    group_signal(channel, SIGCONT);
    channel->kill_at = agent_now_ms() + AGENT_KILL_MS;
}

void agent_channel_kill(struct agent_channel *channel) {
    group_signal(channel, SIGKILL);
    if (!channel->closing)
        stdin_drop(channel);
}

void agent_channel_reaped(struct agent_channel *channel, int status) {
    channel->reaped = 1;
    channel->status = status;
    /* What lies in a pipe or terminal now is the command's; what comes later is a
     * background process's, and EXIT does not wait for it. */
    channel->out[0].leftover = channel->out[1].leftover = MUX_WINDOW;
}

int agent_channel_wants(const struct agent_channel *channel, int stream) {
    const struct agent_stream *out = &channel->out[stream];
    return out->fd >= 0 && out->credit > 0;
}

static void stdin_pump(struct agent_channel *channel) {
    while (channel->in >= 0 && channel->backlog_size) {
        size_t part = MUX_WINDOW - channel->backlog_head;
        if (part > channel->backlog_size)
            part = channel->backlog_size;
        ssize_t put = stdin_write(channel, channel->backlog + channel->backlog_head, part);
        if (put <= 0)
            break;
        channel->backlog_head = (channel->backlog_head + (size_t) put) % MUX_WINDOW;
        channel->backlog_size -= (size_t) put;
    }
    if (channel->in >= 0 && channel->in_ended && channel->backlog_size == 0) {
        if (channel->tty)
            (void) !write(channel->in, "\004", 1); /* VEOF: a terminal has no other end */
        fd_drop(&channel->in);
    }
}

static void credit_pump(struct agent_channel *channel, struct agent_out *out) {
    if (channel->in_consumed < CREDIT_STEP && (channel->in_consumed == 0 || channel->backlog_size != 0))
        return;
    if (channel->in_ended || agent_out_room(out) < sizeof(struct mux_window))
        return;
    struct mux_window window = {.stream = 0, .credit = channel->in_consumed};
    channel->in_credit += channel->in_consumed;
    channel->in_consumed = 0;
    agent_out_frame(out, MUX_WINDOW_ADD, channel->id, &window, sizeof window);
}

/* Ends a stream: its EOF is owed. */
static void stream_end(struct agent_stream *stream) {
    fd_drop(&stream->fd);
    stream->ended = 1;
}

/* Reads what is there straight into frames. Returns 1 while more may come without another poll. */
static int stream_read(struct agent_channel *channel, int number, struct agent_out *out) {
    struct agent_stream *stream = &channel->out[number];
    size_t room = agent_out_room(out);
    if (stream->fd < 0 || room < 256 || stream->credit == 0)
        return 0;
    if (channel->reaped && stream->leftover == 0) {
        stream_end(stream);
        return 0;
    }
    size_t most = room - 1 < stream->credit ? room - 1 : stream->credit;
    if (channel->reaped && most > stream->leftover)
        most = stream->leftover;
    uint8_t *payload = agent_out_payload(out);
    ssize_t got = read(stream->fd, payload + 1, most);
    if (got < 0 && errno == EINTR)
        return 1;
    if (got < 0 && errno == EAGAIN && !channel->reaped)
        return 0;
    if (got <= 0) { /* the end; EIO: a terminal without a process; EAGAIN: nothing at hand at the command's end */
        stream_end(stream);
        return 0;
    }
    payload[0] = (uint8_t) (number + 1);
    stream->credit -= (uint32_t) got;
    if (channel->reaped)
        stream->leftover -= (uint32_t) got;
    agent_out_commit(out, MUX_DATA, channel->id, (size_t) got + 1);
    return 1;
}

static void reason_pump(struct agent_channel *channel, struct agent_out *out) {
    size_t size = strlen(channel->reason);
    if (!size || agent_out_room(out) < size + 1)
        return;
    uint8_t *payload = agent_out_payload(out);
    payload[0] = channel->tty ? 1 : 2;
    memcpy(payload + 1, channel->reason, size);
    agent_out_commit(out, MUX_DATA, channel->id, size + 1);
    channel->reason[0] = '\0';
}

static void eof_pump(struct agent_channel *channel, struct agent_out *out) {
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t number = (uint8_t) (i + 1);
        if (!channel->out[i].ended || agent_out_room(out) < sizeof number)
            continue;
        agent_out_frame(out, MUX_EOF, channel->id, &number, sizeof number);
        channel->out[i].ended = 0;
    }
}

/* Sends EXIT when everything before it is out. 1 when it did. */
static int exit_pump(struct agent_channel *channel, struct agent_out *out) {
    if (!channel->reaped || channel->out[0].fd >= 0 || channel->out[1].fd >= 0 || channel->out[0].ended ||
        channel->out[1].ended || channel->reason[0] || agent_out_room(out) < sizeof(struct mux_exit))
        return 0;
    struct mux_exit end = {.code = channel->failed};
    if (!channel->failed && WIFSIGNALED(channel->status))
        end = (struct mux_exit){.signaled = 1, .code = (uint32_t) WTERMSIG(channel->status)};
    else if (!channel->failed)
        end.code = (uint32_t) WEXITSTATUS(channel->status);
    agent_out_frame(out, MUX_EXIT, channel->id, &end, sizeof end);
    return 1;
}

int agent_channel_pump(struct agent_channel *channel, struct agent_out *out) {
    int done = channel->closing && channel->reaped;
    if (!channel->closing) {
        stdin_pump(channel);
        /* One piece of each stream a turn, so that channels share the link; at the end, all there is. */
        for (int i = 0; i < 2; i++)
            while (stream_read(channel, i, out) && channel->reaped)
                ;
        credit_pump(channel, out);
        reason_pump(channel, out);
        eof_pump(channel, out);
        done = exit_pump(channel, out);
    }
    if (channel->kill_at && !channel->reaped && agent_now_ms() >= channel->kill_at) {
        group_signal(channel, SIGKILL);
        channel->kill_at = 0;
    }
    if (!done)
        return 0;
    streams_drop(channel);
    free(channel->backlog);
    *channel = (struct agent_channel){0};
    return 1;
}
