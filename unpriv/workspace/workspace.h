/* A workspace: the files of a git repository on the host, as a tar stream that is
 * laid over a guest's /root, where they are a git checkout of the same commit and
 * the same staged state, without a clone of the history.
 *
 * The stream holds repo/ (metadata and files), .gitconfig (the host's identity)
 * and .ssh/authorized_keys. What the repository or its index says is checked: no
 * path leads outside the working tree, no symbolic link is followed, and what is
 * neither file nor link is refused. */
#ifndef BANGER_WORKSPACE_WORKSPACE_H
#define BANGER_WORKSPACE_WORKSPACE_H

#include "../../common/err.h"
#include "git.h"

#include <stddef.h>

#define WORKSPACE_GUEST_PATH "/root/repo"

struct workspace_options {
    const char *path;      /* in the repository */
    const char *branch;    /* a new branch for the guest's checkout, or NULL */
    const char *from;      /* where it starts, or NULL: HEAD. Another commit than HEAD gives that commit's files */
    int include_untracked; /* untracked files too, ignored ones never */
    const char *cache;     /* folder for scratch files, present */
};

struct workspace {
    struct git_repo repo;
    char head[GIT_OID_MAX]; /* the guest's commit, "" before the first one */
    char branch[GIT_BRANCH_MAX];
    char scratch[PATH_MAX]; /* folder of ours: objects, index, and tree with `from` */
    int scratch_lock;       /* keeps it (scratch.h), where there is one */
    char root[PATH_MAX];    /* where the files are taken from: repo.top, or scratch's tree */
    char *files;            /* NUL-separated, relative to root, each once */
    size_t files_size;
    size_t file_count;
    size_t untracked; /* not ignored, left out */
    char *gone;       /* NUL-separated: tracked, but no longer in the working tree */
    size_t gone_size;
    char state[GIT_OID_MAX]; /* workspace_state, of before anything was read */
    int other_commit;        /* 1: files are `from`'s, not the working tree's */
};

/* What the host has of tracked files, index, branch and commit, as a text without blanks: another one when any of it
 * has changed, as far as sizes and times tell. The guest's .git/banger-host says what it was made of. `w->repo` is
 * filled. */
int workspace_state(const struct workspace *w, char state[GIT_OID_MAX], struct err *e);
/* Finds the repository, checks it and lists its files; makes nothing. */
int workspace_open(const struct workspace_options *options, struct workspace *w, struct err *e);
/* Makes the guest's metadata in the scratch folder. */
int workspace_prepare(const struct workspace_options *options, struct workspace *w, struct err *e);
/* Removes the scratch folder and frees the list; safe on a zeroed struct. */
void workspace_close(struct workspace *w);

/* Writes the stream to `fd`. `w` may be NULL: then only the key. `key` is the text of
 * authorized_keys, or NULL. -EPIPE without words when the reader went away. */
int workspace_write_tar(const struct workspace *w, const char *key, int fd, struct err *e);

/* Calls `each` for every file of the list. */
void workspace_each(const struct workspace *w, void (*each)(const char *path, void *arg), void *arg);

#endif
