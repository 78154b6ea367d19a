/* `image load`: what docker, podman, buildah or skopeo saved. */
#ifndef BANGER_CLI_LOAD_H
#define BANGER_CLI_LOAD_H

#include "options.h"

int command_image_load(const struct invocation *in);

#endif
