/* One question to the agent itself: a service of it, with a bounded answer and a deadline. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX (sizeof(struct mux_header) + MUX_PAYLOAD_MAX)

struct question {
    struct link *link;
    struct link_channel channel;
    int ours; /* the client's end: here nobody else's */
    char *answer;
    size_t size, have;
    char complaint[320]; /* the first line of what the service wrote to stderr */
    size_t complained;
    uint8_t packet[PACKET_MAX];
};

/* The OPEN of a service: root, no terminal, nothing in its environment. Its size; 0 when it does not fit. */
static uint32_t pack(uint8_t *payload, size_t room, const char *const argv[]) {
    struct mux_open open = {.flags = MUX_OPEN_AGENT};
    size_t at = sizeof(open) + 2; /* folder and user: two empty strings */
    memset(payload, 0, at);
    for (; argv[open.argc]; open.argc++) {
        size_t length = strlen(argv[open.argc]) + 1;
        if (length > room - at)
            return 0;
        memcpy(payload + at, argv[open.argc], length);
        at += length;
    }
    memcpy(payload, &open, sizeof(open));
    return (uint32_t) at;
}

/* Keeps printable bytes of the first line: it goes into an error's sentence. */
static void complain(struct question *q, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size && q->complained + 1 < sizeof(q->complaint); i++) {
        if (data[i] == '\n') {
            q->complained = sizeof(q->complaint) - 1;
            return;
        }
        int printable = data[i] >= ' ' && data[i] < 0x7f;
        q->complaint[q->complained++] = (char) (printable ? data[i] : '?');
    }
}

/* Takes what the channel has for its client. 0, or -EMSGSIZE when the answer is too long. */
static int take(struct question *q) {
    while (recv(q->ours, q->packet, sizeof(q->packet), MSG_DONTWAIT) > 0) {
        struct mux_header header;
        const uint8_t *payload = q->packet + sizeof(header);
        memcpy(&header, q->packet, sizeof(header));
        if (header.type != MUX_DATA)
            continue;
        size_t size = header.length - 1;
        if (payload[0] == 2) {
            complain(q, payload + 1, size);
            continue;
        }
        if (size >= q->size - q->have)
            return -EMSGSIZE;
        memcpy(q->answer + q->have, payload + 1, size);
        q->have += size;
    }
    return 0;
}

/* Until the channel ends: 0, -ETIMEDOUT or -EMSGSIZE. */
static int wait_answer(struct question *q, int timeout_ms) {
    long long deadline = io_now_ms() + timeout_ms;
    struct pollfd fds[2] = {{.fd = q->ours, .events = POLLIN}, {.fd = q->channel.wake, .events = POLLIN}};
    for (;;) {
        (void) pthread_mutex_lock(&q->link->lock);
        (void) link_channel_flush(&q->channel);
        enum link_end end = q->channel.end;
        (void) pthread_mutex_unlock(&q->link->lock);
        int rc = take(q);
        if (rc || end != LINK_OPEN)
            return rc;
        long long left = deadline - io_now_ms();
        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(fds, 2, (int) left) > 0 && fds[1].revents) {
            uint64_t count;
            (void) !read(q->channel.wake, &count, sizeof(count));
        }
    }
}

/* The whole input at once: it fits the window. 0 or -EPIPE. */
static int send_input(struct question *q, const uint8_t *input, size_t size) {
    uint8_t piece[MUX_PAYLOAD_MAX] = {0}; /* its first byte is the stream's number, 0 */
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_DATA, .channel = q->channel.id};
    (void) pthread_mutex_lock(&q->link->lock);
    q->channel.in_sent = (uint32_t) size;
    (void) pthread_mutex_unlock(&q->link->lock);
    for (size_t part; size; input += part, size -= part) {
        part = size < sizeof(piece) - 1 ? size : sizeof(piece) - 1;
        memcpy(piece + 1, input, part);
        header.length = (uint32_t) part + 1;
        if (link_send(q->link, &header, piece))
            return -EPIPE;
    }
    header.type = MUX_EOF;
    header.length = 1;
    piece[0] = 0;
    return link_send(q->link, &header, piece);
}

static int ask(struct question *q, const char *service, const void *open, uint32_t size, const struct link_input *input,
               int timeout_ms, struct err *e) {
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_OPEN, .channel = q->channel.id, .length = size};
    if (link_send(q->link, &header, open) || (input && send_input(q, input->bytes, input->size)))
        return err_set(e, EPIPE, "the connection to the guest's agent broke");
    int rc = wait_answer(q, timeout_ms);
    if (rc || q->channel.end != LINK_EXITED) {
        header = (struct mux_header){.magic = MUX_MAGIC, .type = MUX_CLOSE, .channel = q->channel.id};
        (void) link_send(q->link, &header, NULL);
    }
    if (rc == -ETIMEDOUT)
        return err_set(e, ETIMEDOUT, "the guest's agent did not answer \"%s\" within %d s", service, timeout_ms / 1000);
    if (rc)
        return err_set(e, EMSGSIZE, "the guest answered \"%s\" with more than %zu bytes", service, q->size - 1);
    if (q->channel.end != LINK_EXITED)
        return err_set(e, EPROTO, "the guest's agent broke off its answer to \"%s\"", service);
    if (q->channel.exit.signaled || q->channel.exit.code)
        return err_set(e, EREMOTEIO, "%s", q->complaint[0] ? q->complaint : "it gave no reason");
    q->answer[q->have] = 0;
    return (int) q->have;
}

int link_ask_with(struct link *link, const char *const argv[], const struct link_input *input, char *answer,
                  size_t size, int timeout_ms, struct err *e) {
    uint8_t open[LINK_QUESTION_MAX];
    cleanup_fd int theirs = -1;
    cleanup_fd int ours = -1;
    int pair[2];
    uint32_t length = pack(open, sizeof(open), argv);
    if (length == 0)
        return err_set(e, E2BIG, "the question to the guest's agent is longer than %d bytes", LINK_QUESTION_MAX);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return err_sys(e, errno, "cannot make a channel to the guest's agent");
    theirs = pair[0];
    ours = pair[1];
    struct question *q = calloc(1, sizeof(*q));
    if (!q)
        return err_set(e, ENOMEM, "out of memory for a question to the guest's agent");
    *q = (struct question){.link = link, .ours = ours, .answer = answer, .size = size};
    int rc = link_channel_add(link, &q->channel, theirs);
    if (rc == 0) {
        rc = ask(q, argv[0], open, length, input, timeout_ms, e);
        link_channel_remove(link, &q->channel);
    } else {
        (void) err_sys(e, -rc, "opening a channel to the guest's agent");
    }
    free(q);
    return rc;
}

int link_ask(struct link *link, const char *const argv[], char *answer, size_t size, int timeout_ms, struct err *e) {
    int rc = link_ask_with(link, argv, NULL, answer, size, timeout_ms, e);
    return rc == -EREMOTEIO ? err_prefix(e, "the guest's agent could not answer \"%s\"", argv[0]) : rc;
}
