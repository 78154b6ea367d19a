/* Reading one request: the line, its descriptors, its JSON. */
#ifndef BANGER_DAEMON_RPC_LINE_H
#define BANGER_DAEMON_RPC_LINE_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <stddef.h>

#define RPC_DEPTH_MAX 32 /* nesting of a request: the parser recurses on a small stack */

/* Parses `size` bytes (without the newline) as one JSON object; the caller
 * deletes it. NULL with `e` filled when it is anything else. */
cJSON *rpc_line_parse(const char *line, size_t size, struct err *e);

/* Reads one line from the socket within `timeout_ms`, with the descriptors
 * attached to its first byte (the caller's; RPC_FDS_MAX at most). 0 with `*request`
 * (the caller deletes it); -ENODATA when the client closed without a byte; else a
 * negative errno with `e` filled, and no descriptor is left open. */
int rpc_line_read(int sock, int timeout_ms, cJSON **request, int *fds, size_t *count, struct err *e);

#endif
