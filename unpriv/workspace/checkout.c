/* The guest's .git, made in the scratch folder: one pack with the commit, its trees
 * and blobs and the staged blobs; the index as the host has it, times and sizes
 * included (with core.checkStat=minimal the guest's git believes them, because the
 * files get the same times); HEAD, a shallow mark, and a configuration of chosen keys. */
#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "scratch.h"
#include "workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define SMALL_FILE_MAX (1 << 20)

static int scratch_path(const struct workspace *w, const char *name, char out[PATH_MAX], struct err *e) {
    if (snprintf(out, PATH_MAX, "%s/%s", w->scratch, name) >= PATH_MAX)
        return err_set(e, ENAMETOOLONG, "the path %s is too long", w->scratch);
    return 0;
}

static int write_bytes(const struct workspace *w, const char *name, const char *bytes, size_t size, struct err *e) {
    char path[PATH_MAX];
    int r = scratch_path(w, name, path, e);
    if (r < 0)
        return r;
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    r = fd < 0 ? -errno : io_write(fd, bytes, size);
    return r < 0 ? err_sys(e, -r, "cannot write %s", path) : 0;
}

static int write_file(const struct workspace *w, const char *name, const char *text, struct err *e) {
    return write_bytes(w, name, text, strlen(text), e);
}

static int make_scratch(const struct workspace_options *options, struct workspace *w, struct err *e) {
    static const char *const folders[] = {"git",      "git/objects", "git/objects/pack", "git/objects/info",
                                          "git/info", "git/refs",    "git/refs/heads",   "tree"};
    char path[PATH_MAX];
    int r = scratch_make(options->cache, "workspace", w->scratch, &w->scratch_lock, e);
    for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(folders[0]); i++) {
        r = scratch_path(w, folders[i], path, e);
        if (r < 0)
            return r;
        if (mkdir(path, 0755) < 0)
            return err_sys(e, errno, "cannot make %s", path);
    }
    return r;
}

/* Copies `from` to `name` in the scratch folder with its time; a file that is
 * missing, not regular, or larger than `limit` (0: any) is left out: 0. */
static int copy_in(const struct workspace *w, const char *from, const char *name, off_t limit, struct err *e) {
    char path[PATH_MAX];
    int r = scratch_path(w, name, path, e);
    cleanup_fd int in = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (r < 0 || in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode) || (limit && st.st_size > limit))
        return r;
    cleanup_fd int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    char buffer[65536];
    if (out < 0)
        return err_sys(e, errno, "cannot write %s", path);
    for (;;) {
        ssize_t n = io_read_some(in, buffer, sizeof(buffer));
        r = n < 0 ? (int) n : io_write(out, buffer, (size_t) n);
        if (n <= 0 || r < 0)
            break;
    }
    const struct timespec times[2] = {st.st_mtim, st.st_mtim};
    if (r == 0 && futimens(out, times) < 0)
        r = -errno;
    return r < 0 ? err_sys(e, -r, "cannot write %s", path) : 0;
}

/* The environment of git calls that use the scratch folder: what they write goes
 * there, the repository's own objects are alternates (git(1)). */
struct scratch_env {
    char index[PATH_MAX + 64], objects[PATH_MAX + 64], alternates[2 * PATH_MAX + 64];
    char git_dir[PATH_MAX + 32], tree[PATH_MAX + 32];
    const char *settings[6];
};

static void scratch_environment(const struct workspace *w, struct scratch_env *env) {
    (void) snprintf(env->index, sizeof(env->index), "GIT_INDEX_FILE=%s/git/index", w->scratch);
    (void) snprintf(env->objects, sizeof(env->objects), "GIT_OBJECT_DIRECTORY=%s/git/objects", w->scratch);
    (void) snprintf(env->git_dir, sizeof(env->git_dir), "GIT_DIR=%s", w->repo.git_dir);
    (void) snprintf(env->tree, sizeof(env->tree), "GIT_WORK_TREE=%s", w->root);
    size_t n = (size_t) snprintf(env->alternates, sizeof(env->alternates), "GIT_ALTERNATE_OBJECT_DIRECTORIES=\"");
    for (const char *p = w->repo.common_dir; *p && n + 16 < sizeof(env->alternates); p++) {
        if (*p == '"' || *p == '\\')
            env->alternates[n++] = '\\';
        env->alternates[n++] = *p;
    }
    (void) snprintf(env->alternates + n, sizeof(env->alternates) - n, "/objects\"");
    const char *settings[] = {env->index, env->objects, env->alternates, env->git_dir, env->tree, NULL};
    memcpy(env->settings, settings, sizeof(settings));
}

/* A git call whose output nobody needs. */
static int quietly(const struct workspace *w, const struct scratch_env *env, const char *const *arguments,
                   const char *what, struct err *e) {
    struct process_output o;
    int r = git_must(w->root, arguments, env->settings, NULL, 0, &o, what, e);
    if (r == 0)
        process_output_free(&o);
    return r;
}

/* The host's index, without the extensions that point at other files or programs. */
static int make_index(struct workspace *w, const struct scratch_env *env, struct err *e) {
    static const char *const normalise[] = {"update-index", "--no-split-index", "--no-fsmonitor",
                                            "--no-untracked-cache", NULL};
    char from[PATH_MAX + 8], to[PATH_MAX];
    (void) snprintf(from, sizeof(from), "%s/index", w->repo.git_dir);
    int r = copy_in(w, from, "git/index", 0, e);
    if (r == 0)
        r = scratch_path(w, "git/index", to, e);
    if (r < 0 || access(to, F_OK) < 0)
        return r;
    return quietly(w, env, normalise, "cannot read the index", e);
}

/* The files of another commit in the scratch folder's tree, and their index. */
static int check_out(struct workspace *w, struct scratch_env *env, struct err *e) {
    char prefix[PATH_MAX + 16];
    (void) snprintf(prefix, sizeof(prefix), "--prefix=%s/tree/", w->scratch);
    const char *const read_tree[] = {"read-tree", w->head, NULL};
    const char *const files[] = {"checkout-index", "-a", "-q", prefix, NULL};
    static const char *const refresh[] = {"update-index", "-q", "--refresh", NULL};
    int r = quietly(w, env, read_tree, "cannot read the commit", e);
    if (r == 0)
        r = quietly(w, env, files, "cannot check the commit out", e);
    if (r == 0)
        r = scratch_path(w, "tree", w->root, e);
    if (r < 0)
        return r;
    scratch_environment(w, env);
    return quietly(w, env, refresh, "cannot check the commit out", e);
}

/* Appends the object names of the index to `list`, one a line; says whether the
 * empty blob is among them: of a file added with --intent-to-add nothing else exists. */
static int add_staged(const struct workspace *w, const struct scratch_env *env, FILE *list, int *empty, struct err *e) {
    static const char *const arguments[] = {"ls-files", "-s", "-z", NULL};
    static const char sha1_empty[] = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    static const char sha256_empty[] = "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813";
    struct process_output o;
    int r = git_must(w->root, arguments, env->settings, NULL, 0, &o, "cannot read the index", e);
    if (r < 0)
        return r;
    for (const char *entry = o.out; entry < o.out + o.out_size; entry += strlen(entry) + 1) {
        const char *oid = strchr(entry, ' ');
        size_t length = oid ? strcspn(oid + 1, " ") : 0;
        if (length == 0)
            continue;
        (void) fprintf(list, "%.*s\n", (int) length, oid + 1);
        if (strncmp(oid + 1, sha1_empty, length) == 0 || strncmp(oid + 1, sha256_empty, length) == 0)
            *empty = 1;
    }
    process_output_free(&o);
    return 0;
}

/* Appends the commit, its trees and blobs. */
static int add_commit(const struct workspace *w, const struct scratch_env *env, FILE *list, struct err *e) {
    const char *const arguments[] = {"rev-list", "--objects", "--no-walk", w->head, "--", NULL};
    struct process_output o;
    if (!w->head[0])
        return 0;
    int r = git_must(w->root, arguments, env->settings, NULL, 0, &o, "cannot list the commit", e);
    if (r < 0)
        return r;
    (void) fwrite(o.out, 1, o.out_size, list);
    process_output_free(&o);
    return 0;
}

static int make_pack(const struct workspace *w, const struct scratch_env *env, struct err *e) {
    char base[PATH_MAX];
    int r = scratch_path(w, "git/objects/pack/pack", base, e);
    if (r < 0)
        return r;
    const char *const pack[] = {"pack-objects", "-q", "--delta-base-offset", "--window=0", "--compression=1",
                                base,           NULL};
    static const char *const hash_empty[] = {"hash-object", "-w", "-t", "blob", "--stdin", NULL};
    cleanup_free char *names = NULL;
    size_t size = 0;
    FILE *list = open_memstream(&names, &size);
    if (!list)
        return err_set(e, ENOMEM, "not enough memory for the object list");
    int empty = 0;
    r = add_commit(w, env, list, e);
    if (r == 0)
        r = add_staged(w, env, list, &empty, e);
    if (fclose(list) != 0 && r == 0)
        r = err_set(e, ENOMEM, "not enough memory for the object list");
    if (r == 0 && empty)
        r = quietly(w, env, hash_empty, "cannot write an object", e);
    if (r < 0 || size == 0)
        return r;
    struct process_output o;
    r = git_must(w->root, pack, env->settings, names, size, &o, "cannot pack the commit", e);
    if (r == 0)
        process_output_free(&o);
    return r;
}

/* HEAD, its branch, and the mark that says where history was cut (gitformat-packed-refs, shallow). */
static int make_refs(const struct workspace *w, struct err *e) {
    char text[GIT_OID_MAX + GIT_BRANCH_MAX + 128];
    if (w->branch[0])
        (void) snprintf(text, sizeof(text), "ref: refs/heads/%s\n", w->branch);
    else
        (void) snprintf(text, sizeof(text), "%s\n", w->head);
    int r = write_file(w, "git/HEAD", text, e);
    if (r < 0 || !w->head[0])
        return r;
    if (w->branch[0]) {
        (void) snprintf(text, sizeof(text), "# pack-refs with: peeled fully-peeled sorted \n%s refs/heads/%s\n",
                        w->head, w->branch);
        r = write_file(w, "git/packed-refs", text, e);
    }
    (void) snprintf(text, sizeof(text), "%s\n", w->head);
    return r == 0 && (w->repo.has_parents || w->other_commit) ? write_file(w, "git/shallow", text, e) : r;
}

/* --- configuration ----------------------------------------------------------- */

/* Which keys go where: the effective value of what decides how file content maps to
 * blobs, the repository's own identity, and the host account's identity. */
static const struct config_rule {
    const char *section, *name;
    enum { ANY_SCOPE, OWN_SCOPE, HOST_SCOPE } scope;
} config_rules[] = {
    {"core", "filemode", ANY_SCOPE},
    {"core", "symlinks", ANY_SCOPE},
    {"core", "ignorecase", ANY_SCOPE},
    {"core", "autocrlf", ANY_SCOPE},
    {"core", "eol", ANY_SCOPE},
    {"core", "safecrlf", ANY_SCOPE},
    {"user", "name", OWN_SCOPE},
    {"user", "email", OWN_SCOPE},
    {"user", "name", HOST_SCOPE},
    {"user", "email", HOST_SCOPE},
    {"init", "defaultbranch", HOST_SCOPE},
};
#define CONFIG_RULES (sizeof(config_rules) / sizeof(config_rules[0]))

struct config_values {
    char *text; /* `git config --list` output, which the pointers below are into */
    const char *value[CONFIG_RULES];
    const char *origin; /* remote.origin.url of the repository */
};

static int own_scope(const char *scope) {
    return strcmp(scope, "local") == 0 || strcmp(scope, "worktree") == 0;
}

static void take_value(struct config_values *values, const char *scope, const char *key, const char *value) {
    if (own_scope(scope) && strcmp(key, "remote.origin.url") == 0)
        values->origin = value;
    for (size_t i = 0; i < CONFIG_RULES; i++) {
        const struct config_rule *rule = &config_rules[i];
        size_t length = strlen(rule->section);
        if (strncmp(key, rule->section, length) != 0 || key[length] != '.' || strcmp(key + length + 1, rule->name) != 0)
            continue;
        if (rule->scope == ANY_SCOPE || (rule->scope == OWN_SCOPE) == own_scope(scope))
            values->value[i] = value; /* later lines override earlier ones */
    }
}

/* Reads "scope NUL key LF value NUL" records. */
static int read_config(const struct workspace *w, struct config_values *values, struct err *e) {
    static const char *const arguments[] = {"config", "--null", "--show-scope", "--list", NULL};
    struct process_output o;
    int r = git_must(w->repo.top, arguments, NULL, NULL, 0, &o, "cannot read the configuration", e);
    if (r < 0)
        return r;
    free(o.err);
    values->text = o.out;
    for (char *scope = o.out, *end = o.out + o.out_size; scope < end;) {
        char *key = scope + strlen(scope) + 1;
        if (key >= end)
            break;
        char *next = key + strlen(key) + 1;
        char *value = strchr(key, '\n');
        if (value) {
            *value++ = 0;
            take_value(values, scope, key, value);
        }
        scope = next;
    }
    return 0;
}

/* A value in git-config's syntax: quoted, with its four escapes. */
static void print_value(FILE *file, const char *name, const char *value) {
    (void) fprintf(file, "\t%s = \"", name);
    for (const char *p = value; *p; p++) {
        if (*p == '\n')
            (void) fputs("\\n", file);
        else if (*p == '\t')
            (void) fputs("\\t", file);
        else {
            if (*p == '"' || *p == '\\')
                (void) fputc('\\', file);
            (void) fputc(*p, file);
        }
    }
    (void) fputs("\"\n", file);
}

/* A remote's address without what may be a secret: user and password of http, the password of others. */
static void print_origin(FILE *file, const char *url) {
    const char *host = strstr(url, "://");
    const char *at = host ? strchr(host + 3, '@') : NULL;
    (void) fputs("[remote \"origin\"]\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n", file);
    if (!at || at > host + 3 + strcspn(host + 3, "/")) {
        print_value(file, "url", url);
        return;
    }
    for (const char *next = strchr(at + 1, '@'); next && next < at + strcspn(at, "/"); next = strchr(at + 1, '@'))
        at = next;
    cleanup_free char *clean = NULL;
    size_t user = strncmp(url, "http", 4) == 0 ? 0 : strcspn(host + 3, ":@");
    if (asprintf(&clean, "%.*s%.*s%s", (int) (host + 3 - url), url, (int) user, host + 3, at + (user == 0)) < 0)
        return;
    print_value(file, "url", clean);
}

static void print_section(FILE *file, const struct config_values *values, const char *section, int host) {
    int begun = 0;
    for (size_t i = 0; i < CONFIG_RULES; i++) {
        const struct config_rule *rule = &config_rules[i];
        if (!values->value[i] || strcmp(rule->section, section) != 0 || (rule->scope == HOST_SCOPE) != host)
            continue;
        if (!begun && strcmp(section, "core") != 0)
            (void) fprintf(file, "[%s]\n", section);
        begun = 1;
        print_value(file, rule->name, values->value[i]);
    }
}

static int make_config(const struct workspace *w, struct err *e) {
    struct config_values values = {0};
    int r = read_config(w, &values, e);
    if (r < 0)
        return r;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (file) {
        (void) fprintf(file, "[core]\n\trepositoryformatversion = %d\n\tbare = false\n\tlogallrefupdates = true\n",
                       w->repo.sha256);
        (void) fputs("\tcheckstat = minimal\n", file);
        print_section(file, &values, "core", 0);
        if (w->repo.sha256)
            (void) fputs("[extensions]\n\tobjectformat = sha256\n", file);
        print_section(file, &values, "user", 0);
        if (values.origin)
            print_origin(file, values.origin);
        r = fclose(file) == 0 ? write_file(w, "git/config", text, e) : err_set(e, ENOMEM, "not enough memory");
        free(text);
        text = NULL;
    }
    file = r == 0 ? open_memstream(&text, &size) : NULL;
    if (file) {
        print_section(file, &values, "user", 1);
        print_section(file, &values, "init", 1);
        r = fclose(file) == 0 ? write_file(w, "gitconfig", text, e) : err_set(e, ENOMEM, "not enough memory");
        free(text);
    }
    free(values.text);
    return r;
}

static int copy_info(const struct workspace *w, struct err *e) {
    static const char *const names[] = {"info/exclude", "info/attributes"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        char from[PATH_MAX + 32], to[32];
        (void) snprintf(from, sizeof(from), "%s/%s", w->repo.common_dir, names[i]);
        (void) snprintf(to, sizeof(to), "git/%s", names[i]);
        r = copy_in(w, from, to, SMALL_FILE_MAX, e);
    }
    return r;
}

/* For a guest that is brought up to date: what this was made of, and what it must not have any more. */
static int make_marks(const struct workspace *w, struct err *e) {
    int r = write_file(w, "git/banger-host", w->state, e);
    return r == 0 && w->gone_size ? write_bytes(w, "git/banger-gone", w->gone, w->gone_size, e) : r;
}

static int prepare(const struct workspace_options *options, struct workspace *w, struct scratch_env *env,
                   struct err *e) {
    int r = make_scratch(options, w, e);
    if (r < 0)
        return r;
    scratch_environment(w, env);
    r = w->other_commit ? check_out(w, env, e) : make_index(w, env, e);
    if (r == 0)
        r = make_pack(w, env, e);
    if (r == 0)
        r = make_refs(w, e);
    if (r == 0)
        r = make_config(w, e);
    if (r == 0)
        r = make_marks(w, e);
    return r == 0 ? copy_info(w, e) : r;
}

int workspace_prepare(const struct workspace_options *options, struct workspace *w, struct err *e) {
    struct scratch_env *env = calloc(1, sizeof(*env));
    int r = env ? prepare(options, w, env, e) : err_set(e, ENOMEM, "not enough memory for the workspace");
    free(env);
    return r;
}
