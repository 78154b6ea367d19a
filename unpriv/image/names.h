/* Names that clients give to images and kernels. */
#ifndef BANGER_IMAGE_NAMES_H
#define BANGER_IMAGE_NAMES_H

#include "../../common/err.h"
#include "../../common/json.h"

/* The member `name`: 1 to 63 of "a-zA-Z0-9._/:@+-", beginning with a letter or digit
 * ("debian-12", "docker.io/library/alpine:3"). Owned by `args`; NULL with `e` filled. */
const char *name_of_asset(const cJSON *args, const char *noun, struct err *e);

/* The member `key`, "" when missing, at most `size` - 1 bytes without control bytes,
 * copied to `out`: 0 or a negative errno. */
int name_copy_text(const cJSON *args, const char *key, char *out, size_t size, struct err *e);

/* Seconds since 1970 as RFC 3339 UTC; null for 0. */
cJSON *name_time(int64_t seconds);

#endif
