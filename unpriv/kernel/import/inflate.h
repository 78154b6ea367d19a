/* Inside inflate.c and lzo.c: one function a format. */
#ifndef BANGER_KERNEL_IMPORT_INFLATE_H
#define BANGER_KERNEL_IMPORT_INFLATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Decompresses `in`, whose first bytes are the format's magic, to at most `room` bytes; what follows the stream is
 * not looked at. The size of the result, -EFBIG when there is more, -EINVAL when it is damaged, -ENOMEM. */
ssize_t inflate_lzo(const uint8_t *in, size_t size, uint8_t *out, size_t room);

#endif
