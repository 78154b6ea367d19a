/* image.pull: an image out of a registry. */
#ifndef BANGER_IMAGE_PULL_H
#define BANGER_IMAGE_PULL_H

#include "../daemon/rpc.h"

/* The operation (docs/protocol.md). */
rpc_handler pull_op;

#endif
