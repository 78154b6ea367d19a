/* One command on an agent link, from OPEN to EXIT. */
#include "internal.h"

#include "../../common/io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX (sizeof(struct mux_header) + MUX_PAYLOAD_MAX)

/* A question to the guest under way: whether it is still there. */
struct doubt {
    uint64_t ping;
    long long deadline; /* io_now_ms; 0: none */
};

static void begin_doubt(struct link *link, struct doubt *doubt, int ms) {
    doubt->ping = link_ping_send(link);
    doubt->deadline = io_now_ms() + ms;
}

/* A packet of the client, passed to the guest when it may be. A signal that a guest does not even take
 * ends nothing: then the wait has to. */
static void take_packet(struct link *link, struct link_channel *channel, uint8_t *packet, struct doubt *doubt) {
    ssize_t n = recv(channel->client, packet, PACKET_MAX + 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    (void) pthread_mutex_lock(&link->lock);
    int pass = 0;
    if (n <= 0)
        link_channel_end(channel, LINK_CLIENT_GONE);
    else
        pass = link_channel_from_client(channel, packet, (uint32_t) n);
    (void) pthread_mutex_unlock(&link->lock);
    struct mux_header header;
    if (!pass)
        return;
    memcpy(&header, packet, sizeof(header));
    if (link_send(link, &header, packet + sizeof(header)) == 0 && header.type == MUX_SIGNAL && !doubt->deadline)
        begin_doubt(link, doubt, link->signal_ms);
}

/* Milliseconds that may be waited; -1: any time. 0 too when the guest is found to be stuck: `*stuck`. */
static int patience(struct link *link, struct doubt *doubt, int *stuck) {
    if (!doubt->deadline)
        return -1;
    long long left = doubt->deadline - io_now_ms();
    if (left > 0)
        return (int) left;
    *stuck = !link_ping_answered(link, doubt->ping);
    doubt->deadline = 0;
    return *stuck ? 0 : -1;
}

/* Until the channel ends, whoever ends it. */
static enum link_end serve(struct link *link, struct link_channel *channel, uint8_t *packet) {
    struct pollfd fds[2] = {{.fd = channel->client}, {.fd = channel->wake, .events = POLLIN}};
    struct doubt doubt = {0};
    int stuck = 0;
    begin_doubt(link, &doubt, link->open_ms);
    for (;;) {
        (void) pthread_mutex_lock(&link->lock);
        int waits = link_channel_flush(channel);
        enum link_end end = channel->end;
        (void) pthread_mutex_unlock(&link->lock);
        if (end != LINK_OPEN)
            return end;
        fds[0].events = (short) (waits ? POLLIN | POLLOUT : POLLIN);
        int rest = patience(link, &doubt, &stuck);
        if (stuck)
            return LINK_STUCK;
        if (poll(fds, 2, rest) < 0)
            continue;
        if (fds[1].revents) {
            uint64_t count;
            (void) !read(channel->wake, &count, sizeof(count));
        }
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
            take_packet(link, channel, packet, &doubt);
    }
}

/* A Unix socket that is closed with packets unread gives its peer ECONNRESET in
 * front of what the peer has still to read (unix(7), unix_release_sock): the
 * client, whose credits may still be under way, must find EXIT. */
static void drain(int client, uint8_t *packet) {
    (void) shutdown(client, SHUT_RD);
    while (recv(client, packet, PACKET_MAX, MSG_DONTWAIT) > 0)
        continue;
}

static int outcome(enum link_end end, struct err *e) {
    switch (end) {
    case LINK_EXITED:
        return 0;
    case LINK_CLIENT_GONE:
        return err_set(e, ECONNRESET, "the client closed the command's channel; the command was ended");
    case LINK_CLIENT_BROKE:
        return err_set(e, EPROTO, "the client broke the protocol of the command's channel; the command was ended");
    case LINK_GUEST_BROKE:
        return err_set(e, EPROTO, "the guest broke the protocol of the command's channel; the command was ended");
    case LINK_STUCK:
        return err_set(e, ETIMEDOUT,
                       "the guest does not answer: it hangs or is stopped; `banger vm logs` may say why, and "
                       "`banger vm restart` or `banger vm kill` ends it");
    case LINK_OPEN:
    case LINK_DEAD:
    default:
        return err_set(e, EPIPE, "the connection to the guest's agent broke while the command ran");
    }
}

int link_exec(struct link *link, const void *open, uint32_t size, int client, struct mux_exit *exit, struct err *e) {
    struct link_channel channel;
    uint8_t *packet = malloc(PACKET_MAX + 1);
    if (!packet)
        return err_set(e, ENOMEM, "out of memory for a command's channel");
    int sndbuf = 2 * (int) MUX_WINDOW;
    (void) setsockopt(client, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
    int r = link_channel_add(link, &channel, client);
    if (r) {
        free(packet);
        return err_sys(e, -r, "opening a channel to the guest's agent");
    }
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_OPEN, .channel = channel.id, .length = size};
    enum link_end end = LINK_DEAD;
    if (link_send(link, &header, open) == 0) {
        end = serve(link, &channel, packet);
        if (end != LINK_EXITED && end != LINK_DEAD && !channel.exited) {
            header = (struct mux_header){.magic = MUX_MAGIC, .type = MUX_CLOSE, .channel = channel.id};
            (void) link_send(link, &header, NULL);
        }
    }
    drain(client, packet);
    *exit = channel.exit;
    link_channel_remove(link, &channel);
    free(packet);
    return outcome(end, e);
}
