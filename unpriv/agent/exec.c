/* One command on an agent link, from OPEN to EXIT. */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX (sizeof(struct mux_header) + MUX_PAYLOAD_MAX)

/* A packet of the client, passed to the guest when it may be. */
static void take_packet(struct link *link, struct link_channel *channel, uint8_t *packet) {
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
    if (pass)
        (void) link_send(link, (const struct mux_header *) (const void *) packet, packet + sizeof(struct mux_header));
}

/* Until the channel ends, whoever ends it. */
static enum link_end serve(struct link *link, struct link_channel *channel, uint8_t *packet) {
    struct pollfd fds[2] = {{.fd = channel->client}, {.fd = channel->wake, .events = POLLIN}};
    for (;;) {
        (void) pthread_mutex_lock(&link->lock);
        int waits = link_channel_flush(channel);
        enum link_end end = channel->end;
        (void) pthread_mutex_unlock(&link->lock);
        if (end != LINK_OPEN)
            return end;
        fds[0].events = (short) (waits ? POLLIN | POLLOUT : POLLIN);
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents) {
            uint64_t count;
            (void) !read(channel->wake, &count, sizeof(count));
        }
        if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
            take_packet(link, channel, packet);
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
