/* What is told of the tracked files without reading them: enough to know whether a guest has them as they are. */
#include "../../common/cleanup.h"
#include "source.h"
#include "workspace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of one path: what lstat says of it, or that it is not there. */
static int add_path(struct source *s, const char *path, FILE *list, struct err *e) {
    struct stat st;
    int r = source_stat(s, path, &st, e);
    if (r == 0)
        (void) fprintf(list, "%o %lld %lld.%ld\n", st.st_mode, (long long) st.st_size, (long long) st.st_mtim.tv_sec,
                       st.st_mtim.tv_nsec);
    else
        (void) fputs("gone\n", list);
    return r == -ENOENT ? 0 : r;
}

/* The index's entries, "mode object stage TAB path NUL", and each path's line. */
static int add_files(const struct workspace *w, FILE *list, struct err *e) {
    static const char *const index[] = {"ls-files", "-s", "-z", NULL};
    struct process_output o;
    struct source s;
    int r = git_must(w->repo.top, index, NULL, NULL, 0, &o, "cannot list the files", e);
    if (r < 0)
        return r;
    r = source_open(&s, w->repo.top, e);
    for (const char *entry = o.out; r == 0 && entry < o.out + o.out_size; entry += strlen(entry) + 1) {
        const char *path = strchr(entry, '\t');
        (void) fprintf(list, "%s\n", entry);
        if (path && strncmp(entry, "160000 ", 7) != 0)
            r = add_path(&s, path + 1, list, e);
    }
    source_close(&s);
    process_output_free(&o);
    return r;
}

/* git's own hash of a text. */
static int hash(const struct workspace *w, const char *text, size_t size, char state[GIT_OID_MAX], struct err *e) {
    static const char *const arguments[] = {"hash-object", "--stdin", NULL};
    struct process_output o;
    int r = git_must(w->repo.top, arguments, NULL, text, size, &o, "cannot compare the files", e);
    if (r < 0)
        return r;
    (void) snprintf(state, GIT_OID_MAX, "%.*s", (int) strcspn(o.out, "\n"), o.out);
    process_output_free(&o);
    return 0;
}

int workspace_state(const struct workspace *w, char state[GIT_OID_MAX], struct err *e) {
    cleanup_free char *text = NULL;
    size_t size = 0;
    FILE *list = open_memstream(&text, &size);
    if (!list)
        return err_set(e, ENOMEM, "not enough memory for the file list");
    (void) fprintf(list, "%s %s\n", w->repo.head, w->repo.branch);
    int r = add_files(w, list, e);
    if (fclose(list) != 0 && r == 0)
        r = err_set(e, ENOMEM, "not enough memory for the file list");
    return r < 0 ? r : hash(w, text, size, state, e);
}
