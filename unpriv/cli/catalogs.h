/* What can be had by name: the embedded catalog, the administrator's and the account's
 * own (docs/image-catalog.md), each of the two files signed with a key that is trusted. */
#ifndef BANGER_CLI_CATALOGS_H
#define BANGER_CLI_CATALOGS_H

#include "../../common/err.h"
#include "../catalog/catalog.h"

/* All of them, read and checked once. NULL with `e` filled: a file that is wrong in
 * anything makes none of its entries known, and is an error until it is mended. */
const struct catalog *catalogs(struct err *e);

/* The keys that are trusted, by the administrator or the account. NULL with `e` filled. */
const struct minisign_keys *catalogs_keys(struct err *e);

/* The entry, or NULL with `e` filled: -ENOENT says where to look for names. */
const struct catalog_image *catalogs_image(const char *name, struct err *e);
const struct catalog_kernel *catalogs_kernel(const char *name, struct err *e);

#endif
