/* HTTP/1.1 (RFC 9112) as Firecracker's API server speaks it: one request after the
 * other on a kept connection, bodies by Content-Length. What is particular to it: the
 * status line has an empty reason phrase, with or without the blank before it; a 204
 * has no Content-Length. A VMM that a guest has taken over may answer anything. */
#ifndef BANGER_VMM_HTTP_H
#define BANGER_VMM_HTTP_H

#include "../../common/err.h"
#include "wait.h"

#include <stddef.h>

#define HTTP_HEAD_MAX 8192  /* bytes of status line and headers */
#define HTTP_BODY_MAX 65536 /* bytes; GET /vm/config has under 10 KiB */

struct http_reply {
    int status;       /* 100 to 599 */
    const char *body; /* body_size bytes, within what was parsed; not terminated */
    size_t body_size;
    size_t size; /* bytes of the whole reply */
};

/* Parses the reply at the beginning of `bytes`. 1 when it is complete, 0 when more has
 * to come, -EMSGSIZE when it is too long, -EPROTO when it is none. */
int http_parse(const char *bytes, size_t have, struct http_reply *reply);

/* A connection. The descriptor stays the caller's. */
struct http {
    int fd;
    size_t have;
    size_t used; /* by the last reply, which goes with the next call */
    char *bytes; /* HTTP_HEAD_MAX + HTTP_BODY_MAX */
};

/* 0 or -ENOMEM. Pair with http_close. */
int http_open(struct http *http, int fd, struct err *e);
void http_close(struct http *http);

/* Sends one request (`body` NULL: none) and takes its reply, which is good until the
 * next call. The sending side is never shut: the server would drop the reply. 0 or a
 * negative errno: -ETIMEDOUT, -ECANCELED, -ECONNRESET at the end of the stream, ... */
int http_call(struct http *http, const char *method, const char *path, const char *body, const struct vmm_wait *wait,
              struct http_reply *reply, struct err *e);

#endif
