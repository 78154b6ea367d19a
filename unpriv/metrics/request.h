/* One HTTP request for the figures (RFC 9112), with its bearer token (RFC 6750). Any account of the
 * host can send anything here. A request's head is all that is read; no heap, nothing is kept. */
#ifndef BANGER_METRICS_REQUEST_H
#define BANGER_METRICS_REQUEST_H

#include <stddef.h>

#define REQUEST_MAX 4096 /* bytes of a head */

enum request_status {
    REQUEST_MORE = 0, /* the head is not complete */
    REQUEST_OK = 200,
    REQUEST_BAD = 400,
    REQUEST_FOREIGN = 401, /* without the token: nothing else of the request counts */
    REQUEST_NOWHERE = 404,
    REQUEST_METHOD = 405,
    REQUEST_LONG = 431,
};

/* What the bytes that came so far deserve. `*head_only` is 1 where the answer has no body (HEAD). */
enum request_status request_read(const char *bytes, size_t have, const char *token, int *head_only);

#endif
