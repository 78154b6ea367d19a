/* Folders of the state folder that appear whole or not at all: made as
 * "<id>.tmp", filled, then committed under the id. */
#ifndef BANGER_STORE_FOLDER_H
#define BANGER_STORE_FOLDER_H

#include <stddef.h>

#define FOLDER_ID_SIZE 17

/* Fills `id` with 16 random hex digits. */
void folder_new_id(char id[FOLDER_ID_SIZE]);

/* Opens `name` below `state`, made 0700 when missing. A descriptor or a negative errno. */
int folder_open(int state, const char *name);

/* Makes <parent>/<id>.tmp and opens it: a descriptor or a negative errno. */
int folder_begin(int parent, const char *id);

/* Writes everything in <id>.tmp to the disk and renames it to <id>; one that is
 * there is replaced in one step (files of it that are open stay valid). Returns
 * 0 or a negative errno; then <id>.tmp is gone and <id> as before. */
int folder_commit(int parent, const char *id);

/* Puts back what a crash in the middle of a replacement (see folder_commit) left aside. 0 or -EEXIST: nothing to do. */
int folder_restore(int parent, const char *id);

/* Removes <parent>/<name> and all below it; what is missing is no error; symbolic links are not followed, depth does
 * not matter. */
int folder_remove(int parent, const char *name);
/* Removes <parent>/<id>.tmp. */
int folder_discard(int parent, const char *id);

/* Removes every entry of `parent` that `known` does not claim; the number removed or a negative errno. */
int folder_sweep(int parent, int (*known)(const char *name, void *arg), void *arg);

#endif
