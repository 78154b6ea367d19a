/* What a hostile guest writes to the agent link: noise before WELCOME (up to the first
 * byte 0xff of the input), then frames, while one command runs. */
#include "../common/io.h"
#include "../unpriv/agent/link.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct guest {
    int sock;
    const uint8_t *data;
    size_t size;
};

static void *play(void *arg) {
    const struct guest *guest = arg;
    struct {
        struct mux_header header;
        struct mux_hello hello;
    } __attribute__((packed)) first;
    struct {
        struct mux_header header;
        struct mux_welcome welcome;
    } __attribute__((packed)) answer = {{.magic = MUX_MAGIC, .type = MUX_WELCOME, .length = sizeof(struct mux_welcome)},
                                        {.version = MUX_VERSION}};
    uint8_t open[sizeof(struct mux_header) + 4];
    const uint8_t *end = guest->size ? memchr(guest->data, 0xff, guest->size) : NULL;
    size_t noise = end ? (size_t) (end - guest->data) : 0;
    if (io_read(guest->sock, &first, sizeof(first)) == 0) {
        memcpy(answer.welcome.nonce, first.hello.nonce, sizeof(answer.welcome.nonce));
        (void) io_write(guest->sock, guest->data, noise);
        (void) io_write(guest->sock, &answer, sizeof(answer));
        if (io_read(guest->sock, open, sizeof(open)) == 0)
            (void) io_write(guest->sock, guest->data + noise, guest->size - noise);
    }
    (void) shutdown(guest->sock, SHUT_WR);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int wire[2];
    int channel[2];
    struct mux_exit exit;
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, wire) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel))
        abort();
    struct guest guest = {wire[1], data, size};
    if (pthread_create(&thread, NULL, play, &guest))
        abort();
    struct link *link = link_open(wire[0], 1, 5000, NULL, NULL, NULL);
    if (link) {
        (void) link_exec(link, "open", 4, channel[0], &exit, NULL);
        link_drop(link);
    }
    (void) shutdown(wire[1], SHUT_RDWR);
    (void) pthread_join(thread, NULL);
    (void) close(wire[1]);
    (void) close(channel[0]);
    (void) close(channel[1]);
    return 0;
}
