#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the stream -------------------------------------------------------------------- */

static int flush(struct tree_sender *s) {
    for (size_t done = 0; done < s->used;) {
        ssize_t n = write(s->fd, s->buffer + done, s->used - done);
        if (n > 0)
            done += (size_t) n;
        else if (errno != EINTR)
            return -errno;
    }
    s->used = 0;
    return 0;
}

static int put(struct tree_sender *s, const void *data, size_t size) {
    int rc = sizeof(s->buffer) - s->used < size ? flush(s) : 0;
    if (rc == 0 && size > 0) {
        memcpy(s->buffer + s->used, data, size);
        s->used += size;
    }
    return rc;
}

static int put_entry(struct tree_sender *s, struct tree_entry entry, const char *name, const char *target) {
    entry.name_size = (uint32_t) strlen(name);
    entry.target_size = (uint32_t) strlen(target);
    int rc = put(s, &entry, sizeof(entry));
    if (rc == 0)
        rc = put(s, name, entry.name_size);
    return rc ? rc : put(s, target, entry.target_size);
}

/* Tells both sides. */
static int fail(struct tree_sender *s, int code, const char *what, const char *name) {
    (void) snprintf(s->said, sizeof(s->said), "%s %.400s: %s", what, name, strerror(code));
    char short_enough[TREE_NAME_MAX + 1];
    (void) snprintf(short_enough, sizeof(short_enough), "%.255s", s->said);
    (void) put_entry(s, (struct tree_entry){.type = TREE_FAILED}, short_enough, "");
    (void) flush(s);
    return -code;
}

static struct tree_entry described(enum tree_type type, const struct stat *st) {
    return (struct tree_entry){.type = type,
                               .mode = st->st_mode & 07777,
                               .seconds = st->st_mtim.tv_sec,
                               .nanoseconds = (uint32_t) st->st_mtim.tv_nsec,
                               .size = type == TREE_FILE ? (uint64_t) st->st_size : 0};
}

/* --- entries ------------------------------------------------------------------------- */

static int send_entry(struct tree_sender *s, int dir, const char *name, const char *as);

static int leave_out(struct tree_sender *s, int code, const char *name, const char *as) {
    if (s->depth == 0)
        return fail(s, code ? code : EOPNOTSUPP, "cannot read", name);
    if (s->left_out)
        s->left_out(s->arg, name, code);
    return put_entry(s, (struct tree_entry){.type = TREE_LEFT_OUT, .mode = (uint32_t) code}, as, "");
}

/* The file's bytes from where it is, each piece behind its size. */
static int send_content(struct tree_sender *s, int file, const char *name) {
    for (;;) {
        int rc = flush(s);
        ssize_t n = rc ? 0 : read(file, s->buffer + 4, TREE_CHUNK_MAX);
        if (rc)
            return rc;
        if (n < 0 && errno == EINTR)
            continue;
        uint32_t size = n < 0 ? TREE_CHUNK_FAILED : (uint32_t) n;
        int code = errno;
        memcpy(s->buffer, &size, sizeof(size));
        s->used = sizeof(size) + (n > 0 ? (size_t) n : 0);
        if (n < 0)
            return fail(s, code, "cannot read", name);
        if (n == 0)
            return 0;
        s->bytes += (uint64_t) n;
        if (s->moved)
            s->moved(s->arg, s->bytes, s->total);
    }
}

/* O_NONBLOCK: what has become a pipe meanwhile must not be waited for. */
static int send_file(struct tree_sender *s, int dir, const char *name, const char *as) {
    struct stat st;
    int file = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0)
        return leave_out(s, errno, name, as);
    int rc;
    if (fstat(file, &st) || !S_ISREG(st.st_mode))
        rc = leave_out(s, 0, name, as);
    else if ((rc = put_entry(s, described(TREE_FILE, &st), as, "")) == 0)
        rc = send_content(s, file, name);
    (void) close(file);
    return rc;
}

static int send_link(struct tree_sender *s, int dir, const char *name, const char *as, const struct stat *st) {
    char target[TREE_TARGET_MAX + 1];
    ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
    if (n <= 0)
        return leave_out(s, n < 0 ? errno : EINVAL, name, as);
    target[n] = 0;
    return put_entry(s, described(TREE_LINK, st), as, target);
}

static int is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Takes the open folder. */
static int send_opened(struct tree_sender *s, int folder, const char *name, const char *as) {
    struct stat st;
    DIR *list = fstat(folder, &st) ? NULL : fdopendir(folder);
    if (!list) {
        (void) close(folder);
        return leave_out(s, errno, name, as);
    }
    int rc = put_entry(s, described(TREE_FOLDER, &st), as, "");
    s->depth++;
    if (rc == 0 && s->depth > TREE_DEPTH_MAX)
        rc = fail(s, ELOOP, "there are too many folders in each other at", name);
    for (const struct dirent *entry; rc == 0 && (entry = readdir(list));) {
        if (!is_dots(entry->d_name))
            rc = send_entry(s, dirfd(list), entry->d_name, entry->d_name);
    }
    s->depth--;
    (void) closedir(list);
    return rc ? rc : put_entry(s, (struct tree_entry){.type = TREE_LEAVE}, "", "");
}

static int send_folder(struct tree_sender *s, int dir, const char *name, const char *as, int follow) {
    int folder = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    return folder < 0 ? leave_out(s, errno, name, as) : send_opened(s, folder, name, as);
}

static int send_entry(struct tree_sender *s, int dir, const char *name, const char *as) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return leave_out(s, errno, name, as);
    if (S_ISDIR(st.st_mode))
        return send_folder(s, dir, name, as, 0);
    if (S_ISLNK(st.st_mode))
        return send_link(s, dir, name, as, &st);
    return S_ISREG(st.st_mode) ? send_file(s, dir, name, as) : leave_out(s, 0, name, as);
}

/* --- the whole ----------------------------------------------------------------------- */

/* Bytes of the files below; what cannot be looked at counts nothing. */
static uint64_t count(int dir, const char *name, int depth) {
    struct stat st;
    uint64_t bytes = 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    if (!S_ISDIR(st.st_mode))
        return S_ISREG(st.st_mode) ? (uint64_t) st.st_size : 0;
    int folder = depth < TREE_DEPTH_MAX ? openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    DIR *list = folder < 0 ? NULL : fdopendir(folder);
    for (const struct dirent *entry; list && (entry = readdir(list));)
        bytes += is_dots(entry->d_name) ? 0 : count(dirfd(list), entry->d_name, depth + 1);
    if (list)
        (void) closedir(list);
    else if (folder >= 0)
        (void) close(folder);
    return bytes;
}

int tree_send(struct tree_sender *s, const char *path) {
    char base[TREE_NAME_MAX + 1];
    size_t size = strlen(path);
    tree_base(path, base);
    int follow = size > 0 && (path[size - 1] == '/' || base[0] == 0); /* a folder, where a link leads to too */
    s->used = 0;
    s->total = count(AT_FDCWD, path, 0);
    int rc = put_entry(s, (struct tree_entry){.type = TREE_TOTAL, .size = s->total}, "", "");
    if (rc == 0)
        rc = follow ? send_folder(s, AT_FDCWD, path, "", 1) : send_entry(s, AT_FDCWD, path, "");
    if (rc == 0)
        rc = put_entry(s, (struct tree_entry){.type = TREE_END}, "", "");
    return rc ? rc : flush(s);
}

void tree_base(const char *path, char base[TREE_NAME_MAX + 1]) {
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    size_t size = end - start;
    base[0] = 0;
    if (size > TREE_NAME_MAX || (size == 1 && path[start] == '.') || (size == 2 && memcmp(path + start, "..", 2) == 0))
        return;
    memcpy(base, path + start, size);
    base[size] = 0;
}

int tree_answer(int fd, const char *said) {
    static struct tree_sender s;
    char short_enough[TREE_NAME_MAX + 1];
    (void) snprintf(short_enough, sizeof(short_enough), "%.255s", said);
    s = (struct tree_sender){.fd = fd};
    int rc = put_entry(&s, (struct tree_entry){.type = said[0] ? TREE_FAILED : TREE_END}, short_enough, "");
    return rc ? rc : flush(&s);
}
