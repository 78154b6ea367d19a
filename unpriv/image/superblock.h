/* Whether a file begins as an ext2, ext3 or ext4 file system that a guest can mount. */
#ifndef BANGER_IMAGE_SUPERBLOCK_H
#define BANGER_IMAGE_SUPERBLOCK_H

#include "../../common/err.h"

#include <stdint.h>

#define SUPERBLOCK_OFFSET 1024
#define SUPERBLOCK_SIZE   1024

/* Looks at a superblock alone, of a file of `size` bytes: geometry that fits the file, no
 * feature that Linux does not know, cleanly unmounted. 0, or -EINVAL with a sentence that begins "it". */
int superblock_check(const uint8_t block[SUPERBLOCK_SIZE], uint64_t size, struct err *e);

/* The same for an open regular file. */
int superblock_check_file(int fd, struct err *e);

#endif
