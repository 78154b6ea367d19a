/* Takes the packing off a blob: gzip (RFC 1952, any number of members), zstd (RFC 8878,
 * windows up to DECODE_WINDOW_LOG) or none, told by the first bytes. */
#ifndef BANGER_IMAGE_IMPORT_DECODE_H
#define BANGER_IMAGE_IMPORT_DECODE_H

#include "blobs.h"

#define DECODE_WINDOW_LOG 24           /* 16 MiB: all but zstd's --ultra and --long */
#define DECODE_INPUT      (256u << 10) /* bytes read at once */
#define DECODE_RATIO      1100u        /* gzip packs to a 1,032nd at most */
#define DECODE_RATIO_FREE (256u << 20) /* bytes unpacked before the ratio matters */

struct decoder;

/* NULL without memory. Used for one blob after the other. */
struct decoder *decoder_new(void);
void decoder_free(struct decoder *d);

/* Begins a blob; the source was asked for it. */
int decoder_begin(struct decoder *d, struct blobs *source, const struct blob *blob, struct err *e);

/* Unpacked bytes into `out`: fewer than `size` only at the end, when the blob was read
 * to its last byte and its size, digest and packing were right. A negative errno with `e` filled. */
ssize_t decoder_read(struct decoder *d, void *out, size_t size, struct err *e);

/* Packed bytes read so far, of all blobs. */
uint64_t decoder_packed(const struct decoder *d);

#endif
