/* Firecracker's vsock device as the host sees it: a Unix socket on which a connection to
 * a port of the guest begins with a line each way (docs/vsock.md in its source). */
#ifndef BANGER_VMM_HYBRID_H
#define BANGER_VMM_HYBRID_H

#include "../../common/err.h"
#include "wait.h"

#include <stddef.h>
#include <stdint.h>

#define HYBRID_LINE_MAX 32 /* bytes of a line with its newline */

/* The device's answer so far: 1 when it is a whole "OK <host's port>\n" (then the port is
 * in `*port`), 0 when more has to come, -EPROTO when it is something else. */
int hybrid_parse(const char *line, size_t have, uint32_t *port);

/* Asks on a fresh connection for a port of the guest. On success what comes next are the
 * guest's bytes; none of them was taken. 0 or a negative errno: -ECONNREFUSED when the
 * device closed the connection, so nobody listens there yet, -ETIMEDOUT, -ECANCELED, ... */
int hybrid_connect(int fd, uint32_t port, const struct vmm_wait *wait, struct err *e);

#endif
