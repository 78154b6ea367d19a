/* The API's transport, as micro_http has it: at most ten connections, lines of at most
 * 1024 bytes, bodies by Content-Length of at most 51200, no reason phrase in a reply. */
#include "fake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 10
#define LINE_MAX    1024
#define BODY_MAX    51200
#define IN_MAX      (BODY_MAX + 16384)

static struct connection {
    int fd;
    size_t have;
    char in[IN_MAX + 1];
} connections[CONNECTIONS];
static int listener = -1;

void http_listen(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *) &address, sizeof(address)) || listen(listener, 128)) {
        (void) fprintf(stderr, "Failed to open the API socket at: %s. Check that it is not already used.\n", path);
        exit(1);
    }
    for (int i = 0; i < CONNECTIONS; i++)
        connections[i].fd = -1;
}

/* All of it, in pieces: nobody reads for long who is being tested. */
static void put(int fd, const char *text, size_t size, int piece) {
    while (size > 0) {
        size_t part = size < (size_t) piece ? size : (size_t) piece;
        ssize_t n = send(fd, text, part, MSG_NOSIGNAL);
        if (n < 0)
            return;
        text += n;
        size -= (size_t) n;
        if (size > 0 && piece < 1 << 20)
            (void) usleep(300);
    }
}

static void hang_up(struct connection *c) {
    (void) close(c->fd);
    c->fd = -1;
}

void reply_fault(struct reply *reply, const char *what, ...) {
    char text[1024];
    va_list list;
    va_start(list, what);
    (void) vsnprintf(text, sizeof(text), what, list);
    va_end(list);
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "fault_message", text);
    char *body = cJSON_PrintUnformatted(object);
    reply->status = 400;
    (void) snprintf(reply->text, sizeof(reply->text), "%s", body);
    free(body);
    cJSON_Delete(object);
    fake_log("Error", "Received Error. Status code: 400 Bad Request. Message: %s", text);
}

static void answer(struct connection *c, const char *path, struct reply *reply) {
    static char text[32768];
    struct behaviour b;
    behaviour_read(&b);
    const int here = b.at[0] == '\0' || strcmp(b.at, path) == 0;
    if (here && b.delay)
        (void) usleep((useconds_t) b.delay * 1000);
    int n =
        reply->status == 204
            ? snprintf(text, sizeof(text), "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n")
            : snprintf(text, sizeof(text),
                       "HTTP/1.1 %d \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: "
                       "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       reply->status, strlen(reply->text), reply->text);
    if (here && b.cut >= 0 && b.cut < n) {
        put(c->fd, text, (size_t) b.cut, b.split);
        hang_up(c);
        return;
    }
    put(c->fd, text, (size_t) n, here ? b.split : 1 << 20);
}

/* What is no HTTP: the body looks like JSON and has a newline in a string. */
static void malformed(struct connection *c, const char *what) {
    struct reply reply = {.status = 400};
    (void) snprintf(reply.text, sizeof(reply.text),
                    "{ \"error\": \"%s\nAll previous unanswered requests will be dropped.\" }", what);
    answer(c, "", &reply);
    c->have = 0;
}

/* What a test asks for instead of an answer; 1 when that was done. */
static int misbehave(struct connection *c, const char *path) {
    static const char full[] =
        "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n\r\n"
        "{ \"error\": \"Too many open connections\" }";
    struct behaviour b;
    struct reply reply = {0};
    behaviour_read(&b);
    if (b.refuse == 0 || (b.at[0] && strcmp(b.at, path) != 0))
        return 0;
    if (b.refuse == 1)
        reply_fault(&reply, "asked to refuse %s", path);
    if (b.refuse == 1)
        answer(c, path, &reply);
    if (b.refuse == 2)
        malformed(c, "asked for the other kind");
    if (b.refuse == 3)
        put(c->fd, full, sizeof(full) - 1, b.split);
    if (b.refuse == 4)
        put(c->fd, "220 mail.example ESMTP\r\n", 24, b.split);
    if (b.refuse == 3 || b.refuse == 4)
        hang_up(c);
    if (b.refuse == 5)
        exit(148);
    return 1;
}

static void serve(struct connection *c, const char *method, const char *path, const char *text, size_t size) {
    struct reply reply = {.status = 204};
    cJSON *body = size ? cJSON_ParseWithLengthOpts(text, size, NULL, 0) : NULL;
    if (misbehave(c, path))
        return;
    fake_log("Info", "The API server received a %s request on \"%s\" with body \"%.*s\".", method, path, (int) size,
             text);
    if (size && !body)
        reply_fault(&reply, "An error occurred when deserializing the json body of a request: expected value.");
    else
        api_call(method, path, body, &reply);
    cJSON_Delete(body);
    answer(c, path, &reply);
}

/* The header's value in `line`, or NULL. */
static const char *header(const char *line, const char *name) {
    size_t size = strlen(name);
    if (strncasecmp(line, name, size) != 0 || line[size] != ':')
        return NULL;
    return line + size + 1 + strspn(line + size + 1, " \t");
}

/* One request off the buffer: 1, 0 when it is not all there, -1 when it is malformed. */
static int take(struct connection *c) {
    char method[16], path[LINE_MAX], version[16], line[LINE_MAX + 1];
    size_t at = 0, length = 0, lines = 0;
    for (;; lines++) {
        const char *end = memmem(c->in + at, c->have - at, "\r\n", 2);
        size_t size = end ? (size_t) (end - c->in) - at : c->have - at;
        if (size > LINE_MAX)
            return malformed(c, "Invalid request line or header."), -1;
        if (!end)
            return 0;
        (void) snprintf(line, sizeof(line), "%.*s", (int) size, c->in + at);
        at += size + 2;
        if (lines == 0 && (sscanf(line, "%15s %1023s %15s", method, path, version) != 3 ||
                           strcmp(version, "HTTP/1.1") != 0 || path[0] != '/' ||
                           (strcmp(method, "GET") != 0 && strcmp(method, "PUT") != 0 && strcmp(method, "PATCH") != 0 &&
                            strcmp(method, "DELETE") != 0)))
            return malformed(c, "Invalid HTTP Method."), -1;
        if (lines > 0 && size == 0)
            break;
        if (lines > 0 && !strchr(line, ':'))
            return malformed(c, "Invalid header."), -1;
        const char *value = lines > 0 ? header(line, "Content-Length") : NULL;
        if (value)
            length = strtoul(value, NULL, 10);
        if (lines > 0 && header(line, "Transfer-Encoding"))
            return malformed(c, "Unsupported header."), -1;
    }
    if (length > BODY_MAX)
        return malformed(c, "Request payload is too large."), -1;
    if (c->have - at < length)
        return 0;
    static char body[BODY_MAX + 1];
    memcpy(body, c->in + at, length);
    body[length] = '\0';
    c->have -= at + length;
    memmove(c->in, c->in + at + length, c->have);
    serve(c, method, path, body, length);
    return 1;
}

static void take_connection(void) {
    static const char full[] =
        "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n\r\n"
        "{ \"error\": \"Too many open connections\" }";
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    for (int i = 0; fd >= 0 && i < CONNECTIONS; i++) {
        if (connections[i].fd < 0) {
            connections[i].fd = fd;
            connections[i].have = 0;
            return;
        }
    }
    if (fd >= 0) {
        put(fd, full, sizeof(full) - 1, 1 << 20);
        (void) close(fd);
    }
}

size_t http_poll(struct pollfd *list) {
    list[0] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (int i = 0; i < CONNECTIONS; i++)
        list[1 + i] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN | POLLRDHUP};
    return 1 + CONNECTIONS;
}

void http_turn(const struct pollfd *list) {
    for (int i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &connections[i];
        if (c->fd < 0 || list[1 + i].fd != c->fd || !list[1 + i].revents)
            continue;
        ssize_t n = recv(c->fd, c->in + c->have, IN_MAX - c->have, MSG_DONTWAIT);
        /* Whoever shuts his sending side gets no reply. */
        if (n == 0 || (n < 0 && errno != EAGAIN) || (list[1 + i].revents & POLLRDHUP)) {
            hang_up(c);
            continue;
        }
        c->have += n > 0 ? (size_t) n : 0;
        while (c->fd >= 0 && c->have > 0 && take(c) == 1)
            continue;
    }
    if (list[0].revents)
        take_connection();
}
