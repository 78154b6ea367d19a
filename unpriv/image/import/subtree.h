/* Copies a folder out of an ext2/3/4 image that nobody has checked. */
#ifndef BANGER_IMAGE_IMPORT_SUBTREE_H
#define BANGER_IMAGE_IMPORT_SUBTREE_H

#include "import.h"
#include "tree.h"
#include "volume.h"

/* The folder `name` at the top of the image on `fd` becomes the root of the tree, its
 * files' data goes onto the volume. When the image has no such folder nothing
 * is done. `limit` bounds the bytes of data. Nothing is written to `fd`, and the image's journal is not replayed. 0 or
 * a negative errno with `e` filled. */
int subtree_read(int fd, const char *name, uint64_t limit, struct tree *t, struct volume *v,
                 struct import_report *report, struct err *e);

/* The whole image on `fd`, but for `without` at its top (NULL: nothing), goes into the folder
 * `to` of the tree ("": its root), which is made. lost+found stays behind. An image that was
 * not unmounted is an error. Else as subtree_read. */
int subtree_read_all(int fd, const char *without, const char *to, uint64_t limit, struct tree *t, struct volume *v,
                     struct import_report *report, struct err *e);

#endif
