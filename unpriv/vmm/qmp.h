/* QMP, QEMU's control protocol: newline-delimited JSON objects (QEMU's
 * docs/interop/qmp-spec.txt). A connection lives for one command, or for what comes after one. */
#ifndef BANGER_VMM_QMP_H
#define BANGER_VMM_QMP_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <stddef.h>

#define QMP_LINE_MAX 65536 /* bytes; a longer line is an error */

/* What a line is. */
enum qmp_kind { QMP_BAD, QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

/* Parses one line of `size` bytes (no newline). `*object` is the parsed line, the
 * caller's (cJSON_Delete), NULL for QMP_BAD. A VMM a guest has taken over may send
 * anything. */
enum qmp_kind qmp_parse(const char *line, size_t size, cJSON **object);

/* Greets, negotiates and runs one command without arguments on a fresh connection,
 * all within `timeout_ms`. 0 with the answer in `*result` (may be NULL; the
 * caller's, the line's whole object), or a negative errno. */
int qmp_run(int fd, const char *command, int timeout_ms, cJSON **result, struct err *e);

/* The same for query-status, asked again until nothing followed the answer: what comes
 * on the connection from then on is an event. */
int qmp_status(int fd, int timeout_ms, char text[32], struct err *e);

#endif
