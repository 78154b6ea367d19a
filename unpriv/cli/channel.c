#include "channel.h"

#include "../../common/io.h"
#include "../../common/mux.h"
#include "signals.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIVE_UP_MS   2000
#define PIPE_CHUNK   4096 /* PIPE_BUF: a writable pipe takes that much without blocking */
#define FILE_CHUNK   65536
#define CREDIT_BATCH 32768 /* give credit back in pieces of at least this */

/* What the guest wrote to stream 1 or 2 and we have not yet written: a ring as
 * large as the window, so the guest can never overrun it. */
struct sink {
    int fd;
    uint32_t stream;
    size_t chunk;
    size_t start, used;
    uint32_t owed; /* written, credit not yet given back */
    int gone;      /* the reader went away: the rest is dropped */
    unsigned char ring[MUX_WINDOW];
};

struct pump {
    int sock;
    const struct channel_options *options;
    struct channel_end *end;
    struct err *error;
    struct sink sink[2];
    int input;
    uint32_t credit; /* what we may still send on stream 0 */
    int input_open;
    int finished; /* EXIT came, or the channel was closed */
    int raw;
    long long last_signal;
    int last_number;
    size_t pending; /* bytes of `out` that wait for the socket */
    unsigned char out[sizeof(struct mux_header) + MUX_PAYLOAD_MAX];
};

/* --- sending ----------------------------------------------------------------- */

/* A small frame; blocks while the socket is full, which the engine soon mends. */
static int send_frame(struct pump *p, enum mux_type type, const void *payload, size_t size) {
    unsigned char frame[sizeof(struct mux_header) + 16];
    struct mux_header h = {.magic = MUX_MAGIC, .type = (uint8_t) type, .length = (uint32_t) size};
    memcpy(frame, &h, sizeof(h));
    memcpy(frame + sizeof(h), payload, size);
    while (send(p->sock, frame, sizeof(h) + size, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return -errno; /* it takes no more; what it has sent, EXIT last, is still to be read */
    }
    return 0;
}

static void send_pending(struct pump *p) {
    ssize_t n = send(p->sock, p->out, p->pending, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0)
        p->pending = 0;
    else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
        p->pending = 0, p->input_open = 0; /* as in send_frame */
}

static void send_size(struct pump *p) {
    struct mux_resize size = {0};
    terminal_size(&size.rows, &size.cols);
    (void) send_frame(p, MUX_RESIZE, &size, sizeof(size));
}

static void close_input(struct pump *p) {
    const uint8_t stream = 0;
    p->input_open = 0;
    (void) send_frame(p, MUX_EOF, &stream, sizeof(stream));
}

/* Reads the input into one frame. */
static void read_input(struct pump *p) {
    unsigned char *payload = p->out + sizeof(struct mux_header);
    size_t room = MUX_PAYLOAD_MAX - 1 < p->credit ? MUX_PAYLOAD_MAX - 1 : p->credit;
    ssize_t n = read(p->input, payload + 1, room);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close_input(p);
        return;
    }
    struct mux_header h = {.magic = MUX_MAGIC, .type = MUX_DATA, .length = (uint32_t) n + 1};
    memcpy(p->out, &h, sizeof(h));
    payload[0] = 0;
    p->credit -= (uint32_t) n;
    p->pending = sizeof(h) + (size_t) n + 1;
    send_pending(p);
}

/* --- receiving --------------------------------------------------------------- */

static int broken(struct pump *p, const char *what) {
    return err_set(p->error, EPROTO, "the command's channel is broken (%s): run the command again", what);
}

static int on_data(struct pump *p, const unsigned char *payload, size_t size) {
    if (size < 2 || payload[0] < 1 || payload[0] > 2)
        return broken(p, "data");
    struct sink *s = &p->sink[payload[0] - 1];
    size_t n = size - 1;
    if (n > sizeof(s->ring) - s->used)
        return broken(p, "window");
    size_t at = (s->start + s->used) % sizeof(s->ring);
    size_t first = sizeof(s->ring) - at < n ? sizeof(s->ring) - at : n;
    memcpy(s->ring + at, payload + 1, first);
    memcpy(s->ring, payload + 1 + first, n - first);
    s->used += n;
    return 0;
}

static int on_frame(struct pump *p, const struct mux_header *h, const unsigned char *payload) {
    struct mux_window window;
    struct mux_exit end;
    switch (h->type) {
    case MUX_DATA:
        return on_data(p, payload, h->length);
    case MUX_EOF:
        return 0;
    case MUX_WINDOW_ADD:
        if (h->length != sizeof(window))
            return broken(p, "window");
        memcpy(&window, payload, sizeof(window));
        if (window.stream == 0 && window.credit <= MUX_WINDOW - p->credit)
            p->credit += window.credit;
        return 0;
    case MUX_EXIT:
        if (h->length != sizeof(end))
            return broken(p, "exit");
        memcpy(&end, payload, sizeof(end));
        p->finished = p->end->exited = 1;
        p->end->status = (int) (end.signaled ? 128 + (end.code & 0x7f) : end.code & 0xff);
        return 0;
    default:
        return broken(p, "frame");
    }
}

static int receive(struct pump *p) {
    unsigned char frame[sizeof(struct mux_header) + MUX_PAYLOAD_MAX];
    ssize_t n = recv(p->sock, frame, sizeof(frame), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        p->finished = 1;
        return 0;
    }
    struct mux_header h;
    if ((size_t) n < sizeof(h))
        return broken(p, "frame");
    memcpy(&h, frame, sizeof(h));
    if (mux_header_bad(&h) || h.length != (size_t) n - sizeof(h))
        return broken(p, "frame");
    return on_frame(p, &h, frame + sizeof(h));
}

/* --- writing ----------------------------------------------------------------- */

static void give_credit(struct pump *p, struct sink *s) {
    if (p->finished || s->owed < CREDIT_BATCH)
        return;
    const struct mux_window window = {.stream = s->stream, .credit = s->owed};
    s->owed = 0;
    (void) send_frame(p, MUX_WINDOW_ADD, &window, sizeof(window));
}

/* The reader of our output went away: the command gets what it would get from a
 * broken pipe of its own, and what it still writes is dropped. */
static void reader_gone(struct pump *p, struct sink *s) {
    const struct mux_signal number = {.signal = SIGPIPE};
    s->gone = 1;
    if (!p->finished)
        (void) send_frame(p, MUX_SIGNAL, &number, sizeof(number));
}

static void consume(struct pump *p, struct sink *s, size_t n) {
    s->start = (s->start + n) % sizeof(s->ring);
    s->used -= n;
    s->owed += (uint32_t) n;
    give_credit(p, s);
}

static int write_sink(struct pump *p, struct sink *s) {
    size_t n = sizeof(s->ring) - s->start < s->used ? sizeof(s->ring) - s->start : s->used;
    if (n > s->chunk)
        n = s->chunk;
    ssize_t done = s->gone ? (ssize_t) n : write(s->fd, s->ring + s->start, n);
    if (done < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (done < 0 && errno != EPIPE && errno != EIO)
        return err_sys(p->error, errno, "cannot write the command's output");
    if (done < 0)
        reader_gone(p, s);
    consume(p, s, done < 0 ? n : (size_t) done);
    return 0;
}

/* --- signals ----------------------------------------------------------------- */

static void give_up(struct pump *p, int number) {
    signals_note(number);
    p->end->interrupted = number;
    p->finished = 1;
}

static void pass_on(struct pump *p, int number) {
    long long now = io_now_ms();
    if (number == p->last_number && now - p->last_signal < GIVE_UP_MS) {
        give_up(p, number);
        return;
    }
    p->last_number = number;
    p->last_signal = now;
    const struct mux_signal frame = {.signal = (uint32_t) number};
    (void) send_frame(p, MUX_SIGNAL, &frame, sizeof(frame));
}

static void on_signal(struct pump *p, int number) {
    switch (number) {
    case SIGWINCH:
    case SIGCONT:
        if (p->options->tty)
            send_size(p);
        break;
    case SIGTSTP:
        terminal_suspend();
        break;
    case SIGINT:
    case SIGTERM:
    case SIGQUIT:
        if (p->raw || p->options->streams) /* not from the keyboard: that sends bytes now */
            give_up(p, number);
        else
            pass_on(p, number);
        break;
    default:
        give_up(p, number);
        break;
    }
}

/* --- the loop ---------------------------------------------------------------- */

static void open_sink(struct sink *s, int fd, uint32_t stream) {
    struct stat st;
    s->fd = fd;
    s->stream = stream;
    s->gone = fstat(fd, &st) < 0;
    s->chunk = !s->gone && S_ISREG(st.st_mode) ? FILE_CHUNK : PIPE_CHUNK;
}

static int step(struct pump *p, int signals) {
    int reading = p->input_open && p->pending == 0 && p->credit > 0 && !p->finished;
    short to_socket = (short) (POLLIN | (p->pending ? POLLOUT : 0));
    struct pollfd polls[5] = {{.fd = p->finished ? -1 : p->sock, .events = to_socket},
                              {.fd = signals, .events = POLLIN},
                              {.fd = reading ? p->input : -1, .events = POLLIN},
                              {.fd = p->sink[0].used ? p->sink[0].fd : -1, .events = POLLOUT},
                              {.fd = p->sink[1].used ? p->sink[1].fd : -1, .events = POLLOUT}};
    int now = (p->sink[0].gone && p->sink[0].used) || (p->sink[1].gone && p->sink[1].used);
    if (poll(polls, 5, now ? 0 : -1) < 0)
        return errno == EINTR ? 0 : err_sys(p->error, errno, "cannot wait for the command");
    for (int number; polls[1].revents && (number = signals_next());)
        on_signal(p, number);
    int r = 0;
    for (int i = 0; r == 0 && i < 2; i++) {
        if (polls[3 + i].revents || (p->sink[i].gone && p->sink[i].used))
            r = write_sink(p, &p->sink[i]);
    }
    if (r == 0 && p->pending && (polls[0].revents & POLLOUT))
        send_pending(p);
    if (r == 0 && (polls[0].revents & ~POLLOUT))
        r = receive(p);
    if (r == 0 && reading && polls[2].revents && !p->finished)
        read_input(p);
    return r;
}

int channel_run(int sock, const struct channel_options *options, struct channel_end *end, struct err *e) {
    memset(end, 0, sizeof(*end));
    struct pump *p = calloc(1, sizeof(*p));
    if (!p) {
        (void) close(sock);
        return err_set(e, ENOMEM, "not enough memory to run the command");
    }
    p->sock = sock;
    p->options = options;
    p->end = end;
    p->error = e;
    p->credit = MUX_WINDOW;
    p->input_open = 1;
    static const int standard[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    const int *streams = options->streams ? options->streams : standard;
    p->input = streams[0];
    open_sink(&p->sink[0], streams[1], 1);
    open_sink(&p->sink[1], streams[2], 2);
    int signals = signals_open(), r = 0;
    if (options->tty) {
        p->raw = options->input && terminal_raw() == 0;
        send_size(p);
    }
    if (!options->input)
        close_input(p);
    while (r == 0 && !end->interrupted && !(p->finished && !p->sink[0].used && !p->sink[1].used))
        r = step(p, signals);
    terminal_restore();
    (void) close(sock);
    free(p);
    return r;
}
