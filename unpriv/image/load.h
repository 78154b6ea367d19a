/* Images that other tools saved: OCI layouts and archives, and what `docker save` writes. */
#ifndef BANGER_IMAGE_LOAD_H
#define BANGER_IMAGE_LOAD_H

#include "../daemon/rpc.h"

/* image.load {name, source, tag, platform, size}: one descriptor, the file or folder. */
int load_op(struct rpc *rpc, cJSON **result, struct err *e);

#endif
