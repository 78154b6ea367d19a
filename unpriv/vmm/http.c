#include "http.h"

#include "../../common/cleanup.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define STATUS_START "HTTP/1.1 "
#define STATUS_SIZE  (sizeof(STATUS_START) - 1 + 3) /* up to the code */
#define DIGITS_MAX   8                              /* of a length that can be read at all */

/* --- replies ------------------------------------------------------------------------- */

/* "HTTP/1.1 204", then nothing, or a blank and any reason. */
static int parse_status(const char *line, size_t size, struct http_reply *reply) {
    const char *code = line + sizeof(STATUS_START) - 1;
    if (size < STATUS_SIZE || memcmp(line, STATUS_START, sizeof(STATUS_START) - 1) != 0)
        return -EPROTO;
    if (size > STATUS_SIZE && line[STATUS_SIZE] != ' ')
        return -EPROTO;
    if (code[0] < '1' || code[0] > '5' || code[1] < '0' || code[1] > '9' || code[2] < '0' || code[2] > '9')
        return -EPROTO;
    reply->status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    return 0;
}

/* Of a header's value, blanks around it taken off: the whole of it, in decimal. */
static int parse_length(const char *text, size_t size, size_t *length) {
    while (size > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        size--;
    }
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    if (size == 0)
        return -EPROTO;
    *length = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EPROTO;
        if (i >= DIGITS_MAX)
            return -EMSGSIZE;
        *length = *length * 10 + (size_t) (text[i] - '0');
    }
    return *length <= HTTP_BODY_MAX ? 0 : -EMSGSIZE;
}

/* One header: only a length matters, and a body that comes in another way is refused. */
static int parse_header(const char *line, size_t size, int *has_length, struct http_reply *reply) {
    static const char length[] = "Content-Length", coding[] = "Transfer-Encoding";
    const char *colon = memchr(line, ':', size);
    size_t name = colon ? (size_t) (colon - line) : 0;
    if (name == 0 || line[0] == ' ' || line[0] == '\t')
        return -EPROTO;
    if (name == sizeof(coding) - 1 && strncasecmp(line, coding, name) == 0)
        return -EPROTO;
    if (name != sizeof(length) - 1 || strncasecmp(line, length, name) != 0)
        return 0;
    if (*has_length)
        return -EPROTO;
    *has_length = 1;
    return parse_length(colon + 1, size - name - 1, &reply->body_size);
}

/* The line at `*at`, its end taken off, and what comes after it: 1, 0 when it is not all
 * there, or a negative errno. */
static int next_line(const char *bytes, size_t have, size_t *at, const char **line, size_t *size) {
    const char *end = memchr(bytes + *at, '\n', have - *at);
    size_t stop = end ? (size_t) (end - bytes) : have;
    if (stop >= HTTP_HEAD_MAX)
        return -EMSGSIZE;
    if (!end)
        return 0;
    *line = bytes + *at;
    *size = stop - *at;
    if (*size == 0 || end[-1] != '\r' || memchr(*line, '\0', *size))
        return -EPROTO;
    --*size;
    *at = stop + 1;
    return 1;
}

int http_parse(const char *bytes, size_t have, struct http_reply *reply) {
    const char *line;
    size_t size, at = 0;
    int has_length = 0;
    *reply = (struct http_reply){0};
    for (;;) {
        int r = next_line(bytes, have, &at, &line, &size);
        if (r <= 0)
            return r;
        if (reply->status && size == 0)
            break;
        r = reply->status ? parse_header(line, size, &has_length, reply) : parse_status(line, size, reply);
        if (r)
            return r;
    }
    if (reply->status < 200 || (reply->status == 204 && reply->body_size > 0))
        return -EPROTO; /* nothing interim was asked for */
    reply->body = bytes + at;
    reply->size = at + reply->body_size;
    return have >= reply->size;
}

/* --- a connection -------------------------------------------------------------------- */

int http_open(struct http *http, int fd, struct err *e) {
    *http = (struct http){.fd = fd, .bytes = malloc(HTTP_HEAD_MAX + HTTP_BODY_MAX)};
    return http->bytes ? 0 : err_set(e, ENOMEM, "out of memory");
}

void http_close(struct http *http) {
    free(http->bytes);
    http->bytes = NULL;
}

static int broken(int code, struct err *e) {
    if (code == -ETIMEDOUT)
        return err_set(e, ETIMEDOUT, "the VMM does not answer");
    if (code == -ECANCELED)
        return err_set(e, ECANCELED, "the VMM has ended, or nobody waits for it any longer");
    return err_sys(e, -code, "the connection to the VMM broke");
}

static int send_all(int fd, const char *text, size_t size, const struct vmm_wait *wait) {
    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        int r = n < 0 ? vmm_wait_fd(fd, POLLOUT, wait) : 0;
        if (r)
            return r;
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t) n : 0;
    }
    return 0;
}

/* More bytes: 0, or a negative errno. */
static int fill(struct http *http, const struct vmm_wait *wait) {
    size_t room = HTTP_HEAD_MAX + HTTP_BODY_MAX - http->have;
    ssize_t n = room ? recv(http->fd, http->bytes + http->have, room, MSG_DONTWAIT) : -1;
    if (room == 0)
        return -EMSGSIZE;
    if (n > 0) {
        http->have += (size_t) n;
        return 0;
    }
    if (n == 0)
        return -ECONNRESET;
    return errno == EAGAIN || errno == EINTR ? vmm_wait_fd(http->fd, POLLIN, wait) : -errno;
}

static int take_reply(struct http *http, const struct vmm_wait *wait, struct http_reply *reply, struct err *e) {
    int complete, r = 0;
    while ((complete = http_parse(http->bytes, http->have, reply)) == 0 && r == 0)
        r = fill(http, wait);
    if (complete == 1) {
        http->used = reply->size;
        return 0;
    }
    if (complete == -EMSGSIZE || r == -EMSGSIZE)
        return err_set(e, EMSGSIZE, "the VMM's answer is too long");
    return complete < 0 ? err_set(e, EPROTO, "the VMM's answer cannot be read") : broken(r, e);
}

/* The request's text, the caller's; NULL without memory. */
static char *request_text(const char *method, const char *path, const char *body) {
    char *text = NULL;
    int n =
        body ? asprintf(&text,
                        "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        method, path, strlen(body), body)
             : asprintf(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n", method, path);
    return n < 0 ? NULL : text;
}

int http_call(struct http *http, const char *method, const char *path, const char *body, const struct vmm_wait *wait,
              struct http_reply *reply, struct err *e) {
    cleanup_free char *text = request_text(method, path, body);
    if (!text)
        return err_set(e, ENOMEM, "out of memory");
    http->have -= http->used;
    (void) memmove(http->bytes, http->bytes + http->used, http->have);
    http->used = 0;
    /* A server that has closed the connection may have said why before. */
    int r = send_all(http->fd, text, strlen(text), wait);
    return r && r != -EPIPE && r != -ECONNRESET ? broken(r, e) : take_reply(http, wait, reply, e);
}
