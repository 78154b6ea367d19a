/* The engine's end of the link and the guest's agent, both real, together. */
#include "../../guest/agent/agent.h"
#include "../../unpriv/agent/link.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t agent_start(int *sock) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0) {
        (void) close(pair[0]);
        _exit(agent_serve((struct agent_port){pair[1], -1}) == 0 ? 0 : 1);
    }
    (void) close(pair[1]);
    *sock = pair[0];
    return pid;
}

/* Collects what the client got of one stream. */
static size_t packets_take(int client, uint8_t stream, char *text, size_t room) {
    static uint8_t packet[sizeof(struct mux_header) + MUX_PAYLOAD_MAX];
    struct mux_header header;
    size_t used = 0;
    for (ssize_t got; (got = recv(client, packet, sizeof packet, MSG_DONTWAIT)) > 0;) {
        memcpy(&header, packet, sizeof header);
        const uint8_t *payload = packet + sizeof header;
        if (header.type != MUX_DATA || payload[0] != stream || used + header.length >= room)
            continue;
        memcpy(text + used, payload + 1, header.length - 1);
        used += header.length - 1;
    }
    text[used] = '\0';
    return used;
}

static void run(struct link *link, const char *script, uint32_t code, const char *output) {
    uint8_t payload[512];
    char text[512];
    int client[2];
    struct mux_open open = {.argc = 3};
    struct mux_exit end = {0};
    struct err e = {0};
    size_t size = sizeof open + 2 + 6 + strlen(script) + 1;
    cr_assert_leq(size, sizeof payload);
    memcpy(payload, &open, sizeof open);
    memcpy(payload + sizeof open, "\0\0sh\0-c", 8);
    memcpy(payload + sizeof open + 8, script, strlen(script) + 1);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, client), 0);
    cr_assert_eq(link_exec(link, payload, (uint32_t) size, client[0], &end, &e), 0, "%s", e.text);
    cr_assert_eq(end.signaled, 0);
    cr_assert_eq(end.code, code);
    (void) packets_take(client[1], 1, text, sizeof text);
    cr_assert_str_eq(text, output);
    (void) close(client[0]);
    (void) close(client[1]);
}

Test(agent_link, commands_and_ping, .timeout = 60) {
    struct err e = {0};
    int sock = -1, status = -1;
    pid_t agent = agent_start(&sock);
    struct link *link = link_open(sock, 1, 20000, NULL, NULL, &e);
    cr_assert(link != NULL, "%s", e.text);
    cr_assert_eq(link_ping(link, 5000, &e), 0, "%s", e.text);
    run(link, "echo out; echo err >&2; exit 42", 42, "out\n");
    run(link, "cat /no/such/file; echo $?", 0, "1\n");
    link_drop(link);
    (void) kill(agent, SIGTERM);
    cr_assert_eq(waitpid(agent, &status, 0), agent);
    cr_assert_eq(status, 0);
}
