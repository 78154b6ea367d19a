/* Images out of the user's own files: `image register` and `image promote`. */
#ifndef BANGER_CLI_LOCAL_H
#define BANGER_CLI_LOCAL_H

#include "../../common/err.h"
#include "options.h"

#include <cjson/cJSON.h>

#define LOCAL_REGISTERED "registered" /* kind of an image whose file is the user's */

int command_image_register(const struct invocation *in);
int command_image_promote(const struct invocation *in);

/* Opens the file of an image that image.show describes and checks that a guest can use
 * it: a descriptor for reading, the caller's, or a negative errno. */
int local_open(const cJSON *image, struct err *e);

/* For an image of the user's own: two descriptors of it, each with a position of its own, for vm.create; else
 * they are -1. 0 or a negative errno. */
int local_files(const cJSON *image, int files[2], struct err *e);

#endif
