/* The files of a saved image: in a tar archive, found again by their place in it, or in a
 * folder, opened beneath it and through no symbolic link. */
#ifndef BANGER_IMAGE_IMPORT_FILES_H
#define BANGER_IMAGE_IMPORT_FILES_H

#include "../../../common/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FILES_MAX 8192u /* entries of an archive: a layer takes three at most */

struct files;

/* `fd`: a regular file or a folder, the caller's. NULL with `e` filled. */
struct files *files_open(int fd, struct err *e);
void files_close(struct files *f);

/* Whether there is a file of that name ("index.json", "blobs/sha256/..."). */
int files_has(struct files *f, const char *name);
/* The whole of a small one (at most OCI_JSON_MAX bytes), to be freed, or NULL with `e` filled. */
char *files_text(struct files *f, const char *name, size_t *size, struct err *e);

/* One large one at a time: its size, then its bytes, 0 at its end. */
int files_begin(struct files *f, const char *name, uint64_t *size, struct err *e);
ssize_t files_read(struct files *f, void *out, size_t size, struct err *e);

#endif
