/* The host's git, asked through its plumbing. It never runs the repository's
 * hooks or file-system monitor, takes no lock, and changes nothing in it. */
#ifndef BANGER_WORKSPACE_GIT_H
#define BANGER_WORKSPACE_GIT_H

#include "../../common/err.h"
#include "process.h"

#include <limits.h>
#include <stddef.h>

#define GIT_OID_MAX    72
#define GIT_BRANCH_MAX 1024 /* longer ones are refused */

struct git_repo {
    char top[PATH_MAX];          /* of the working tree, absolute */
    char git_dir[PATH_MAX];      /* this working tree's */
    char common_dir[PATH_MAX];   /* objects, config */
    char branch[GIT_BRANCH_MAX]; /* without refs/heads/; "" when HEAD is detached */
    char head[GIT_OID_MAX];      /* commit, "" before the first one */
    int has_parents;             /* of head */
    int sha256;                  /* object format */
};

/* Finds the repository around `path` (a folder or a file's folder). A bare one and
 * no repository at all are errors with the remedy. */
int git_open(const char *path, struct git_repo *repo, struct err *e);

/* The commit that `ref` names, as 40 or 64 hex digits. */
int git_commit(const struct git_repo *repo, const char *ref, char oid[GIT_OID_MAX], struct err *e);

/* Runs git with `arguments` (NULL-terminated, at most 24) in folder `cwd`.
 * `settings` are "NAME=value" for its environment (NULL-terminated, may be NULL).
 * 0 whenever git could be run; its status is in `o`, freed by the caller. */
int git_run(const char *cwd, const char *const *arguments, const char *const *settings, const char *input,
            size_t input_size, struct process_output *o, struct err *e);

/* The same where a status other than 0 is an error: its sentence is `what` and git's last line. */
int git_must(const char *cwd, const char *const *arguments, const char *const *settings, const char *input,
             size_t input_size, struct process_output *o, const char *what, struct err *e);

#endif
