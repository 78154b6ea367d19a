/* Reads tar streams (ustar, pax, GNU; plain, gzip or zstd) into a tree, and their
 * files' data onto a volume, in one pass. */
#ifndef BANGER_IMAGE_IMPORT_TAR_H
#define BANGER_IMAGE_IMPORT_TAR_H

#include "blobs.h"
#include "import.h"
#include "tree.h"
#include "volume.h"

#include <archive_entry.h>

/* The one archive of `source`. Everything is read, also what follows the archive's end mark; a stream
 * without an end mark is refused as cut short. `limit`: most bytes of input and of what it unpacks to.
 * Counts into `report`. LC_CTYPE must be a UTF-8 one, or names of pax
 * headers come with a warning each. 0 or a negative errno with a sentence that names the entry. */
int tar_read(struct blobs *source, uint64_t limit, struct tree *t, struct volume *v, struct import_report *report,
             struct err *e);

/* All archives of `source`, each a layer over the ones before it: ".wh.NAME" removes NAME from the lower
 * ones, ".wh..wh..opq" all that they have in its folder (OCI image-spec, layer.md). An end mark is
 * not asked for, the digest is; a layer may be empty. */
int tar_read_layers(struct blobs *source, uint64_t limit, struct tree *t, struct volume *v,
                    struct import_report *report, struct err *e);

/* The entry's POSIX ACLs, where it has any beyond its mode, as the attributes the
 * kernel knows them by (linux/posix_acl_xattr.h), into a list of tree_xattr_add(). */
int tar_acls(struct archive_entry *entry, char *list, size_t *used, struct err *e);

#endif
