/* Layers, unpacked: the worker thread fetches and unpacks into a ring of large pieces
 * while the caller reads them where they lie. */
#ifndef BANGER_IMAGE_IMPORT_LAYERS_H
#define BANGER_IMAGE_IMPORT_LAYERS_H

#include "blobs.h"

#define LAYERS_PIECE ((size_t) 256 << 10) /* stays in the processor's cache until it is hashed and written */

struct layers;

/* `limit`: most bytes, packed and unpacked each. Close it also after an error of a later
 * call; `source` must outlive it. NULL with `e` filled. */
struct layers *layers_open(struct blobs *source, uint64_t limit, struct err *e);
/* Ends the worker's work, however far it is. */
void layers_close(struct layers *l);

/* Reads the layer under way to its end and checks that it has its diff_id; then 1 when there is
 * another, 0 when not, or a negative errno. */
int layers_next(struct layers *l, struct err *e);
/* The next bytes of the layer, at `*out` until the next call: the count (less than
 * 512 only at its end), 0 at its end, or a negative errno with `e` filled. */
ssize_t layers_read(struct layers *l, const uint8_t **out, struct err *e);
/* Packed bytes of what was read so far. */
uint64_t layers_packed(const struct layers *l);

#endif
