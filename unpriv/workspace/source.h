/* Reading the files of a tree that somebody else may be changing: no symbolic
 * link is followed, nothing outside the tree is reached. */
#ifndef BANGER_WORKSPACE_SOURCE_H
#define BANGER_WORKSPACE_SOURCE_H

#include "../../common/err.h"

#include <limits.h>
#include <sys/stat.h>

struct source {
    int root;
    int parent; /* of the last path, kept open: lists are in folder order */
    char folder[PATH_MAX];
    const char *base; /* last part of the last path */
};

int source_open(struct source *s, const char *root, struct err *e);
void source_close(struct source *s);

/* lstat of `path`. -ENOENT without words where git too would call the file deleted
 * (it, or a folder above it, is gone or is something else). A path that leads
 * outside the tree or into a .git folder, and a file that is neither regular nor a
 * symbolic link, are errors. After success `parent` and `base` name it. */
int source_stat(struct source *s, const char *path, struct stat *st, struct err *e);

/* Opens the regular file that source_stat has just found; `st` is of what was opened. */
int source_open_file(struct source *s, const char *path, struct stat *st, struct err *e);

#endif
