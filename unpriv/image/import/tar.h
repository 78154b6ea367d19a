/* Reads a tar stream (ustar, pax, GNU; plain, gzip or zstd) into a tree, and its
 * files' data onto a volume, in one pass. */
#ifndef BANGER_IMAGE_IMPORT_TAR_H
#define BANGER_IMAGE_IMPORT_TAR_H

#include "import.h"
#include "tree.h"
#include "volume.h"

#include <archive_entry.h>

/* Everything on `fd` is read, also what follows the archive's end mark; a stream
 * without an end mark is refused as cut short. `limit`: most bytes of input.
 * Counts into `report`. LC_CTYPE must be a UTF-8 one, or names of pax
 * headers come with a warning each. 0 or a negative errno with a sentence that names the entry. */
int tar_read(int fd, uint64_t limit, struct tree *t, struct volume *v, struct import_report *report, struct err *e);

/* The entry's POSIX ACLs, where it has any beyond its mode, as the attributes the
 * kernel knows them by (linux/posix_acl_xattr.h), into a list of tree_xattr_add(). */
int tar_acls(struct archive_entry *entry, char *list, size_t *used, struct err *e);

#endif
