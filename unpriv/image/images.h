/* Images: base root file systems of the account, images/<id>/rootfs.ext4, and beside
 * it config.json where the image says how it wants to be run. */
#ifndef BANGER_IMAGE_IMAGES_H
#define BANGER_IMAGE_IMAGES_H

#include "../../common/err.h"
#include "../daemon/rpc.h"
#include "../store/store.h"
#include "importer.h"

#include <string.h>

/* Start-up: removes folders that no record owns (imports that did not end). 0 or a negative errno. */
int images_recover(struct err *e);

/* The image of that name or id, or that was pulled by that reference (any form of it). As store_image_get. */
int image_lookup(const char *name, struct image_record *r, struct err *e);

/* The files of an image that is being made: open for reading and writing, empty, the caller's no more
 * than during the call. */
struct image_files {
    int rootfs; /* rootfs.ext4 */
    int config; /* config.json; one that stays empty is not kept */
};
/* Fills the files; 0 with `got->size` and `got->used` set, or a negative errno. It may complete the record
 * (but neither id nor name). */
typedef int image_make(const struct rpc *rpc, const struct image_files *files, struct image_record *r, void *arg,
                       struct import_result *got, struct err *e);

/* Makes an image of the record's name, kind and source: a name that is taken, but by `earlier` (may be NULL), is
 * refused before `make` is called, and what fails leaves nothing behind. On success `*result` is the image, and
 * `earlier` is gone; where a VM uses that it stays, named by its id. */
int image_create(const struct rpc *rpc, struct image_record *r, const struct image_record *earlier, image_make *make,
                 void *arg, cJSON **result, struct err *e);

/* The members `name` and `kernel` to the record, and `size` (0: to fit the content) to `*size`: 0 or a negative errno.
 */
int image_arguments(const struct rpc *rpc, struct image_record *r, int64_t *size, struct err *e);

/* As a client sees it, the caller's to free. */
cJSON *image_json(const struct image_record *r);
/* The folder of all images: the caller's, or a negative errno. */
int images_open(struct err *e);

/* A root file system that the user keeps, at the absolute path `source`: the engine never opens
 * it, clients hand over descriptors. */
#define IMAGE_REGISTERED "registered"
/* 1 when the image's files are in banger's store. */
static inline int image_is_own(const struct image_record *r) {
    return strcmp(r->kind, IMAGE_REGISTERED) != 0;
}

/* Handlers of images.c's table. */
rpc_handler image_op_register, image_op_promote, image_op_bundle; /* local.c */

#endif
