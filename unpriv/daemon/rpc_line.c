#include "rpc_line.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "rpc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Brackets outside strings, counted: 1 when they nest deeper than allowed. */
static int too_deep(const char *line, size_t size) {
    int depth = 0;
    int quoted = 0;
    for (size_t i = 0; i < size; i++) {
        if (quoted && line[i] == '\\')
            i++;
        else if (line[i] == '"')
            quoted = !quoted;
        else if (!quoted && (line[i] == '{' || line[i] == '['))
            depth++;
        else if (!quoted && (line[i] == '}' || line[i] == ']'))
            depth--;
        if (depth > RPC_DEPTH_MAX)
            return 1;
    }
    return 0;
}

cJSON *rpc_line_parse(const char *line, size_t size, struct err *e) {
    if (memchr(line, '\0', size) || too_deep(line, size)) {
        (void) err_set(e, EBADMSG, "the request is not JSON that bangerd reads: no NUL bytes, at most %d levels",
                       RPC_DEPTH_MAX);
        return NULL;
    }
    const char *end = line;
    cJSON *request = cJSON_ParseWithLengthOpts(line, size, &end, 0);
    while (request && end < line + size && strchr(" \t\r", *end))
        end++;
    if (cJSON_IsObject(request) && end == line + size)
        return request;
    cJSON_Delete(request);
    (void) err_set(e, EBADMSG, "the request is not one JSON object on one line: see docs/protocol.md");
    return NULL;
}

/* The bytes at hand, and their descriptors, which only the first byte may carry. */
static int receive(int sock, char *line, size_t have, int *fds, size_t *count, struct err *e) {
    size_t got = 0;
    ssize_t n = fdpass_recv(sock, line + have, RPC_LINE_MAX - have, fds, have ? 0 : RPC_FDS_MAX, &got);
    if (have == 0)
        *count = got;
    if (n == -EBADMSG)
        return err_set(e, EBADMSG, "at most %d descriptors may come with a request, attached to its first byte",
                       RPC_FDS_MAX);
    if (n < 0)
        return err_sys(e, (int) -n, "cannot read the request");
    if (n == 0 && have > 0)
        return err_set(e, EBADMSG, "the request ended before its newline: send one line of JSON");
    return n == 0 ? -ENODATA : (int) n;
}

/* The length of the line without its newline, or a negative errno. */
static int read_line(int sock, int timeout_ms, char *line, int *fds, size_t *count, struct err *e) {
    const long long deadline = io_now_ms() + timeout_ms;
    size_t have = 0;
    while (have < RPC_LINE_MAX) {
        const long long left = deadline - io_now_ms();
        int r = io_wait(sock, POLLIN, left > 0 ? (int) left : 0);
        if (r == -ETIMEDOUT)
            return err_set(e, ETIMEDOUT, "the request did not arrive within %d s: send one line of JSON",
                           timeout_ms / 1000);
        if (r == 0)
            r = receive(sock, line, have, fds, count, e);
        if (r < 0)
            return r;
        const char *newline = memchr(line + have, '\n', (size_t) r);
        have += (size_t) r;
        if (newline && newline != line + have - 1)
            return err_set(e, EBADMSG, "one connection carries one request: open another for the next");
        if (newline)
            return (int) (have - 1);
    }
    return err_set(e, EMSGSIZE, "the request is longer than %d bytes: send less in one", RPC_LINE_MAX);
}

int rpc_line_read(int sock, int timeout_ms, cJSON **request, int *fds, size_t *count, struct err *e) {
    *count = 0;
    char *line = calloc(1, RPC_LINE_MAX);
    if (!line)
        return err_set(e, ENOMEM, "bangerd has no memory left: free some and try again");
    int r = read_line(sock, timeout_ms, line, fds, count, e);
    if (r >= 0) {
        *request = rpc_line_parse(line, (size_t) r, e);
        r = *request ? 0 : -EBADMSG;
    }
    free(line);
    if (r) {
        fdpass_close(fds, *count);
        *count = 0;
    }
    return r;
}
