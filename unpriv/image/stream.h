/* What banger-fetch sends banger-import on one pipe: an image's layers, bottom first,
 * each a header and the blob's bytes as the registry has them (plain tar, gzip or zstd,
 * told by its first bytes). STREAM_END follows when the digest of every blob was
 * right; a pipe that ends without it is a pull that failed. */
#ifndef BANGER_IMAGE_STREAM_H
#define BANGER_IMAGE_STREAM_H

#include <stdint.h>

#define STREAM_MAGIC      0x53474942u
#define STREAM_LAYERS_MAX 1024u

enum stream_kind { STREAM_LAYER = 1, STREAM_END = 2 };

struct stream_header {
    uint32_t magic;
    uint32_t kind;       /* enum stream_kind */
    uint64_t size;       /* bytes of the blob that follow; 0 with STREAM_END */
    uint8_t diff_id[32]; /* SHA-256 of the unpacked tar stream, out of the image's configuration */
};
_Static_assert(sizeof(struct stream_header) == 48, "no padding");

#endif
