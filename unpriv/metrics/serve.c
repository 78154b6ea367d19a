#include "serve.h"

#include "../../common/io.h"
#include "place.h"
#include "request.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the engine sent, for as long as an answer or the next request may need it. */
struct text {
    size_t refs;
    size_t size;
    char bytes[];
};

enum phase {
    READS,   /* its request comes */
    WAITS,   /* for the engine's text */
    ANSWERS, /* the head, and then the body, go out */
    ENDS,    /* all is sent; what still comes is thrown away, since a close before would cut the answer */
};
struct connection {
    int fd; /* -1: free */
    enum phase phase;
    int trusted;     /* it knew the token */
    int head_only;   /* no body */
    long long began; /* io_now_ms */
    long long until; /* when this phase has taken too long */
    size_t used;     /* of `in`; of an answer, what was sent of it */
    size_t head_size;
    struct text *text; /* the body of a good answer */
    const char *words; /* of another */
    char in[REQUEST_MAX];
    char head[320];
};

static struct connection connections[SERVE_CONNECTIONS];
static struct text *current; /* the last that came */
static long long current_at; /* io_now_ms */
static int asked;            /* the engine makes another */

int metrics_listen(const struct metrics_setup *setup, struct err *e) {
    const int on = 1;
    char place[METRICS_PLACE_SIZE];
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t) setup->port), .sin_addr.s_addr = htonl(setup->address)};
    metrics_place_show((int64_t) setup->address << 16 | (int64_t) setup->port, place, sizeof(place));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Connections of an earlier one that are closed are no hindrance. Another's listener is. */
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, (const struct sockaddr *) &at, sizeof(at)) == 0 && listen(fd, SERVE_CONNECTIONS) == 0)
        return fd;
    const int code = errno;
    if (fd >= 0)
        (void) close(fd);
    return code == EADDRINUSE ? err_set(e, code, "another program has %s", place)
                              : err_sys(e, code, "cannot listen on %s", place);
}

/* --- texts --------------------------------------------------------------------------- */

static void drop(struct text *text) {
    if (text && --text->refs == 0)
        free(text);
}

static int is_fresh(const struct metrics_setup *setup) {
    return current && io_now_ms() - current_at < 1000LL * setup->interval_s;
}

/* --- answers ------------------------------------------------------------------------- */

#define CHALLENGE "WWW-Authenticate: Bearer realm=\"banger\"\r\n"

static const struct answer {
    int status;
    const char *reason, *header, *words;
} answers[] = {
    {REQUEST_OK, "OK", "", ""},
    {REQUEST_BAD, "Bad Request", "", "This is no HTTP request.\n"},
    {REQUEST_FOREIGN, "Unauthorized", CHALLENGE,
     "Send the header \"Authorization: Bearer SECRET\"; `banger daemon status` names the secret's file.\n"},
    {REQUEST_NOWHERE, "Not Found", "", "There is /metrics, and nothing else.\n"},
    {REQUEST_METHOD, "Method Not Allowed", "Allow: GET, HEAD\r\n", "The figures can be read, and nothing else.\n"},
    {REQUEST_LONG, "Request Header Fields Too Large", "", "A request has 4096 bytes at most.\n"},
    {503, "Service Unavailable", "", "The daemon gives no figures now; bangerd.log may say why.\n"},
};

static void enter(struct connection *c, enum phase phase, int ms) {
    c->phase = phase;
    c->until = io_now_ms() + ms;
}

static void hang_up(struct connection *c) {
    if (c->fd >= 0)
        (void) close(c->fd);
    c->fd = -1;
    drop(c->text);
    c->text = NULL;
}

/* Begins the answer; of REQUEST_OK it is the current text. */
static void answer(struct connection *c, int status) {
    const struct answer *a = answers;
    while (a->status != status)
        a++;
    if (status == REQUEST_OK) {
        c->text = current;
        c->text->refs++;
    }
    c->words = a->words;
    const size_t size = c->text ? c->text->size : strlen(a->words);
    c->head_size = (size_t) snprintf(c->head, sizeof(c->head),
                                     "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                                     "Content-Length: %zu\r\n%sCache-Control: no-store\r\nConnection: close\r\n\r\n",
                                     status, a->reason, size, a->header);
    c->used = 0;
    enter(c, ANSWERS, SERVE_ANSWER_MS);
}

/* Sends `size` bytes of which `done` are gone; 0, or -1: hang up. */
static int push(struct connection *c, const char *bytes, size_t size, size_t done) {
    if (done >= size)
        return 0;
    const ssize_t n = send(c->fd, bytes + done, size - done, MSG_NOSIGNAL);
    if (n > 0)
        c->used += (size_t) n;
    return n > 0 || errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static int go_on(struct connection *c) {
    const char *body = c->text ? c->text->bytes : c->words;
    const size_t body_size = c->head_only ? 0 : c->text ? c->text->size : strlen(c->words);
    if (push(c, c->head, c->head_size, c->used))
        return -1;
    if (c->used >= c->head_size && push(c, body, body_size, c->used - c->head_size))
        return -1;
    if (c->used < c->head_size + body_size)
        return 0;
    enter(c, ENDS, SERVE_END_MS);
    return shutdown(c->fd, SHUT_WR);
}

/* --- requests ------------------------------------------------------------------------ */

/* A place for a new one: a free one, else the oldest without the token, else the oldest. */
static struct connection *find_place(void) {
    struct connection *best = connections;
    for (struct connection *c = connections; c < connections + SERVE_CONNECTIONS && best->fd >= 0; c++) {
        const int sooner = c->trusted != best->trusted ? !c->trusted : c->began < best->began;
        if (c->fd < 0 || sooner)
            best = c;
    }
    return best;
}

static void take_connection(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct connection *c = find_place();
    hang_up(c);
    c->fd = fd;
    c->trusted = c->head_only = 0;
    c->used = 0;
    c->began = io_now_ms();
    enter(c, READS, SERVE_REQUEST_MS);
}

/* A good request: the text that is there, or the next one. */
static void serve_text(struct connection *c, int control, const struct metrics_setup *setup) {
    c->trusted = 1;
    if (is_fresh(setup)) {
        answer(c, REQUEST_OK);
        return;
    }
    enter(c, WAITS, SERVE_TEXT_MS);
    if (!asked)
        asked = send(control, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

static int read_request(struct connection *c, int control, const struct metrics_setup *setup) {
    const ssize_t n = recv(c->fd, c->in + c->used, sizeof(c->in) - c->used, 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    c->used += (size_t) n;
    const enum request_status status = request_read(c->in, c->used, setup->token, &c->head_only);
    if (status == REQUEST_OK)
        serve_text(c, control, setup);
    else if (status != REQUEST_MORE)
        answer(c, status);
    return 0;
}

/* What comes after the request is nobody's; -1 at its end. */
static int throw_away(struct connection *c) {
    const ssize_t n = recv(c->fd, c->in, sizeof(c->in), 0);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) ? 0 : -1;
}

static short wanted(const struct connection *c) {
    static const short events[] = {[READS] = POLLIN, [WAITS] = 0, [ANSWERS] = POLLOUT, [ENDS] = POLLIN};
    return events[c->phase];
}

/* 0, or -1: hang up. */
static int serve_connection(struct connection *c, int control, const struct metrics_setup *setup) {
    switch (c->phase) {
    case READS:
        return read_request(c, control, setup);
    case ANSWERS:
        return go_on(c);
    case ENDS:
        return throw_away(c);
    case WAITS: /* it has gone */
    default:
        return -1;
    }
}

/* --- the engine ---------------------------------------------------------------------- */

static struct text *coming; /* a text that is not complete */
static size_t came;         /* bytes of its size, and then of it */
static uint32_t announced;

static void finish_text(struct text *text) {
    asked = 0;
    if (text) {
        drop(current);
        current = text;
        current_at = io_now_ms();
    }
    for (struct connection *c = connections; c < connections + SERVE_CONNECTIONS; c++) {
        if (c->fd >= 0 && c->phase == WAITS)
            answer(c, text ? REQUEST_OK : 503);
    }
}

/* The size is known: 0, or a negative errno. */
static int begin_text(void) {
    came = 0;
    if (!asked || announced > METRICS_TEXT_MAX)
        return -EBADMSG;
    if (announced == 0) {
        finish_text(NULL);
        return 0;
    }
    coming = malloc(sizeof(*coming) + announced);
    if (!coming)
        return -ENOMEM;
    coming->refs = 1;
    coming->size = announced;
    return 0;
}

/* Takes what the engine says. 1 to go on, 0 at its end, or a negative errno. */
static int take_text(int control) {
    char *to = coming ? coming->bytes : (char *) &announced;
    const size_t size = coming ? coming->size : sizeof(announced);
    const ssize_t n = recv(control, to + came, size - came, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 1 : 0;
    came += (size_t) n;
    if (came < size)
        return 1;
    if (!coming) {
        const int r = begin_text();
        return r ? r : 1;
    }
    struct text *whole = coming;
    coming = NULL;
    came = 0;
    finish_text(whole);
    return 1;
}

/* --- the loop ------------------------------------------------------------------------ */

/* Ends what has taken too long; how long until the next one has, -1 without connections. */
static int expire(void) {
    const long long now = io_now_ms();
    long long next = -1;
    for (struct connection *c = connections; c < connections + SERVE_CONNECTIONS; c++) {
        if (c->fd >= 0 && c->until <= now && c->phase == WAITS)
            answer(c, 503);
        else if (c->fd >= 0 && c->until <= now)
            hang_up(c);
        if (c->fd >= 0 && (next < 0 || c->until - now < next))
            next = c->until - now;
    }
    return (int) next;
}

static int turn(int control, int listener, const struct metrics_setup *setup) {
    struct pollfd p[2 + SERVE_CONNECTIONS] = {{.fd = control, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    const int wait = expire();
    for (size_t i = 0; i < SERVE_CONNECTIONS; i++)
        p[2 + i] = (struct pollfd){.fd = connections[i].fd, .events = wanted(&connections[i])};
    if (poll(p, 2 + SERVE_CONNECTIONS, wait) < 0)
        return errno == EINTR ? 1 : -errno;
    for (size_t i = 0; i < SERVE_CONNECTIONS; i++) {
        if (p[2 + i].revents && serve_connection(&connections[i], control, setup))
            hang_up(&connections[i]);
    }
    if (p[1].revents)
        take_connection(listener);
    return p[0].revents ? take_text(control) : 1;
}

int metrics_serve(int control, int listener, const struct metrics_setup *setup) {
    int r = 1;
    for (struct connection *c = connections; c < connections + SERVE_CONNECTIONS; c++)
        c->fd = -1;
    while (r > 0)
        r = turn(control, listener, setup);
    return r;
}
