#include "channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int link_channel_init(struct link_channel *channel, uint32_t id, int client) {
    memset(channel, 0, sizeof(*channel));
    channel->id = id;
    channel->client = client;
    channel->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return channel->wake < 0 ? -errno : 0;
}

void link_channel_free(struct link_channel *channel) {
    for (int i = 0; i < LINK_STREAMS; i++)
        free(channel->out[i].ring);
    if (channel->wake >= 0)
        (void) close(channel->wake);
}

static void wake(const struct link_channel *channel) {
    uint64_t one = 1;
    (void) !write(channel->wake, &one, sizeof(one));
}

void link_channel_end(struct link_channel *channel, enum link_end end) {
    if (channel->end == LINK_OPEN)
        channel->end = end;
    wake(channel);
}

/* One packet to the client: 1 sent, 0 its socket is full. A closed socket ends the channel. */
static int client_send(struct link_channel *channel, uint8_t type, const void *stream, const void *data,
                       uint32_t size) {
    uint32_t extra = stream ? 1 : 0;
    struct mux_header header = {.magic = MUX_MAGIC, .type = type, .length = extra + size};
    struct iovec parts[3] = {{&header, sizeof(header)}, {(void *) stream, extra}, {(void *) data, size}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 3};
    if (sendmsg(channel->client, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return 1;
    if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
        link_channel_end(channel, LINK_CLIENT_GONE);
    return 0;
}

/* Keeps what the client's socket did not take. The credit check has bounded it. */
static int keep(struct link_stream *stream, const uint8_t *data, uint32_t size) {
    if (!stream->ring) {
        stream->ring = malloc(MUX_WINDOW);
        if (!stream->ring)
            return -ENOMEM;
        stream->start = 0;
    }
    uint32_t at = (stream->start + stream->waiting) % MUX_WINDOW;
    uint32_t first = size < MUX_WINDOW - at ? size : MUX_WINDOW - at;
    memcpy(stream->ring + at, data, first);
    memcpy(stream->ring, data + first, size - first);
    stream->waiting += size;
    return 0;
}

static void guest_data(struct link_channel *channel, const uint8_t *payload, uint32_t length) {
    struct link_stream *stream = length > 1 && (payload[0] == 1 || payload[0] == 2) ? &channel->out[payload[0]] : NULL;
    if (!stream || stream->eof || length - 1 > MUX_WINDOW - stream->delivered - stream->waiting) {
        link_channel_end(channel, LINK_GUEST_BROKE);
        return;
    }
    uint32_t size = length - 1;
    if (stream->waiting == 0 && client_send(channel, MUX_DATA, payload, payload + 1, size)) {
        stream->delivered += size;
        return;
    }
    if (channel->end == LINK_OPEN && keep(stream, payload + 1, size))
        link_channel_end(channel, LINK_GUEST_BROKE);
}

static void guest_eof(struct link_channel *channel, const uint8_t *payload, uint32_t length) {
    if (length != 1 || payload[0] < 1 || payload[0] > 2 || channel->out[payload[0]].eof) {
        link_channel_end(channel, LINK_GUEST_BROKE);
        return;
    }
    channel->out[payload[0]].eof = 1;
}

static void guest_credit(struct link_channel *channel, const uint8_t *payload, uint32_t length) {
    struct mux_window window = {0};
    if (length == sizeof(window))
        memcpy(&window, payload, sizeof(window));
    if (length != sizeof(window) || window.stream != 0 || window.credit == 0 || window.credit > channel->in_sent) {
        link_channel_end(channel, LINK_GUEST_BROKE);
        return;
    }
    channel->in_sent -= window.credit;
    channel->in_credit += window.credit;
}

static void guest_exit(struct link_channel *channel, const uint8_t *payload, uint32_t length) {
    if (length != sizeof(channel->exit)) {
        link_channel_end(channel, LINK_GUEST_BROKE);
        return;
    }
    memcpy(&channel->exit, payload, sizeof(channel->exit));
    if (channel->exit.signaled > 1 || channel->exit.code > 255) {
        link_channel_end(channel, LINK_GUEST_BROKE);
        return;
    }
    channel->exited = 1;
}

void link_channel_from_guest(struct link_channel *channel, const struct mux_header *header, const uint8_t *payload) {
    if (channel->end != LINK_OPEN)
        return;
    if (channel->exited) {
        link_channel_end(channel, LINK_GUEST_BROKE);
        return;
    }
    switch (header->type) {
    case MUX_DATA:
        guest_data(channel, payload, header->length);
        break;
    case MUX_EOF:
        guest_eof(channel, payload, header->length);
        break;
    case MUX_WINDOW_ADD:
        guest_credit(channel, payload, header->length);
        break;
    case MUX_EXIT:
        guest_exit(channel, payload, header->length);
        break;
    default:
        link_channel_end(channel, LINK_GUEST_BROKE);
        break;
    }
    if (link_channel_flush(channel))
        wake(channel);
}

/* 1 when the client may send this. */
static int client_allowed(struct link_channel *channel, const struct mux_header *header, const uint8_t *payload) {
    struct mux_window window;
    uint32_t length = header->length;
    switch (header->type) {
    case MUX_DATA:
        if (length < 2 || payload[0] != 0 || channel->in_eof ||
            length - 1 > MUX_WINDOW - channel->in_sent - channel->in_credit)
            return 0;
        channel->in_sent += length - 1;
        return 1;
    case MUX_EOF:
        if (length != 1 || payload[0] != 0 || channel->in_eof)
            return 0;
        channel->in_eof = 1;
        return 1;
    case MUX_WINDOW_ADD:
        if (length != sizeof(window))
            return 0;
        memcpy(&window, payload, sizeof(window));
        if ((window.stream != 1 && window.stream != 2) || window.credit == 0 ||
            window.credit > channel->out[window.stream].delivered)
            return 0;
        channel->out[window.stream].delivered -= window.credit;
        return 1;
    case MUX_RESIZE:
        return length == sizeof(struct mux_resize);
    case MUX_SIGNAL:
        return length == sizeof(struct mux_signal);
    default:
        return 0;
    }
}

int link_channel_from_client(struct link_channel *channel, uint8_t *packet, uint32_t size) {
    struct mux_header header;
    if (channel->end != LINK_OPEN)
        return 0;
    if (size >= sizeof(header))
        memcpy(&header, packet, sizeof(header));
    if (size < sizeof(header) || mux_header_bad(&header) || header.channel != 0 ||
        header.length != size - sizeof(header) || !client_allowed(channel, &header, packet + sizeof(header))) {
        link_channel_end(channel, LINK_CLIENT_BROKE);
        return 0;
    }
    header.channel = channel->id;
    memcpy(packet, &header, sizeof(header));
    return 1;
}

/* 1 when all of the stream that waits, its EOF too, has been sent. */
static int flush_stream(struct link_channel *channel, uint8_t number) {
    struct link_stream *stream = &channel->out[number];
    while (stream->waiting > 0) {
        uint32_t size = stream->waiting < MUX_PAYLOAD_MAX - 1 ? stream->waiting : MUX_PAYLOAD_MAX - 1;
        if (size > MUX_WINDOW - stream->start)
            size = MUX_WINDOW - stream->start;
        if (!client_send(channel, MUX_DATA, &number, stream->ring + stream->start, size))
            return 0;
        stream->start = (stream->start + size) % MUX_WINDOW;
        stream->waiting -= size;
        stream->delivered += size;
    }
    free(stream->ring);
    stream->ring = NULL;
    if (stream->eof && !stream->eof_sent) {
        if (!client_send(channel, MUX_EOF, &number, NULL, 0))
            return 0;
        stream->eof_sent = 1;
    }
    return 1;
}

int link_channel_flush(struct link_channel *channel) {
    int all = 1;
    if (channel->end != LINK_OPEN)
        return 0;
    for (uint8_t i = 1; i < LINK_STREAMS; i++)
        all &= flush_stream(channel, i);
    if (all && channel->in_credit > 0 && !channel->exited) {
        struct mux_window window = {.stream = 0, .credit = channel->in_credit};
        all = client_send(channel, MUX_WINDOW_ADD, NULL, &window, sizeof(window));
        if (all)
            channel->in_credit = 0;
    }
    if (all && channel->exited) {
        all = client_send(channel, MUX_EXIT, NULL, &channel->exit, sizeof(channel->exit));
        if (all)
            link_channel_end(channel, LINK_EXITED);
    }
    return !all && channel->end == LINK_OPEN;
}
