#include "dial.h"

#include "../../../common/fdpass.h"
#include "../../../common/io.h"
#include "confine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_SIZE 8192
#define DNS_PORT    53
#define LOOK_MS     1000 /* how often resolv.conf is looked at */

/* --- resolv.conf ----------------------------------------------------------------------- */

static int parse_address(const char *text, struct dial_server *out) {
    char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    (void) snprintf(copy, sizeof(copy), "%s", text);
    char *scope = strchr(copy, '%');
    if (scope)
        *scope++ = '\0';
    *out =
        (struct dial_server){.size = sizeof(out->at.v4), .at.v4 = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)}};
    if (inet_pton(AF_INET, copy, &out->at.v4.sin_addr) == 1)
        return 1;
    *out = (struct dial_server){.size = sizeof(out->at.v6),
                                .at.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)}};
    if (scope)
        out->at.v6.sin6_scope_id = if_nametoindex(scope);
    return inet_pton(AF_INET6, copy, &out->at.v6.sin6_addr) == 1;
}

/* The word after "nameserver", or "". */
static void server_word(const char *line, char word[64]) {
    static const char keyword[] = "nameserver";
    word[0] = '\0';
    if (strncmp(line, keyword, sizeof(keyword) - 1) != 0)
        return;
    line += sizeof(keyword) - 1;
    const size_t space = strspn(line, " \t"), length = strcspn(line + space, " \t\r\n");
    if (space && length < 64)
        (void) snprintf(word, 64, "%.*s", (int) length, line + space);
}

size_t dial_servers(const char *text, struct dial_server servers[DIAL_SERVERS_MAX]) {
    size_t count = 0;
    for (const char *line = text; line && count < DIAL_SERVERS_MAX; line = strchr(line, '\n')) {
        char word[64];
        line += *line == '\n';
        server_word(line, word);
        if (word[0])
            count += (size_t) parse_address(word, &servers[count]);
    }
    if (count == 0)
        count += (size_t) parse_address("127.0.0.1", &servers[0]);
    return count;
}

/* --- serving ----------------------------------------------------------------------------- */

static struct dial_server servers[DIAL_SERVERS_MAX];
static size_t server_count;
static struct stat seen;

static int changed(void) {
    struct stat now = {0};
    (void) stat(RESOLV_CONF, &now);
    return now.st_dev != seen.st_dev || now.st_ino != seen.st_ino || now.st_size != seen.st_size ||
           now.st_mtim.tv_sec != seen.st_mtim.tv_sec || now.st_mtim.tv_nsec != seen.st_mtim.tv_nsec;
}

static void read_servers(void) {
    char text[RESOLV_SIZE] = "";
    (void) stat(RESOLV_CONF, &seen);
    int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = io_read_some(fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        (void) close(fd);
    }
    server_count = dial_servers(text, servers);
}

static int connected(int type, const struct dial_server *to) {
    int sock = socket(to->at.any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return -errno;
    if (connect(sock, &to->at.any, to->size) && errno != EINPROGRESS) {
        int r = -errno;
        (void) close(sock);
        return r;
    }
    return sock;
}

/* What the host sends to an address of its own it sends from that address. Nothing is sent here. */
static int is_own(uint32_t address) {
    struct dial_server to = {
        .size = sizeof(to.at.v4),
        .at.v4 = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT), .sin_addr = {htonl(address)}}};
    struct sockaddr_in from = {0};
    socklen_t size = sizeof(from);
    int sock = connected(SOCK_DGRAM, &to);
    if (sock < 0)
        return sock == -ENETUNREACH || sock == -EHOSTUNREACH || sock == -EACCES ? 0 : sock;
    int r = getsockname(sock, (struct sockaddr *) &from, &size) ? -errno : 0;
    if (r == 0) /* or from the loopback, whose every address is one */
        r = from.sin_addr.s_addr == htonl(address) || ntohl(from.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    (void) close(sock);
    return r;
}

static void serve_one(int sock, const struct dial_request *request) {
    struct dial_reply reply = {0};
    int r = -EINVAL;
    if (request->what == DIAL_OWN) {
        r = is_own(request->number);
        reply.own = r == 1;
    } else if (request->what == DIAL_UDP || request->what == DIAL_TCP) {
        r = request->number < server_count
                ? connected(request->what == DIAL_UDP ? SOCK_DGRAM : SOCK_STREAM, &servers[request->number])
                : -ENOENT;
    }
    reply.error = r < 0 ? -r : 0;
    const int with = r >= 0 && request->what != DIAL_OWN;
    (void) fdpass_send(sock, &reply, sizeof(reply), &r, (size_t) with);
    if (with)
        (void) close(r);
}

int dial_serve(int sock) {
    read_servers();
    if (confine_dialler())
        return 1;
    while (!changed()) {
        struct dial_request request = {0};
        size_t count = 0;
        int none[1];
        int r = io_wait(sock, POLLIN, LOOK_MS);
        if (r == -ETIMEDOUT)
            continue;
        ssize_t n = r ? r : fdpass_recv(sock, &request, sizeof(request), none, 0, &count);
        if (n != (ssize_t) sizeof(request))
            return n != 0;
        serve_one(sock, &request);
    }
    return 0;
}

/* --- the other half ------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int dialler = -1;

void dial_open(int sock) {
    dialler = sock;
}

static int ask(const struct dial_request *request, struct dial_reply *reply, int *fd) {
    size_t count = 0;
    *fd = -1;
    (void) pthread_mutex_lock(&lock);
    int r = fdpass_send(dialler, request, sizeof(*request), NULL, 0);
    ssize_t n = r ? r : fdpass_recv(dialler, reply, sizeof(*reply), fd, 1, &count);
    (void) pthread_mutex_unlock(&lock);
    if (n != (ssize_t) sizeof(*reply))
        return n < 0 ? (int) n : -EPIPE;
    return -reply->error;
}

int dial_socket(enum dial_what what, uint32_t server) {
    const struct dial_request request = {what, server};
    struct dial_reply reply = {0};
    int fd;
    int r = ask(&request, &reply, &fd);
    return r ? r : fd >= 0 ? fd : -EPROTO;
}

int dial_is_own(uint32_t address) {
    const struct dial_request request = {DIAL_OWN, address};
    struct dial_reply reply = {0};
    int fd;
    int r = ask(&request, &reply, &fd);
    return r ? r : reply.own != 0;
}
