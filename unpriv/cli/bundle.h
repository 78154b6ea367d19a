/* `image bundle`: an image as one file that others can pull, docs/image-catalog.md. */
#ifndef BANGER_CLI_BUNDLE_H
#define BANGER_CLI_BUNDLE_H

#include "options.h"

int command_image_bundle(const struct invocation *in);

#endif
