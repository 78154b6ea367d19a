/* The workspace as a tar stream (pax, names as raw bytes, everything root's). */
#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "source.h"
#include "workspace.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUFFER_SIZE 262144

struct tar {
    struct archive *archive;
    struct archive_entry *entry;
    char *buffer;
    int fd;
    int failed;            /* negative errno of the first write that failed, or of what was given up */
    char folder[PATH_MAX]; /* last one whose entry, and those above it, are written */
};

/* libarchive never sees a write fail: it would forget to free its buffer (3.6.2). */
static la_ssize_t write_out(struct archive *archive, void *arg, const void *data, size_t size) {
    (void) archive;
    struct tar *t = arg;
    if (t->failed == 0)
        t->failed = io_write(t->fd, data, size);
    return (la_ssize_t) size;
}

static int archive_failed(struct tar *t, struct err *e) {
    if (t->failed == -EPIPE)
        return -EPIPE;
    if (t->failed < 0)
        return err_sys(e, -t->failed, "cannot write the workspace");
    int code = archive_errno(t->archive);
    return err_set(e, code > 0 ? code : EIO, "cannot write the workspace: %s", archive_error_string(t->archive));
}

/* One header; `link` is a symbolic link's target or NULL. */
static int put_header(struct tar *t, const char *name, mode_t mode, off_t size, time_t mtime, const char *link,
                      struct err *e) {
    archive_entry_clear(t->entry);
    archive_entry_set_pathname(t->entry, name);
    archive_entry_set_mode(t->entry, mode);
    archive_entry_set_size(t->entry, size);
    archive_entry_set_mtime(t->entry, mtime, 0);
    archive_entry_set_uid(t->entry, 0);
    archive_entry_set_gid(t->entry, 0);
    if (link)
        archive_entry_set_symlink(t->entry, link);
    int r = archive_write_header(t->archive, t->entry);
    return r < ARCHIVE_WARN || t->failed < 0 ? archive_failed(t, e) : 0;
}

/* The folders above `name` (in the stream), where not written yet. Sorted lists
 * come folder by folder; a repeated entry for a folder does no harm. */
static int put_folders(struct tar *t, const char *name, struct err *e) {
    const char *last = strrchr(name, '/');
    size_t length = last ? (size_t) (last - name) : 0;
    size_t same = 0;
    for (size_t i = 0; i <= length; i++) {
        int a = i == length ? '/' : name[i];
        int b = t->folder[i] ? t->folder[i] : '/';
        if (a != b)
            break;
        if (a == '/')
            same = i;
        if (!t->folder[i])
            break;
    }
    if (length >= sizeof(t->folder))
        return err_set(e, ENAMETOOLONG, "the path %s is too long", name);
    for (size_t i = same + 1; i <= length; i++) {
        if (i < length && name[i] != '/')
            continue;
        char folder[PATH_MAX];
        (void) snprintf(folder, sizeof(folder), "%.*s", (int) i, name);
        int r = put_header(t, folder, S_IFDIR | 0755, 0, time(NULL), NULL, e);
        if (r < 0)
            return r;
    }
    memcpy(t->folder, name, length);
    t->folder[length] = 0;
    return 0;
}

static int put_text(struct tar *t, const char *name, mode_t mode, const char *text, struct err *e) {
    size_t size = strlen(text);
    int r = put_header(t, name, S_IFREG | mode, (off_t) size, time(NULL), NULL, e);
    if (r == 0 && archive_write_data(t->archive, text, size) < 0)
        r = archive_failed(t, e);
    return r;
}

/* The content of `fd`, exactly `size` bytes. */
static int put_content(struct tar *t, const char *path, int fd, off_t size, struct err *e) {
    while (size > 0) {
        size_t want = size < BUFFER_SIZE ? (size_t) size : BUFFER_SIZE;
        ssize_t n = io_read_some(fd, t->buffer, want);
        if (n < 0)
            return err_sys(e, (int) -n, "cannot read %s", path);
        if ((size_t) n < want)
            return err_set(e, EAGAIN, "%s became shorter while it was read: run the command again", path);
        if (archive_write_data(t->archive, t->buffer, want) < 0 || t->failed < 0)
            return archive_failed(t, e);
        size -= n;
    }
    return 0;
}

static int put_link(struct tar *t, const struct source *s, const char *path, const char *name, const struct stat *st,
                    struct err *e) {
    char target[PATH_MAX];
    ssize_t n = readlinkat(s->parent, s->base, target, sizeof(target) - 1);
    if (n <= 0)
        return err_sys(e, n < 0 ? errno : EINVAL, "cannot read the link %s", path);
    target[n] = 0;
    return put_header(t, name, S_IFLNK | 0777, 0, st->st_mtime, target, e);
}

/* One file or link of the source under `name`; one that is gone is left out. */
static int put_path(struct tar *t, struct source *s, const char *path, const char *name, struct err *e) {
    struct stat st;
    int r = source_stat(s, path, &st, e);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = put_folders(t, name, e);
    if (r < 0)
        return r;
    if (S_ISLNK(st.st_mode))
        return put_link(t, s, path, name, &st, e);
    cleanup_fd int fd = source_open_file(s, path, &st, e);
    if (fd < 0)
        return fd;
    mode_t mode = st.st_mode & 0100 ? 0755 : 0644;
    r = put_header(t, name, S_IFREG | mode, st.st_size, st.st_mtime, NULL, e);
    return r < 0 ? r : put_content(t, path, fd, st.st_size, e);
}

static int put_files(struct tar *t, const struct workspace *w, struct err *e) {
    struct source s;
    int r = source_open(&s, w->root, e);
    char name[PATH_MAX + 8];
    for (size_t at = 0; r == 0 && at < w->files_size; at += strlen(w->files + at) + 1) {
        if ((size_t) snprintf(name, sizeof(name), "repo/%s", w->files + at) >= sizeof(t->folder))
            r = err_set(e, ENAMETOOLONG, "the path %s is too long", w->files + at);
        else
            r = put_path(t, &s, w->files + at, name, e);
    }
    source_close(&s);
    return r;
}

/* The scratch folder's git/ as repo/.git: banger's own files, so plain names will do. */
static int put_metadata(struct tar *t, struct source *s, const char *folder, int depth, struct err *e) {
    int fd = openat(s->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    char name[PATH_MAX + 8];
    (void) snprintf(name, sizeof(name), "repo/.%s", folder);
    int r =
        dir ? put_header(t, name, S_IFDIR | 0755, 0, time(NULL), NULL, e) : err_sys(e, errno, "cannot read %s", folder);
    const struct dirent *d = NULL;
    while (r == 0 && dir && (d = readdir(dir))) {
        if (d->d_name[0] == '.')
            continue;
        char path[PATH_MAX];
        if (snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= PATH_MAX)
            r = err_set(e, ENAMETOOLONG, "the path %s is too long", folder);
        else if (d->d_type == DT_DIR && depth < 8)
            r = put_metadata(t, s, path, depth + 1, e);
        else if (snprintf(name, sizeof(name), "repo/.%s", path) < PATH_MAX)
            r = put_path(t, s, path, name, e);
    }
    if (dir)
        (void) closedir(dir);
    return r;
}

static int put_repository(struct tar *t, const struct workspace *w, struct err *e) {
    struct source s;
    int r = source_open(&s, w->scratch, e);
    if (r < 0)
        return r;
    r = put_header(t, "repo", S_IFDIR | 0755, 0, time(NULL), NULL, e);
    (void) snprintf(t->folder, sizeof(t->folder), "repo");
    if (r == 0)
        r = put_metadata(t, &s, "git", 0, e);
    if (r == 0)
        r = put_path(t, &s, "gitconfig", ".gitconfig", e);
    source_close(&s);
    (void) snprintf(t->folder, sizeof(t->folder), "repo");
    return r == 0 ? put_files(t, w, e) : r;
}

static int put_key(struct tar *t, const char *key, struct err *e) {
    int r = put_header(t, ".ssh", S_IFDIR | 0700, 0, time(NULL), NULL, e);
    return r == 0 ? put_text(t, ".ssh/authorized_keys", 0600, key, e) : r;
}

static int open_archive(struct tar *t, struct err *e) {
    t->archive = archive_write_new();
    t->entry = archive_entry_new();
    if (!t->archive || !t->entry)
        return err_set(e, ENOMEM, "not enough memory for the workspace");
    (void) archive_write_set_format_pax_restricted(t->archive);
    (void) archive_write_set_options(t->archive, "pax:hdrcharset=BINARY");
    (void) archive_write_set_bytes_per_block(t->archive, BUFFER_SIZE);
    (void) archive_write_set_bytes_in_last_block(t->archive, 1);
    return archive_write_open(t->archive, t, NULL, write_out, NULL) == ARCHIVE_OK ? 0 : archive_failed(t, e);
}

static int write_stream(struct tar *t, const struct workspace *w, const char *key, struct err *e) {
    int r = open_archive(t, e);
    if (r == 0 && key)
        r = put_key(t, key, e);
    if (r == 0 && w)
        r = put_repository(t, w, e);
    if (r == 0 && (archive_write_close(t->archive) != ARCHIVE_OK || t->failed < 0))
        r = archive_failed(t, e);
    t->failed = r < 0 ? r : t->failed; /* what freeing would still write is dropped */
    archive_entry_free(t->entry);
    (void) archive_write_free(t->archive);
    return r;
}

int workspace_write_tar(const struct workspace *w, const char *key, int fd, struct err *e) {
    struct tar *t = calloc(1, sizeof(*t));
    char *buffer = malloc(BUFFER_SIZE);
    int r = -ENOMEM;
    if (t && buffer) {
        t->buffer = buffer;
        t->fd = fd;
        r = write_stream(t, w, key, e);
    } else {
        (void) err_set(e, ENOMEM, "not enough memory for the workspace");
    }
    free(buffer);
    free(t);
    return r;
}
