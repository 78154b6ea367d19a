/* Messages with descriptors over Unix sockets (SCM_RIGHTS, unix(7)). No heap. */
#ifndef BANGER_COMMON_FDPASS_H
#define BANGER_COMMON_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX 16 /* descriptors a message may carry */

/* Sends `data` with `count` descriptors (0..FDPASS_MAX) in one message. The
 * descriptors stay the caller's. 0 or a negative errno; a short send on a stream
 * socket is completed without the descriptors. */
int fdpass_send(int sock, const void *data, size_t size, const int *fds, size_t count);

/* Receives one message (SEQPACKET) or the bytes at hand (STREAM) with at most
 * `max` descriptors, close-on-exec. Returns the byte count (0 = the peer closed)
 * or a negative errno. -EBADMSG: truncated data or control, other control data,
 * or more than `max` descriptors; all that came were closed then. `*count` is
 * the number stored in `fds`, now the caller's. */
ssize_t fdpass_recv(int sock, void *data, size_t size, int *fds, size_t max, size_t *count);

/* Closes and sets to -1 each of `count` descriptors that is not negative. */
void fdpass_close(int *fds, size_t count);

#endif
