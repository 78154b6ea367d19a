/* A VMM that does nothing: it is started in the real jail with the real tap and disks,
 * answers the agent link and QMP as QEMU with a ready guest would, runs no guest, and
 * ends when it is asked to power off or to quit. Static; named by the policy's vmm line. */
#include "../../common/mux.h"
#include "../../common/wire.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING "{\"QMP\":{}}\n"

static void say(int fd, const void *bytes, size_t size) {
    (void) !send(fd, bytes, size, MSG_NOSIGNAL);
}

static void frame(int fd, uint8_t type, uint32_t channel, const void *payload, uint32_t length) {
    char packet[sizeof(struct mux_header) + sizeof(struct mux_welcome)];
    struct mux_header header = {.magic = MUX_MAGIC, .type = type, .channel = channel, .length = length};
    memcpy(packet, &header, sizeof(header));
    memcpy(packet + sizeof(header), payload, length);
    say(fd, packet, sizeof(header) + length);
}

static void welcome(int fd, const uint8_t *hello) {
    struct mux_welcome answer = {.version = MUX_VERSION, .boot_id = "idle", .build = "idle"};
    memcpy(answer.nonce, hello, sizeof(answer.nonce));
    frame(fd, MUX_WELCOME, 0, &answer, sizeof(answer));
}

static void act(int fd, const struct mux_header *header, const uint8_t *payload) {
    struct mux_exit done = {0};
    if (header->type == MUX_HELLO)
        welcome(fd, payload);
    else if (header->type == MUX_PING)
        frame(fd, MUX_PONG, 0, payload, header->length);
    else if (header->type == MUX_OPEN)
        frame(fd, MUX_EXIT, header->channel, &done, sizeof(done));
    else if (header->type == MUX_POWEROFF)
        exit(0);
}

struct input {
    size_t have;
    uint8_t bytes[sizeof(struct mux_header) + MUX_PAYLOAD_MAX];
};

/* One frame off the front: 1, or 0 when there is none yet. */
static int next_frame(int fd, struct input *in) {
    struct mux_header header;
    size_t zeros = 0;
    while (zeros < in->have && in->bytes[zeros] == 0)
        zeros++;
    memmove(in->bytes, in->bytes + zeros, in->have -= zeros);
    if (in->have < sizeof(header))
        return 0;
    memcpy(&header, in->bytes, sizeof(header));
    size_t size = sizeof(header) + header.length;
    if (in->have < size)
        return 0;
    act(fd, &header, in->bytes + sizeof(header));
    memmove(in->bytes, in->bytes + size, in->have -= size);
    return 1;
}

static int agent_reads(int fd, struct input *in) {
    ssize_t n = read(fd, in->bytes + in->have, sizeof(in->bytes) - in->have);
    if (n <= 0)
        return 0;
    in->have += (size_t) n;
    while (next_frame(fd, in))
        ;
    return 1;
}

/* The engine sends one command at a time, a line each. */
static int qmp_reads(int fd, struct input *in) {
    char line[512];
    ssize_t n = read(fd, line, sizeof(line) - 1);
    (void) in;
    if (n <= 0)
        return 0;
    line[n] = 0;
    static const char running[] = "{\"return\":{\"status\":\"running\",\"running\":true}}\n",
                      empty[] = "{\"return\":{}}\n";
    if (strstr(line, "query-status"))
        say(fd, running, sizeof(running) - 1);
    else
        say(fd, empty, sizeof(empty) - 1);
    if (strstr(line, "\"quit\"") || strstr(line, "system_powerdown"))
        exit(0);
    return 1;
}

int main(void) {
    static struct input in;
    struct pollfd fds[] = {{SPAWN_FD_NUMBER(SPAWN_AGENT), POLLIN, 0},
                           {SPAWN_FD_NUMBER(SPAWN_QMP), POLLIN, 0},
                           {-1, POLLIN, 0},
                           {-1, POLLIN, 0}};
    static int (*const reads[])(int fd, struct input *in) = {agent_reads, qmp_reads};
    while (poll(fds, 4, -1) > 0)
        for (int i = 0; i < 2; i++) {
            struct pollfd *listener = &fds[i], *connection = &fds[2 + i];
            if (connection->fd >= 0 && connection->revents && !reads[i](connection->fd, &in)) {
                (void) close(connection->fd);
                connection->fd = -1;
                in.have = i == 0 ? 0 : in.have;
            }
            listener->events = connection->fd < 0 ? POLLIN : 0;
            if (connection->fd < 0 && (listener->revents & POLLIN)) {
                connection->fd = accept(listener->fd, NULL, NULL);
                connection->revents = 0;
                if (i == 1 && connection->fd >= 0)
                    say(connection->fd, GREETING, sizeof(GREETING) - 1);
            }
        }
    return 1;
}
