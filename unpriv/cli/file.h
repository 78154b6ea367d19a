/* Small files of the user's and the administrator's, read whole. */
#ifndef BANGER_CLI_FILE_H
#define BANGER_CLI_FILE_H

#include "../../common/err.h"

#include <stddef.h>
#include <sys/types.h>

/* The bytes read into `text`, at most `size`: give one more than may be, so that a file
 * that is too large shows. 0 where there is no such file; a negative errno with a
 * sentence for one that cannot be read or is no regular file. */
ssize_t file_read(const char *path, char *text, size_t size, struct err *e);

#endif
