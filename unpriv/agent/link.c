#include "internal.h"

#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LINK_ANSWER_MS 1000
#define SLICE_MS       100 /* how often a wait looks at `cancelled` */
#define READER_STACK   131072
#define WELCOME_FRAME  (sizeof(struct mux_header) + sizeof(struct mux_welcome))
#define OPEN_MS        60000 /* emulation on a busy host is slow */
#define SIGNAL_MS      10000

/* --- writing ------------------------------------------------------------------ */

/* The link has ended: nobody waits for it any longer. */
static void die(struct link *link) {
    (void) pthread_mutex_lock(&link->lock);
    link->alive = 0;
    for (struct link_channel *c = link->channels; c; c = c->next)
        link_channel_end(c, LINK_DEAD);
    (void) pthread_cond_broadcast(&link->changed);
    (void) pthread_mutex_unlock(&link->lock);
    (void) shutdown(link->sock, SHUT_RDWR);
}

/* Takes `sent` bytes off the front of `parts`. */
static void advance(struct iovec *parts, size_t count, size_t sent) {
    for (size_t i = 0; i < count && sent > 0; i++) {
        size_t part = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        parts[i].iov_base = (char *) parts[i].iov_base + part;
        parts[i].iov_len -= part;
        sent -= part;
    }
}

/* All of `parts`, or a negative errno; -ETIMEDOUT when nothing moved for LINK_WRITE_MS. */
static int write_parts(int sock, struct iovec *parts, size_t count) {
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        left += parts[i].iov_len;
    while (left > 0) {
        struct msghdr msg = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            advance(parts, count, (size_t) n);
            left -= (size_t) n;
        } else if (n < 0 && errno == EAGAIN) {
            int r = io_wait(sock, POLLOUT, LINK_WRITE_MS);
            if (r)
                return r;
        } else if (n < 0 && errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int link_send(struct link *link, const struct mux_header *header, const void *payload) {
    struct iovec parts[2] = {{(void *) header, sizeof(*header)}, {(void *) payload, header->length}};
    (void) pthread_mutex_lock(&link->write_lock);
    int r = link->alive ? write_parts(link->sock, parts, 2) : -EPIPE;
    (void) pthread_mutex_unlock(&link->write_lock);
    if (r) {
        die(link);
        return -EPIPE;
    }
    return 0;
}

/* --- reading ------------------------------------------------------------------ */

static struct link_channel *find(struct link *link, uint32_t id) {
    struct link_channel *c = link->channels;
    while (c && c->id != id)
        c = c->next;
    return c;
}

static int take_pong(struct link *link, const struct mux_header *header, const uint8_t *payload) {
    uint64_t number = 0;
    if (header->length == sizeof(number))
        memcpy(&number, payload, sizeof(number));
    if (number == 0 || number > link->last_ping || number <= link->last_pong)
        return -EPROTO;
    link->last_pong = number;
    (void) pthread_cond_broadcast(&link->changed);
    return 0;
}

static int take_query(struct link *link, const struct mux_header *header, const uint8_t *payload) {
    struct mux_query query;
    if (header->length <= sizeof(query) || header->length > sizeof(query) + MUX_QUERY_MAX)
        return -EPROTO;
    memcpy(&query, payload, sizeof(query));
    if (link->on_query)
        link->on_query(link->on_query_arg, &query, payload + sizeof(query), header->length - (uint32_t) sizeof(query));
    return 0;
}

/* A frame of the guest: 0, or -EPROTO when it ends the link. A channel that was
 * opened once may still get frames that were on their way when it closed. */
static int take_frame(struct link *link, const struct mux_header *header, const uint8_t *payload) {
    int r = 0;
    (void) pthread_mutex_lock(&link->lock);
    if (header->channel != 0) {
        struct link_channel *channel = find(link, header->channel);
        if (channel)
            link_channel_from_guest(channel, header, payload);
        else if (header->channel > link->last_channel)
            r = -EPROTO;
    } else if (header->type == MUX_QUERY) {
        r = take_query(link, header, payload);
    } else {
        r = header->type == MUX_PONG ? take_pong(link, header, payload) : -EPROTO;
    }
    (void) pthread_mutex_unlock(&link->lock);
    return r;
}

/* Takes every whole frame in the buffer and moves the rest to its front. */
static int take_frames(struct link *link) {
    uint32_t at = 0;
    int r = 0;
    while (r == 0) {
        struct mux_header header;
        while (at < link->have && link->in[at] == 0)
            at++;
        if (link->have - at < sizeof(header))
            break;
        memcpy(&header, link->in + at, sizeof(header));
        if (mux_header_bad(&header))
            return -EPROTO;
        if (link->have - at - sizeof(header) < header.length)
            break;
        r = take_frame(link, &header, link->in + at + sizeof(header));
        at += (uint32_t) sizeof(header) + header.length;
    }
    memmove(link->in, link->in + at, link->have - at);
    link->have -= at;
    return r;
}

/* Reads what is there, waiting at most `timeout_ms`: the count, 0 at the end of
 * the stream, or a negative errno. The buffer always has room: it holds a whole frame. */
static ssize_t fill(struct link *link, int timeout_ms) {
    for (;;) {
        ssize_t n = recv(link->sock, link->in + link->have, sizeof(link->in) - link->have, MSG_DONTWAIT);
        if (n >= 0) {
            link->have += (uint32_t) n;
            return n;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int r = io_wait(link->sock, POLLIN, timeout_ms);
        if (r)
            return r;
    }
}

static void *reader(void *arg) {
    struct link *link = arg;
    while (take_frames(link) == 0 && fill(link, -1) > 0)
        continue;
    die(link);
    return NULL;
}

/* --- opening and closing -------------------------------------------------------- */

/* Looks for the WELCOME with our nonce; drops what cannot be its beginning. 1 when it is complete. */
static int find_welcome(struct link *link, const struct mux_hello *hello) {
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_WELCOME, .length = sizeof(struct mux_welcome)};
    uint8_t want[sizeof(header) + sizeof(hello->nonce)];
    memcpy(want, &header, sizeof(header));
    memcpy(want + sizeof(header), hello->nonce, sizeof(hello->nonce));
    uint32_t at = 0;
    for (; at < link->have; at++) {
        uint32_t rest = link->have - at;
        if (memcmp(link->in + at, want, rest < sizeof(want) ? rest : sizeof(want)) == 0)
            break;
    }
    memmove(link->in, link->in + at, link->have - at);
    link->have -= at;
    if (link->have < WELCOME_FRAME)
        return 0;
    memcpy(&link->welcome, link->in + sizeof(header), sizeof(link->welcome));
    link->have -= (uint32_t) WELCOME_FRAME;
    memmove(link->in, link->in + WELCOME_FRAME, link->have);
    return 1;
}

static int wait_welcome(struct link *link, const struct mux_hello *hello, int timeout_ms, int (*cancelled)(void *),
                        void *arg, struct err *e) {
    long long deadline = io_now_ms() + timeout_ms;
    while (!find_welcome(link, hello)) {
        long long rest = deadline - io_now_ms();
        if (cancelled && cancelled(arg))
            return err_set(e, ECANCELED, "the wait for the guest's agent was cancelled");
        if (rest <= 0)
            return err_set(e, ETIMEDOUT, "the guest's agent did not answer within %d s", timeout_ms / 1000);
        ssize_t n = fill(link, rest < SLICE_MS ? (int) rest : SLICE_MS);
        if (n == 0)
            return err_set(e, EPIPE, "the VMM closed the connection to the guest's agent");
        if (n < 0 && n != -ETIMEDOUT)
            return err_sys(e, (int) -n, "reading from the guest's agent");
    }
    if (link->welcome.version != MUX_VERSION)
        return err_set(e, EPROTO,
                       "the guest's agent speaks protocol %u, this daemon %u: import the kernel again with "
                       "`banger kernel import`, then restart the VM",
                       link->welcome.version, MUX_VERSION);
    link->welcome.boot_id[sizeof(link->welcome.boot_id) - 1] = 0;
    link->welcome.build[sizeof(link->welcome.build) - 1] = 0;
    text_sanitize(link->welcome.boot_id);
    text_sanitize(link->welcome.build);
    return 0;
}

/* Padding where an earlier connection may have cut a frame, then HELLO. */
static int greet(struct link *link, int fresh, struct mux_hello *hello) {
    struct timespec now;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    *hello = (struct mux_hello){.version = MUX_VERSION};
    hello->realtime_ns = (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
    if (getrandom(hello->nonce, sizeof(hello->nonce), 0) != (ssize_t) sizeof(hello->nonce))
        return -EIO;
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_HELLO, .length = sizeof(*hello)};
    memset(link->in, 0, MUX_PAD);
    struct iovec parts[3] = {{link->in, fresh ? 0 : MUX_PAD}, {&header, sizeof(header)}, {hello, sizeof(*hello)}};
    return write_parts(link->sock, parts, 3);
}

static struct link *link_new(int sock) {
    struct link *link = calloc(1, sizeof(*link));
    if (!link) {
        (void) close(sock);
        return NULL;
    }
    pthread_condattr_t attr;
    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_cond_init(&link->changed, &attr);
    (void) pthread_condattr_destroy(&attr);
    (void) pthread_mutex_init(&link->lock, NULL);
    (void) pthread_mutex_init(&link->write_lock, NULL);
    link->sock = sock;
    link->open_ms = OPEN_MS;
    link->signal_ms = SIGNAL_MS;
    link->holders = 1;
    link->alive = 1;
    return link;
}

static void link_free(struct link *link) {
    (void) close(link->sock);
    (void) pthread_cond_destroy(&link->changed);
    (void) pthread_mutex_destroy(&link->lock);
    (void) pthread_mutex_destroy(&link->write_lock);
    free(link);
}

static int start_reader(struct link *link) {
    pthread_attr_t attr;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, READER_STACK);
    int r = pthread_create(&link->reader, &attr, reader, link);
    (void) pthread_attr_destroy(&attr);
    return -r;
}

struct link *link_open(int sock, int fresh, int timeout_ms, int (*cancelled)(void *), void *arg, struct err *e) {
    struct mux_hello hello;
    struct link *link = link_new(sock);
    if (!link) {
        (void) err_set(e, ENOMEM, "out of memory for the connection to the guest");
        return NULL;
    }
    int r = greet(link, fresh, &hello);
    if (r)
        r = err_sys(e, -r, "greeting the guest's agent");
    else
        r = wait_welcome(link, &hello, timeout_ms, cancelled, arg, e);
    if (r == 0) {
        r = start_reader(link);
        if (r)
            r = err_sys(e, -r, "starting a thread for the guest's agent");
    }
    if (r) {
        link_free(link);
        return NULL;
    }
    return link;
}

struct link *link_hold(struct link *link) {
    link->holders++;
    return link;
}

void link_drop(struct link *link) {
    if (!link || --link->holders > 0)
        return;
    die(link);
    (void) pthread_join(link->reader, NULL);
    link_free(link);
}

int link_alive(struct link *link) {
    return link->alive;
}

const struct mux_welcome *link_welcome(const struct link *link) {
    return &link->welcome;
}

/* --- channels and the link's own messages ---------------------------------------- */

int link_channel_add(struct link *link, struct link_channel *channel, int client) {
    (void) pthread_mutex_lock(&link->lock);
    int r = link->alive && link->last_channel < UINT32_MAX ? 0 : -EPIPE;
    if (r == 0)
        r = link_channel_init(channel, link->last_channel + 1, client);
    if (r == 0) {
        link->last_channel++;
        channel->next = link->channels;
        link->channels = channel;
    }
    (void) pthread_mutex_unlock(&link->lock);
    return r;
}

void link_channel_remove(struct link *link, struct link_channel *channel) {
    (void) pthread_mutex_lock(&link->lock);
    struct link_channel **at = &link->channels;
    while (*at && *at != channel)
        at = &(*at)->next;
    if (*at)
        *at = channel->next;
    (void) pthread_mutex_unlock(&link->lock);
    link_channel_free(channel);
}

uint64_t link_ping_send(struct link *link) {
    (void) pthread_mutex_lock(&link->lock);
    uint64_t number = ++link->last_ping;
    (void) pthread_mutex_unlock(&link->lock);
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_PING, .length = sizeof(number)};
    return link_send(link, &header, &number) ? 0 : number;
}

int link_ping_answered(struct link *link, uint64_t number) {
    (void) pthread_mutex_lock(&link->lock);
    int answered = link->last_pong >= number;
    (void) pthread_mutex_unlock(&link->lock);
    return answered;
}

int link_ping(struct link *link, int timeout_ms, struct err *e) {
    struct timespec until;
    (void) clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long) (timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    uint64_t number = link_ping_send(link);
    if (number == 0)
        return err_set(e, EPIPE, "the connection to the guest's agent is broken");
    int r = 0;
    (void) pthread_mutex_lock(&link->lock);
    while (r == 0 && link->last_pong < number && link->alive)
        r = pthread_cond_timedwait(&link->changed, &link->lock, &until);
    int answered = link->last_pong >= number;
    (void) pthread_mutex_unlock(&link->lock);
    if (answered)
        return 0;
    return r ? err_set(e, ETIMEDOUT, "the guest's agent did not answer within %d ms", timeout_ms)
             : err_set(e, EPIPE, "the connection to the guest's agent broke");
}

int link_poweroff(struct link *link, struct err *e) {
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_POWEROFF};
    if (link_send(link, &header, NULL))
        return err_set(e, EPIPE, "the connection to the guest's agent is broken");
    return 0;
}

/* --- lookups ---------------------------------------------------------------------- */

void link_on_query(struct link *link, link_query *take, void *arg) {
    (void) pthread_mutex_lock(&link->lock);
    link->on_query = take;
    link->on_query_arg = arg;
    (void) pthread_mutex_unlock(&link->lock);
}

/* A frame that was begun has to be ended: none is begun that the socket may not take whole. A stream socket
 * says it is writable while three quarters of its buffer are free (unix(7), unix_writable). */
void link_answer(struct link *link, const void *answer, uint32_t size) {
    struct mux_header header = {.magic = MUX_MAGIC, .type = MUX_ANSWER, .length = size};
    if (io_wait(link->sock, POLLOUT, LINK_ANSWER_MS) == 0)
        (void) link_send(link, &header, answer);
}
