/* Whole reads and writes. All return 0 or a negative errno, retry EINTR, and
 * never raise SIGPIPE for sockets (callers ignore SIGPIPE for pipes). */
#ifndef BANGER_COMMON_IO_H
#define BANGER_COMMON_IO_H

#include <stddef.h>
#include <sys/types.h>

/* Writes all `size` bytes. */
int io_write(int fd, const void *data, size_t size);
/* Reads exactly `size` bytes; -ENODATA when the stream ends before. */
int io_read(int fd, void *data, size_t size);
/* Reads up to `size` bytes until the end of the stream; the count, or a negative errno. */
ssize_t io_read_some(int fd, void *data, size_t size);

/* Waits until `events` (poll bits) are ready on fd: 0, -ETIMEDOUT, or a negative
 * errno. `timeout_ms` < 0 waits for ever. */
int io_wait(int fd, short events, int timeout_ms);

/* CLOCK_MONOTONIC in milliseconds. */
long long io_now_ms(void);

#endif
