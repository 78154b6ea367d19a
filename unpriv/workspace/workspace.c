#include "workspace.h"

#include "../../common/cleanup.h"
#include "scratch.h"
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Appends `path` to the list unless it is its last one (an unmerged file has up to
 * three entries in the index, next to each other). */
static void add_file(struct workspace *w, const char *path, size_t *last) {
    size_t length = strlen(path) + 1;
    if (w->file_count > 0 && strcmp(w->files + *last, path) == 0)
        return;
    memmove(w->files + w->files_size, path, length);
    *last = w->files_size;
    w->files_size += length;
    w->file_count++;
}

static int refuse_submodule(const struct workspace *w, const char *path, struct err *e) {
    return err_set(
        e, EINVAL,
        "%s has the submodule %s, which a workspace cannot hold: give the submodule's own folder as PATH, or "
        "start without PATH and copy the tree with `tar -C %s -c . | banger vm exec -i NAME -- tar -x`",
        w->repo.top, path, w->repo.top);
}

/* The list from `git ls-files -s -z` or `git ls-tree -r -z`, whose entries are
 * "mode ... TAB path NUL"; taken over in place. */
static int take_entries(struct workspace *w, struct process_output *o, struct err *e) {
    size_t last = 0;
    w->files = o->out;
    char *out = o->out, *end = o->out + o->out_size;
    o->out = NULL;
    for (char *entry = out; entry < end;) {
        size_t size = strlen(entry) + 1;
        const char *path = strchr(entry, '\t');
        if (!path)
            return err_set(e, EIO, "cannot read the repository's file list");
        if (strncmp(entry, "160000 ", 7) == 0)
            return refuse_submodule(w, path + 1, e);
        add_file(w, path + 1, &last);
        entry += size;
    }
    return 0;
}

static int list_files(struct workspace *w, const char *commit, struct err *e) {
    const char *const tree[] = {"ls-tree", "-r", "-z", "--full-tree", commit, NULL};
    static const char *const index[] = {"ls-files", "-s", "-z", NULL};
    struct process_output o;
    int r = git_must(w->repo.top, w->other_commit ? tree : index, NULL, NULL, 0, &o, "cannot list the files", e);
    if (r < 0)
        return r;
    r = take_entries(w, &o, e);
    process_output_free(&o);
    return r;
}

/* Leaves out what the working tree no longer has: that goes to `gone`. */
static int drop_deleted(struct workspace *w, struct err *e) {
    struct source s;
    w->gone = malloc(w->files_size + 1);
    if (!w->gone)
        return err_set(e, ENOMEM, "not enough memory for the file list");
    int r = source_open(&s, w->repo.top, e);
    if (r < 0)
        return r;
    size_t kept = 0, count = 0;
    for (size_t at = 0; at < w->files_size;) {
        size_t size = strlen(w->files + at) + 1;
        struct stat st;
        r = source_stat(&s, w->files + at, &st, e);
        if (r < 0 && r != -ENOENT)
            break;
        if (r == 0) {
            memmove(w->files + kept, w->files + at, size);
            kept += size;
            count++;
        } else {
            memcpy(w->gone + w->gone_size, w->files + at, size);
            w->gone_size += size;
        }
        at += size;
        r = 0;
    }
    source_close(&s);
    w->files_size = kept;
    w->file_count = count;
    return r;
}

/* Counts the untracked files that are not ignored, or adds them. A nested
 * repository is listed as a folder ("name/"): never added. */
static int look_untracked(struct workspace *w, int include, struct err *e) {
    static const char *const arguments[] = {"ls-files", "-o", "-z", "--exclude-standard", NULL};
    struct process_output o;
    int r = git_must(w->repo.top, arguments, NULL, NULL, 0, &o, "cannot list the untracked files", e);
    if (r < 0)
        return r;
    char *more = include ? realloc(w->files, w->files_size + o.out_size + 1) : w->files;
    if (include && !more) {
        process_output_free(&o);
        return err_set(e, ENOMEM, "not enough memory for the file list");
    }
    w->files = more;
    for (size_t at = 0; at < o.out_size;) {
        size_t size = strlen(o.out + at) + 1;
        if (include && o.out[at + size - 2] != '/') {
            memcpy(w->files + w->files_size, o.out + at, size);
            w->files_size += size;
            w->file_count++;
        } else {
            w->untracked++;
        }
        at += size;
    }
    process_output_free(&o);
    return 0;
}

/* The guest's commit and branch. */
static int choose_commit(const struct workspace_options *options, struct workspace *w, struct err *e) {
    memcpy(w->head, w->repo.head, sizeof(w->head));
    memcpy(w->branch, w->repo.branch, sizeof(w->branch));
    if (options->branch && strlen(options->branch) >= sizeof(w->branch))
        return err_set(e, ENAMETOOLONG, "the name for --branch has more than %zu bytes: choose a shorter one",
                       sizeof(w->branch) - 1);
    if (options->branch) {
        const char *const check[] = {"check-ref-format", "--branch", options->branch, NULL};
        struct process_output o;
        int r = git_run(w->repo.top, check, NULL, NULL, 0, &o, e);
        if (r < 0)
            return r;
        int bad = o.status != 0 || options->branch[0] == '@';
        process_output_free(&o);
        if (bad)
            return err_set(e, EINVAL, "%s is not a name that git allows for a branch: choose another for --branch",
                           options->branch);
        (void) snprintf(w->branch, sizeof(w->branch), "%s", options->branch);
    }
    if (!options->from)
        return 0;
    int r = git_commit(&w->repo, options->from, w->head, e);
    w->other_commit = r == 0 && strcmp(w->head, w->repo.head) != 0;
    return r;
}

int workspace_open(const struct workspace_options *options, struct workspace *w, struct err *e) {
    memset(w, 0, sizeof(*w));
    int r = git_open(options->path, &w->repo, e);
    if (r == 0)
        r = choose_commit(options, w, e);
    if (r == 0)
        r = workspace_state(w, w->state, e);
    if (r == 0)
        r = list_files(w, w->head, e);
    if (r == 0 && !w->other_commit) {
        r = look_untracked(w, options->include_untracked, e);
        if (r == 0)
            r = drop_deleted(w, e);
    }
    memcpy(w->root, w->repo.top, sizeof(w->root));
    return r;
}

void workspace_close(struct workspace *w) {
    if (w->scratch[0])
        scratch_remove(w->scratch, w->scratch_lock);
    free(w->files);
    free(w->gone);
    memset(w, 0, sizeof(*w));
}

void workspace_each(const struct workspace *w, void (*each)(const char *path, void *arg), void *arg) {
    for (size_t at = 0; at < w->files_size; at += strlen(w->files + at) + 1)
        each(w->files + at, arg);
}
