/* A VMM without a guest: started in the real jail in QEMU's place, it answers on the agent's
 * socket as an agent would whose commands do nothing, and on QEMU's control socket. */
#include "../../common/mux.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    int listener, sock; /* -1: nobody */
    size_t have;
    unsigned char bytes[MUX_PAD + MUX_PAYLOAD_MAX + 4096];
};

static struct peer agent = {-1, -1, 0, {0}}, qmp = {-1, -1, 0, {0}};

static void say(int sock, const void *bytes, size_t size) {
    (void) send(sock, bytes, size, MSG_NOSIGNAL);
}

/* --- the agent ------------------------------------------------------------------ */

static void frame(uint8_t type, uint32_t channel, const void *payload, uint32_t length) {
    unsigned char out[sizeof(struct mux_header) + 256];
    const struct mux_header header = {.magic = MUX_MAGIC, .type = type, .channel = channel, .length = length};
    memcpy(out, &header, sizeof(header));
    memcpy(out + sizeof(header), payload, length);
    say(agent.sock, out, sizeof(header) + length);
}

static void answer(const struct mux_header *header, const unsigned char *payload) {
    static const struct mux_exit done = {0, 0};
    struct mux_welcome welcome = {.version = MUX_VERSION, .boot_id = "idle", .build = "idle"};
    switch (header->type) {
    case MUX_HELLO:
        memcpy(welcome.nonce, payload, sizeof(welcome.nonce));
        frame(MUX_WELCOME, 0, &welcome, sizeof(welcome));
        break;
    case MUX_OPEN:
        frame(MUX_EXIT, header->channel, &done, sizeof(done));
        break;
    case MUX_PING:
        frame(MUX_PONG, 0, payload, header->length < 8 ? header->length : 8);
        break;
    case MUX_POWEROFF:
        exit(0);
    default:
        break;
    }
}

static size_t take_frame(void) {
    struct mux_header header;
    size_t at = 0;
    while (at < agent.have && agent.bytes[at] == 0)
        at++;
    if (agent.have - at < sizeof(header))
        return at;
    memcpy(&header, agent.bytes + at, sizeof(header));
    if (mux_header_bad(&header))
        exit(3);
    if (agent.have - at < sizeof(header) + header.length)
        return at;
    answer(&header, agent.bytes + at + sizeof(header));
    return at + sizeof(header) + header.length;
}

/* --- QEMU's control -------------------------------------------------------------- */

static void greet(int sock) {
    static const char text[] = "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\n";
    say(sock, text, sizeof(text) - 1);
}

static size_t take_command(void) {
    static const char none[] = "{\"return\":{}}\n", runs[] = "{\"return\":{\"status\":\"running\",\"running\":true}}\n";
    unsigned char *end = memchr(qmp.bytes, '\n', qmp.have);
    if (!end)
        return 0;
    *end = '\0';
    const char *line = (const char *) qmp.bytes;
    if (strstr(line, "\"query-status\""))
        say(qmp.sock, runs, sizeof(runs) - 1);
    else
        say(qmp.sock, none, sizeof(none) - 1);
    if (strstr(line, "\"quit\"") || strstr(line, "\"system_powerdown\""))
        exit(0);
    return (size_t) (end - qmp.bytes) + 1;
}

/* --- both -------------------------------------------------------------------------- */

static void hear(struct peer *peer, size_t (*take)(void)) {
    ssize_t n = read(peer->sock, peer->bytes + peer->have, sizeof(peer->bytes) - 1 - peer->have);
    if (n <= 0) {
        close(peer->sock);
        peer->sock = -1;
        peer->have = 0;
        return;
    }
    peer->have += (size_t) n;
    for (size_t used = 1; used && peer->sock >= 0;) {
        used = take();
        peer->have -= used;
        memmove(peer->bytes, peer->bytes + used, peer->have);
    }
}

static int number_after(int argc, char **argv, const char *prefix) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], prefix, strlen(prefix)) == 0)
            return atoi(argv[i] + strlen(prefix));
    }
    exit(2);
}

int main(int argc, char **argv) {
    agent.listener = number_after(argc, argv, "socket,id=agent,fd=");
    qmp.listener = number_after(argc, argv, "socket,id=qmp,fd=");
    printf("idle\n");
    (void) fflush(stdout);
    for (;;) {
        struct pollfd p[] = {{agent.sock < 0 ? agent.listener : agent.sock, POLLIN, 0},
                             {qmp.sock < 0 ? qmp.listener : qmp.sock, POLLIN, 0}};
        if (poll(p, 2, -1) < 0)
            continue;
        if (p[0].revents && agent.sock < 0)
            agent.sock = accept(agent.listener, NULL, NULL);
        else if (p[0].revents)
            hear(&agent, take_frame);
        if (p[1].revents && qmp.sock < 0) {
            qmp.sock = accept(qmp.listener, NULL, NULL);
            greet(qmp.sock);
        } else if (p[1].revents) {
            hear(&qmp, take_command);
        }
    }
}
