#include "git.h"

#include "../../common/cleanup.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ARGUMENTS_MAX 24

/* The caller's environment without what would point git elsewhere (githooks(5)
 * sets GIT_DIR and others), with `settings`. A malloc'ed vector of borrowed strings. */
static char **environment(const char *const *settings) {
    static const char *const always[] = {"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C"};
    size_t count = 0, extra = 0;
    while (environ[count])
        count++;
    while (settings && settings[extra])
        extra++;
    const char **out = malloc((count + extra + 4) * sizeof(*out));
    if (!out)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "GIT_", 4) != 0 && strncmp(environ[i], "LC_ALL=", 7) != 0)
            out[n++] = environ[i];
    }
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        out[n++] = always[i];
    for (size_t i = 0; i < extra; i++)
        out[n++] = settings[i];
    out[n] = NULL;
    return (char **) out;
}

int git_run(const char *cwd, const char *const *arguments, const char *const *settings, const char *input,
            size_t input_size, struct process_output *o, struct err *e) {
    static const char *const first[] = {
        "git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "index.sparse=false"};
    const char *argv[ARGUMENTS_MAX + 8];
    size_t n = 0;
    for (; n < sizeof(first) / sizeof(first[0]); n++)
        argv[n] = first[n];
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    cleanup_free char **env = environment(settings);
    if (!env)
        return err_set(e, ENOMEM, "not enough memory to run git");
    struct process p = {.argv = argv, .cwd = cwd, .env = env};
    return process_run(&p, input, input_size, o, e);
}

/* The line of git's complaint that says what is wrong: its first "fatal: ", else the last. */
static const char *complaint(char *text) {
    char *fatal = strstr(text, "fatal: ");
    if (!fatal)
        return process_last_line(text);
    fatal += strlen("fatal: ");
    fatal[strcspn(fatal, "\n")] = 0;
    return fatal;
}

int git_must(const char *cwd, const char *const *arguments, const char *const *settings, const char *input,
             size_t input_size, struct process_output *o, const char *what, struct err *e) {
    int r = git_run(cwd, arguments, settings, input, input_size, o, e);
    if (r < 0 || o->status == 0)
        return r;
    r = err_set(e, EIO, "%s: git says: %s", what, complaint(o->err));
    process_output_free(o);
    return r;
}

/* One line of output without its newline. */
static int line_of(const char *cwd, const char *const *arguments, char *line, size_t size, struct err *e) {
    struct process_output o;
    int r = git_must(cwd, arguments, NULL, NULL, 0, &o, "cannot read the repository", e);
    if (r < 0)
        return r;
    if (o.out_size > 0 && o.out[o.out_size - 1] == '\n')
        o.out[--o.out_size] = 0;
    if (o.out_size >= size || strlen(o.out) != o.out_size)
        r = err_set(e, ENAMETOOLONG, "the repository's path is too long");
    else
        memcpy(line, o.out, o.out_size + 1);
    process_output_free(&o);
    return r;
}

static int refuse_bare(const char *folder, struct err *e) {
    static const char *const arguments[] = {"rev-parse", "--is-bare-repository", "--is-inside-work-tree", NULL};
    struct process_output o;
    int r = git_run(folder, arguments, NULL, NULL, 0, &o, e);
    if (r < 0)
        return r;
    if (o.status != 0 && strstr(o.err, "dubious ownership"))
        r = err_set(e, EPERM,
                    "%s belongs to another account: when you trust it, run `git config --global --add safe.directory` "
                    "with its path",
                    folder);
    else if (o.status != 0 && strstr(o.err, "not a git repository"))
        r = err_set(e, ENOENT, "%s is in no git repository: run `git init` and `git add` there, or leave PATH out",
                    folder);
    else if (o.status != 0)
        r = err_set(e, EIO, "cannot read the repository around %s: git says: %s", folder, complaint(o.err));
    else if (strncmp(o.out, "true", 4) == 0)
        r = err_set(e, EINVAL,
                    "%s is a bare repository, which has no files to take: make a checkout with `git worktree add` and "
                    "give its path",
                    folder);
    else if (!strstr(o.out, "\ntrue"))
        r = err_set(e, EINVAL, "%s is inside a repository's .git folder: give the working tree's path", folder);
    process_output_free(&o);
    return r;
}

/* The branch out of what `git symbolic-ref HEAD` wrote. */
static int take_branch(struct git_repo *repo, const char *ref, struct err *e) {
    static const char heads[] = "refs/heads/";
    if (strncmp(ref, heads, strlen(heads)) != 0)
        return 0;
    ref += strlen(heads);
    const size_t length = strcspn(ref, "\n");
    if (length >= sizeof(repo->branch))
        return err_set(e, ENAMETOOLONG,
                       "the branch %.60s… in %.200s has a name of more than %zu bytes: rename it with `git branch -m`",
                       ref, repo->top, sizeof(repo->branch) - 1);
    memcpy(repo->branch, ref, length);
    repo->branch[length] = 0;
    return 0;
}

/* HEAD: its branch, its commit and whether that has parents. */
static int read_head(struct git_repo *repo, struct err *e) {
    static const char *const symbolic[] = {"symbolic-ref", "-q", "HEAD", NULL};
    static const char *const commit[] = {"rev-list", "--no-walk", "--parents", "HEAD", "--", NULL};
    struct process_output o;
    int r = git_run(repo->top, symbolic, NULL, NULL, 0, &o, e);
    if (r < 0)
        return r;
    r = o.status == 0 ? take_branch(repo, o.out, e) : 0;
    process_output_free(&o);
    if (r == 0)
        r = git_run(repo->top, commit, NULL, NULL, 0, &o, e);
    if (r < 0)
        return r;
    size_t length = strcspn(o.out, " \n");
    if (o.status == 0 && length < sizeof(repo->head)) {
        memcpy(repo->head, o.out, length);
        repo->has_parents = o.out[length] == ' ';
    } else if (!repo->branch[0]) {
        r = err_set(e, EIO, "the repository's HEAD names no commit: run `git status` in %s", repo->top);
    }
    process_output_free(&o);
    return r;
}

int git_open(const char *path, struct git_repo *repo, struct err *e) {
    static const char *const top[] = {"rev-parse", "--show-toplevel", NULL};
    static const char *const git_dir[] = {"rev-parse", "--absolute-git-dir", NULL};
    static const char *const common[] = {"rev-parse", "--path-format=absolute", "--git-common-dir", NULL};
    static const char *const format[] = {"rev-parse", "--show-object-format", NULL};
    memset(repo, 0, sizeof(*repo));
    struct stat st;
    if (stat(path, &st) < 0)
        return err_sys(e, errno, "cannot read %s", path);
    char folder[PATH_MAX];
    (void) snprintf(folder, sizeof(folder), "%s", path);
    const char *where = S_ISDIR(st.st_mode) ? folder : dirname(folder);
    char name[16] = "";
    int r = refuse_bare(where, e);
    if (r == 0)
        r = line_of(where, top, repo->top, sizeof(repo->top), e);
    if (r == 0)
        r = line_of(where, git_dir, repo->git_dir, sizeof(repo->git_dir), e);
    if (r == 0)
        r = line_of(where, common, repo->common_dir, sizeof(repo->common_dir), e);
    if (r == 0)
        r = line_of(where, format, name, sizeof(name), e);
    repo->sha256 = strcmp(name, "sha256") == 0;
    return r < 0 ? r : read_head(repo, e);
}

int git_commit(const struct git_repo *repo, const char *ref, char oid[GIT_OID_MAX], struct err *e) {
    char wanted[512];
    (void) snprintf(wanted, sizeof(wanted), "%s^{commit}", ref);
    const char *const arguments[] = {"rev-parse", "-q", "--verify", "--end-of-options", wanted, NULL};
    struct process_output o;
    int r = git_run(repo->top, arguments, NULL, NULL, 0, &o, e);
    if (r < 0)
        return r;
    size_t length = strcspn(o.out, "\n");
    if (o.status != 0 || length == 0 || length >= GIT_OID_MAX) {
        r = err_set(e, ENOENT, "%s names no commit in %s: `git log --all --oneline` there shows what exists", ref,
                    repo->top);
    } else {
        memcpy(oid, o.out, length);
        oid[length] = 0;
    }
    process_output_free(&o);
    return r;
}
