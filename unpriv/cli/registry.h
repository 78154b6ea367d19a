/* Images out of registries: what image.pull is told, and the account's blob cache. */
#ifndef BANGER_CLI_REGISTRY_H
#define BANGER_CLI_REGISTRY_H

#include "../../common/err.h"
#include "options.h"
#include "progress.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct registry_pull {
    const char *reference;
    const char *name;     /* of the image; NULL: made from the reference */
    const char *platform; /* "" : this machine's */
    const char *username; /* NULL: docker's configuration is asked */
    const char *password;
    const char *kernel; /* that its VMs run with; NULL: the default */
    int64_t size;       /* 0: to fit */
    int insecure;
};

/* The name that an image of this reference gets by itself: the reference as it is written, or its last
 * part where that is too long. 0 or a negative errno with a sentence. */
int registry_name(const char *reference, char out[64], struct err *e);

/* image.pull. On success `*image` (may be NULL) is the caller's. */
int registry_pull(const struct registry_pull *pull, struct progress *p, cJSON **image, struct err *e);

/* What the environment says of proxies goes with a request that may fetch: "proxies". */
void registry_add_proxies(cJSON *args);

/* The blob cache's folder, made where it is missing: the caller's, or a negative errno. */
int registry_cache(struct err *e);

int command_image_cache(const struct invocation *in);

#endif
