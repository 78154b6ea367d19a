#include "tree.h"
#include "tree_made.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHECK_BYTES (4u << 20)  /* of content between two looks at the disk's room */
#define SPARE_MOST  (64u << 20) /* that stays free, or a 64th of the disk */
#define TRIES       8           /* others take what this receiver makes for left: each looks once at a folder */

__attribute__((format(printf, 3, 4))) static int fail(struct tree_receiver *r, int code, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void) vsnprintf(r->said, sizeof(r->said), fmt, args);
    va_end(args);
    return -code;
}

static int cannot(struct tree_receiver *r, int code, const char *what) {
    const char *path = r->path[0] ? r->path : "it";
    if (code == ENOSPC || code == EDQUOT)
        return fail(r, code, "there is no room left for %s: free some and copy again", path);
    return fail(r, code, "cannot %s %s: %s", what, path, strerror(code));
}

static int broken(struct tree_receiver *r) {
    return fail(r, EPROTO, "what was sent is no tree of files (at %s)", r->path[0] ? r->path : "its top");
}

/* --- the stream -------------------------------------------------------------------- */

static int get(struct tree_receiver *r, void *to, size_t size) {
    for (size_t done = 0; done < size;) {
        size_t there = r->tail - r->head;
        if (there == 0) {
            ssize_t n = read(r->fd, r->buffer, sizeof(r->buffer));
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                return fail(r, EPIPE, "the copy was broken off");
            r->head = 0;
            r->tail = there = (size_t) n;
        }
        size_t part = there < size - done ? there : size - done;
        memcpy((char *) to + done, r->buffer + r->head, part);
        r->head += part;
        done += part;
    }
    return 0;
}

/* A text of that size, without NULs in it. */
static int get_text(struct tree_receiver *r, char *to, uint32_t size) {
    int rc = get(r, to, size);
    to[size] = 0;
    return rc == 0 && memchr(to, 0, size) ? broken(r) : rc;
}

static int is_name(const char *name) {
    return name[0] && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The next entry, into `r`; the sender's own failure is one here. */
static int next(struct tree_receiver *r) {
    struct tree_entry *entry = &r->entry;
    int rc = get(r, entry, sizeof(*entry));
    if (rc)
        return rc;
    if (entry->name_size > TREE_NAME_MAX || entry->target_size > TREE_TARGET_MAX || entry->nanoseconds > 999999999 ||
        entry->reserved || entry->type < TREE_TOTAL || entry->type > TREE_END)
        return broken(r);
    rc = get_text(r, r->name, entry->name_size);
    if (rc == 0)
        rc = get_text(r, r->target, entry->target_size);
    if (rc == 0 && entry->type == TREE_FAILED)
        return r->name[0] ? fail(r, EREMOTEIO, "%s", r->name) : broken(r);
    return rc;
}

static size_t path_push(struct tree_receiver *r, const char *name) {
    size_t before = r->path_used;
    int n = snprintf(r->path + before, sizeof(r->path) - before, "%s%s", before ? "/" : "", name);
    r->path_used = n > 0 && (size_t) n < sizeof(r->path) - before ? before + (size_t) n : before;
    return before;
}

static void path_pop(struct tree_receiver *r, size_t before) {
    r->path_used = before;
    r->path[before] = 0;
}

/* --- room ---------------------------------------------------------------------------- */

/* 0, or -ENOSPC when `more` bytes would leave too little. */
static int room(struct tree_receiver *r, int fd, uint64_t more) {
    struct statvfs fs;
    if (!r->keep_room || fstatvfs(fd, &fs))
        return 0;
    uint64_t unit = fs.f_frsize, spare = fs.f_blocks * unit / 64;
    if (spare > SPARE_MOST)
        spare = SPARE_MOST;
    if (fs.f_bavail * unit >= spare && fs.f_bavail * unit - spare >= more && (fs.f_files == 0 || fs.f_favail > 0))
        return 0;
    return fail(r, ENOSPC, "%llu MiB are free where %s goes, too little for it: free some and copy again",
                (unsigned long long) (fs.f_bavail * unit >> 20), r->path[0] ? r->path : "it");
}

/* --- entries ------------------------------------------------------------------------- */

static int receive_entry(struct tree_receiver *r, int dir, const char *name);

static int write_all(int fd, const uint8_t *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, data + done, size - done);
        if (n > 0)
            done += (size_t) n;
        else if (n == 0 || errno != EINTR)
            return n < 0 ? -errno : -EIO;
    }
    return 0;
}

/* `size` bytes of the stream into the file. */
static int take_chunk(struct tree_receiver *r, int file, uint32_t size) {
    uint8_t piece[8192];
    int rc = 0;
    for (uint32_t left = size; rc == 0 && left > 0;) {
        size_t part = left < sizeof(piece) ? left : sizeof(piece);
        rc = get(r, piece, part);
        int wrote = rc ? 0 : write_all(file, piece, part);
        if (wrote)
            rc = cannot(r, -wrote, "write");
        left -= (uint32_t) part;
    }
    r->bytes += size;
    if (rc == 0 && r->bytes - r->checked >= CHECK_BYTES) {
        r->checked = r->bytes;
        rc = room(r, file, 0);
    }
    if (rc == 0 && r->moved)
        r->moved(r->arg, r->bytes, r->total);
    return rc;
}

static int take_content(struct tree_receiver *r, int file) {
    for (;;) {
        uint32_t size = 0;
        int rc = get(r, &size, sizeof(size));
        if (rc || size == 0)
            return rc;
        if (size == TREE_CHUNK_FAILED)
            return (rc = next(r)) ? rc : broken(r);
        rc = size > TREE_CHUNK_MAX ? broken(r) : take_chunk(r, file, size);
        if (rc)
            return rc;
    }
}

static void times_of(const struct tree_entry *entry, struct timespec times[2]) {
    times[0] = (struct timespec){.tv_nsec = UTIME_NOW};
    times[1] = (struct timespec){.tv_sec = entry->seconds, .tv_nsec = entry->nanoseconds};
}

/* What is complete under `made` could not take another's place, as errno says. */
static int not_replaced(struct tree_receiver *r, int dir, const char *made) {
    int rc = cannot(r, errno, "put a file in the place of");
    (void) unlinkat(dir, made, 0);
    return rc;
}

/* A file with a name of its own, in `made`. */
static int file_make_named(int dir, char made[TREE_MADE_SIZE]) {
    for (int i = 0; i < TRIES; i++) {
        tree_made_name(made);
        int file = openat(dir, made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file < 0 || tree_made_hold(file) == 0)
            return file;
        (void) close(file);
    }
    errno = ESTALE;
    return -1;
}

/* A file without a name, which is gone when this process ends before it gets one; where the file system has none such,
 * one with a name, in `made` (else ""). */
static int file_make(int dir, char made[TREE_MADE_SIZE]) {
    int file = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    made[0] = 0;
    if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
        return file_make_named(dir, made);
    if (file >= 0)
        (void) tree_made_hold(file);
    return file;
}

/* linkat(2) replaces nothing: only what takes the place of another has a name of its own first, between two calls. */
static int file_name(struct tree_receiver *r, int dir, int file, char made[TREE_MADE_SIZE], const char *name) {
    char self[32];
    (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
    if (!made[0]) {
        if (linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        tree_made_name(made);
        if (errno != EEXIST || linkat(AT_FDCWD, self, dir, made, AT_SYMLINK_FOLLOW))
            return cannot(r, errno, "make");
    }
    return renameat(dir, made, dir, name) ? not_replaced(r, dir, made) : 0;
}

/* What close(2) would say of it, which comes too late: each close of a duplicate says the same. */
static int file_flush(int file) {
    int again = fcntl(file, F_DUPFD_CLOEXEC, 0);
    return again < 0 ? -1 : close(again);
}

static int receive_file(struct tree_receiver *r, int dir, const char *name) {
    const struct tree_entry entry = r->entry;
    char made[TREE_MADE_SIZE];
    struct timespec times[2];
    int file = file_make(dir, made);
    if (file < 0)
        return cannot(r, errno, "make");
    int rc = room(r, file, 0);
    if (rc == 0)
        rc = take_content(r, file);
    times_of(&entry, times);
    if (rc == 0 && (fchmod(file, entry.mode & 0777) || futimens(file, times)))
        rc = cannot(r, errno, "set mode and time of");
    if (rc == 0 && file_flush(file))
        rc = cannot(r, errno, "write");
    if (rc && made[0])
        (void) unlinkat(dir, made, 0);
    if (rc == 0)
        rc = file_name(r, dir, file, made, name);
    (void) close(file);
    return rc;
}

static int link_replace(struct tree_receiver *r, int dir, const char *name, const struct timespec times[2]) {
    char made[TREE_MADE_SIZE];
    for (int i = 0; i < TRIES; i++) {
        tree_made_name(made);
        if (symlinkat(r->target, dir, made))
            return cannot(r, errno, "make the link");
        (void) utimensat(dir, made, times, AT_SYMLINK_NOFOLLOW);
        if (renameat(dir, made, dir, name) == 0)
            return 0;
        if (errno != ENOENT)
            break;
    }
    return not_replaced(r, dir, made);
}

static int receive_link(struct tree_receiver *r, int dir, const char *name) {
    struct timespec times[2];
    if (!r->target[0])
        return broken(r);
    times_of(&r->entry, times);
    if (symlinkat(r->target, dir, name) == 0) {
        (void) utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
        return 0;
    }
    return errno == EEXIST ? link_replace(r, dir, name, times) : cannot(r, errno, "make the link");
}

/* Into the open folder, until its end. */
static int receive_content(struct tree_receiver *r, int folder) {
    int rc = r->depth > TREE_DEPTH_MAX ? broken(r) : 0;
    while (rc == 0 && (rc = next(r)) == 0) {
        char name[TREE_NAME_MAX + 1];
        if (r->entry.type == TREE_LEAVE)
            return 0;
        if (!is_name(r->name))
            return broken(r);
        size_t before = path_push(r, r->name);
        memcpy(name, r->name, sizeof(name));
        rc = receive_entry(r, folder, name);
        if (rc == 0)
            path_pop(r, before);
    }
    return rc;
}

/* One that is there keeps its mode and time. A new one gets them when it is complete; its mode, as far as it can be
 * filled so, at once: a copy that is begun anew after this one was broken off finds it there. */
static int receive_folder(struct tree_receiver *r, int dir, const char *name) {
    const struct tree_entry entry = r->entry;
    struct timespec times[2];
    int made = mkdirat(dir, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return cannot(r, errno, "make the folder");
    int folder = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return errno == ELOOP || errno == ENOTDIR
                   ? fail(r, EEXIST, "%s is there and no folder: move it away", r->path[0] ? r->path : "it")
                   : cannot(r, errno, "open the folder");
    if (!made)
        tree_made_sweep(folder);
    int rc = made && fchmod(folder, (entry.mode & 0777) | 0700) ? cannot(r, errno, "set the mode of") : 0;
    r->depth++;
    if (rc == 0)
        rc = receive_content(r, folder);
    r->depth--;
    times_of(&entry, times);
    if (rc == 0 && made && (futimens(folder, times) || fchmod(folder, entry.mode & 0777)))
        rc = cannot(r, errno, "set mode and time of");
    (void) close(folder);
    return rc;
}

static int receive_entry(struct tree_receiver *r, int dir, const char *name) {
    switch (r->entry.type) {
    case TREE_FILE:
        return receive_file(r, dir, name);
    case TREE_LINK:
        return receive_link(r, dir, name);
    case TREE_FOLDER:
        return receive_folder(r, dir, name);
    case TREE_LEFT_OUT:
        if (r->depth == 0)
            return broken(r);
        if (r->left_out)
            r->left_out(r->arg, r->path, (int) (r->entry.mode & 4095));
        return 0;
    default:
        return broken(r);
    }
}

/* --- the whole ----------------------------------------------------------------------- */

/* Where the root goes: in the folder `dir` as `name`, or as its content where `name` is "". */
struct place {
    int dir;
    char name[TREE_NAME_MAX + 1];
};

/* The folder above a path that is nothing yet, or a file. */
static int open_above(const char *path, char base[TREE_NAME_MAX + 1]) {
    char above[4096];
    size_t size = strlen(path);
    tree_base(path, base);
    if (size == 0 || size >= sizeof(above) || !base[0] || path[size - 1] == '/') {
        errno = size >= sizeof(above) ? ENAMETOOLONG : ENOENT;
        return -1;
    }
    size -= strlen(base);
    memcpy(above, size ? path : ".", size ? size : 1);
    above[size ? size : 1] = 0;
    return open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int find_place(struct tree_receiver *r, const char *path, const char *base, struct place *place) {
    place->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->dir >= 0) {
        (void) snprintf(place->name, sizeof(place->name), "%s", base);
        return 0;
    }
    if (errno == ENOENT || errno == ENOTDIR)
        place->dir = open_above(path, place->name);
    if (place->dir >= 0)
        return 0;
    if (errno == ENOENT || errno == ENOTDIR)
        return fail(r, errno, "there is no folder for %.400s: make it first", path);
    return fail(r, errno, "cannot open %.400s: %s", path, strerror(errno));
}

static int receive_root(struct tree_receiver *r, const struct place *place) {
    int rc = next(r);
    if (rc)
        return rc;
    if (r->entry.type != TREE_TOTAL)
        return broken(r);
    r->total = r->entry.size;
    (void) path_push(r, place->name[0] ? place->name : ".");
    tree_made_sweep(place->dir);
    rc = room(r, place->dir, r->total);
    if (rc == 0)
        rc = next(r);
    if (rc)
        return rc;
    if (r->name[0] || (!place->name[0] && r->entry.type != TREE_FOLDER))
        return broken(r);
    if (place->name[0])
        return receive_entry(r, place->dir, place->name);
    r->depth++;
    rc = receive_content(r, place->dir);
    r->depth--;
    return rc;
}

int tree_receive(struct tree_receiver *r, const char *path, const char *base) {
    struct place place = {.dir = -1};
    r->head = r->tail = r->path_used = 0;
    r->path[0] = r->said[0] = 0;
    int rc = find_place(r, path, base, &place);
    if (rc == 0)
        rc = receive_root(r, &place);
    if (rc == 0 && (rc = next(r)) == 0 && r->entry.type != TREE_END)
        rc = broken(r);
    if (place.dir >= 0)
        (void) close(place.dir);
    return rc;
}

int tree_answered(struct tree_receiver *r) {
    r->head = r->tail = r->path_used = 0;
    r->path[0] = r->said[0] = 0;
    int rc = next(r);
    return rc == 0 && r->entry.type != TREE_END ? broken(r) : rc;
}
