#include "tar.h"

#include "layers.h"

#include <archive.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_BYTES 512u

struct reader {
    struct layers *layers;
    struct tree *tree;
    struct volume *volume;
    struct import_report *report;
    struct archive *archive;
    int layered;          /* whiteouts mean something */
    int ended;            /* the stream has no more bytes */
    struct err fault;     /* of reading */
    const uint8_t *first; /* read before the archive was opened */
    size_t first_size;
    char xattrs[TREE_XATTRS_MAX];
};

/* The next bytes of the stream: the count, 0 at its end, or a negative errno with `fault` filled. */
static ssize_t fill(struct reader *d, const uint8_t **out) {
    ssize_t n = (ssize_t) d->first_size;
    *out = d->first;
    d->first_size = 0;
    if (n)
        return n;
    n = layers_read(d->layers, out, &d->fault);
    d->ended = n == 0;
    d->report->bytes = layers_packed(d->layers);
    import_progress(d->report->bytes, d->report->entries);
    return n;
}

static la_ssize_t on_read(struct archive *a, void *context, const void **out) {
    struct reader *d = context;
    const uint8_t *bytes = NULL;
    ssize_t n = fill(d, &bytes);
    *out = bytes;
    if (n < 0)
        archive_set_error(a, d->fault.code, "%s", d->fault.text);
    return n < 0 ? -1 : n;
}

static int damaged(struct reader *d, struct err *e) {
    if (d->fault.code) {
        *e = d->fault;
        return -e->code;
    }
    const char *why = archive_error_string(d->archive);
    return err_set(e, EINVAL, "The archive is damaged or cut short (%s); make it again", why ? why : "no reason given");
}

static int copy_xattrs(struct reader *d, struct archive_entry *entry, struct tree_inode *proto, struct err *e) {
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0, used = 0;
    (void) archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        if (!name || !tree_xattr_known(name))
            continue; /* other systems', which Linux has no place for */
        int r = tree_xattr_add(d->xattrs, &used, name, value, size, e);
        if (r)
            return r;
    }
    int r = tar_acls(entry, d->xattrs, &used, e);
    if (r == 0 && used) {
        proto->xattrs_size = (uint32_t) used;
        r = tree_blob(d->tree, d->xattrs, used, &proto->xattrs, e);
    }
    return r;
}

static int copy_link(struct reader *d, struct archive_entry *entry, struct tree_inode *proto, struct err *e) {
    const char *target = archive_entry_symlink(entry);
    if (!target || target[0] == '\0')
        return err_set(e, EINVAL, "it is a symbolic link to nothing; make the archive again");
    proto->size = strlen(target);
    proto->mode = S_IFLNK | 0777;
    if (proto->size >= TREE_PATH_MAX)
        return err_set(e, ENAMETOOLONG, "it is a symbolic link to a path longer than %u bytes; use a shorter one",
                       TREE_PATH_MAX - 1);
    return tree_blob(d->tree, target, proto->size, &proto->target, e);
}

static int attributes(struct reader *d, struct archive_entry *entry, struct tree_inode *proto, struct err *e) {
    int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry), size = archive_entry_size(entry);
    if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
        return err_set(e, ERANGE, "its owner's number does not fit in 32 bits; make the archive again");
    long nanoseconds = archive_entry_mtime_nsec(entry);
    *proto = (struct tree_inode){
        .mtime = archive_entry_mtime(entry),
        .mtime_ns = nanoseconds > 0 && nanoseconds < 1000000000 ? (uint32_t) nanoseconds : 0,
        .uid = (uint32_t) uid,
        .gid = (uint32_t) gid,
        .mode = (uint16_t) (archive_entry_mode(entry) & (S_IFMT | 07777)),
    };
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        if (size < 0 || (uint64_t) size > VOLUME_FILE_MAX)
            return err_set(e, EFBIG, "it is larger than 16 TiB, which ext4 cannot hold; use a smaller file");
        proto->size = (uint64_t) size;
        break;
    case AE_IFLNK:
        return copy_link(d, entry, proto, e);
    case AE_IFCHR:
    case AE_IFBLK:
        proto->major = (uint32_t) archive_entry_rdevmajor(entry);
        proto->minor = (uint32_t) archive_entry_rdevminor(entry);
        if (archive_entry_rdevmajor(entry) > 0xfff || archive_entry_rdevminor(entry) > 0xfffff)
            return err_set(e, ERANGE, "its device number is larger than Linux has; make the archive again");
        break;
    case AE_IFDIR:
    case AE_IFIFO:
        break;
    default:
        return err_set(e, EINVAL, "it is of a type that no Linux file has; make the archive again");
    }
    return 0;
}

static int copy_data(struct reader *d, uint32_t inode, struct err *e) {
    const void *data = NULL;
    size_t size = 0;
    la_int64_t offset = 0;
    int got = ARCHIVE_OK, r = 0;
    volume_begin(d->volume);
    while (r == 0 && (got = archive_read_data_block(d->archive, &data, &size, &offset)) == ARCHIVE_OK)
        r = offset < 0 ? -EINVAL : volume_write(d->volume, (uint64_t) offset, data, size, e);
    if (r)
        return r;
    if (got != ARCHIVE_EOF)
        return damaged(d, e);
    struct tree_inode *out = &d->tree->inodes[inode];
    return volume_end(d->volume, out->size, &out->extent, &out->extents, &out->blocks, e);
}

/* Gives back the blocks of files that are no longer there. */
static int drop_gone(struct reader *d, struct err *e) {
    int r = 0;
    for (uint32_t gone = tree_gone(d->tree); gone && r == 0; gone = tree_gone(d->tree)) {
        const struct tree_inode *inode = &d->tree->inodes[gone];
        r = volume_release(d->volume, inode->extent, inode->extents, e);
    }
    return r;
}

static int named(struct err *e, const char *path) {
    return err_prefix(e, "The archive's entry \"%.200s\"", path);
}

/* Whether the entry speaks of other layers' entries, and if so does what it says. */
static int take_whiteout(struct reader *d, const char *path, int *is, struct err *e) {
    static const char mark[] = ".wh.", special[] = ".wh..wh.", opaque[] = ".wh..wh..opq";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t folder = (size_t) (name - path);
    char hidden[TREE_PATH_MAX];
    *is = strncmp(name, mark, sizeof(mark) - 1) == 0;
    if (!*is)
        return 0;
    int whole = strcmp(name, opaque) == 0;
    if (!whole && strncmp(name, special, sizeof(special) - 1) == 0)
        return 0; /* an old storage driver's own files */
    if (strlen(path) >= sizeof(hidden))
        return err_set(e, ENAMETOOLONG, "its path is longer than %u bytes; use a shorter one", TREE_PATH_MAX - 1);
    const char *lost = name + sizeof(mark) - 1;
    if (!whole && (lost[0] == '\0' || strcmp(lost, ".") == 0 || strcmp(lost, "..") == 0))
        return err_set(e, EINVAL, "it removes a file without a name; make the image again");
    (void) snprintf(hidden, sizeof(hidden), "%.*s%s", (int) folder, path, whole ? "" : lost);
    int r = tree_hide_path(d->tree, hidden, whole, e);
    return r ? r : drop_gone(d, e);
}

/* A file, folder or link: its node, once its attributes are known. */
static int take_file(struct reader *d, struct archive_entry *entry, const char *path, struct err *e) {
    const char *hard = archive_entry_hardlink(entry);
    struct tree_inode proto = {0};
    uint32_t node = 0;
    if (hard) {
        int r = tree_link_path(d->tree, path, hard, e);
        return r ? named(e, path) : drop_gone(d, e);
    }
    int r = attributes(d, entry, &proto, e);
    if (r == 0)
        r = copy_xattrs(d, entry, &proto, e);
    if (r == 0)
        r = tree_add_path(d->tree, path, &proto, &node, e);
    if (r)
        return named(e, path);
    r = drop_gone(d, e);
    if (r == 0 && S_ISREG(proto.mode) && proto.size)
        r = copy_data(d, d->tree->nodes[node].inode, e);
    return r;
}

static int take_entry(struct reader *d, struct archive_entry *entry, struct err *e) {
    const char *path = archive_entry_pathname(entry);
    int is_whiteout = 0;
    if (!path || path[0] == '\0')
        return err_set(e, EINVAL, "An entry of the archive has no name; make the archive again");
    if (d->layered && take_whiteout(d, path, &is_whiteout, e))
        return named(e, path);
    return is_whiteout ? 0 : take_file(d, entry, path, e);
}

static int take_all(struct reader *d, struct err *e) {
    for (;;) {
        struct archive_entry *entry = NULL;
        int got = archive_read_next_header(d->archive, &entry);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return damaged(d, e);
        int r = take_entry(d, entry, e);
        if (r)
            return r;
        d->report->entries++;
    }
}

/* libarchive takes a missing end mark for an end: the stream's end must not have been seen by then. The digest
 * of a layer says that all of it came. */
static int finish_stream(struct reader *d, struct err *e) {
    const uint8_t *unused = NULL;
    if (d->ended && !d->layered)
        return err_set(e, ENODATA, "The archive is cut short: it has no end mark; make it again");
    while (!d->ended) {
        if (fill(d, &unused) < 0) {
            *e = d->fault;
            return -e->code;
        }
    }
    return 0;
}

static int open_archive(struct reader *d, struct err *e) {
    d->archive = archive_read_new();
    if (!d->archive)
        return err_set(e, ENOMEM, "There is not enough memory to read an archive; free some and try again");
    if (archive_read_support_format_tar(d->archive) != ARCHIVE_OK)
        return damaged(d, e);
    if (archive_read_open(d->archive, d, NULL, on_read, NULL) == ARCHIVE_OK)
        return 0;
    if (d->fault.code)
        return damaged(d, e);
    return err_set(e, EINVAL, "The archive is not a tar file, plain or packed with gzip or zstd; make it again as one");
}

/* Whether there is anything before the archive's end: libarchive calls what begins with the end mark no archive. */
static int look(struct reader *d, int *empty, struct err *e) {
    static const uint8_t zeros[HEADER_BYTES];
    ssize_t n = fill(d, &d->first);
    if (n < 0) {
        *e = d->fault;
        return -e->code;
    }
    d->first_size = (size_t) n;
    size_t compared = n < (ssize_t) sizeof(zeros) ? (size_t) n : sizeof(zeros);
    *empty = memcmp(d->first ? d->first : zeros, zeros, compared) == 0;
    if (*empty && !d->layered)
        return err_set(e, ENODATA, "The archive is empty; make it again");
    return 0;
}

static int read_archive(struct reader *d, struct err *e) {
    int empty = 0;
    d->ended = 0;
    int r = look(d, &empty, e);
    if (r == 0 && !empty) {
        r = open_archive(d, e);
        if (r == 0)
            r = take_all(d, e);
    }
    if (r == 0)
        r = finish_stream(d, e);
    if (d->archive)
        (void) archive_read_free(d->archive);
    d->archive = NULL;
    return r;
}

/* Every archive there is; each but the first one lies over the ones before. */
static int read_archives(struct reader *d, struct err *e) {
    for (uint32_t count = 0;; count++) {
        int r = layers_next(d->layers, e);
        if (r <= 0)
            return r;
        if (count)
            tree_next_layer(d->tree);
        r = read_archive(d, e);
        if (r)
            return d->layered ? err_prefix(e, "Layer %u", count + 1) : r;
    }
}

static int run_reader(struct reader *d, struct blobs *source, uint64_t limit, struct err *e) {
    d->layers = layers_open(source, limit, e);
    int r = d->layers ? read_archives(d, e) : -e->code;
    layers_close(d->layers);
    return r;
}

int tar_read(struct blobs *source, uint64_t limit, struct tree *t, struct volume *v, struct import_report *report,
             struct err *e) {
    struct reader *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(e, ENOMEM, "There is not enough memory to read an archive; free some and try again");
    *d = (struct reader){.tree = t, .volume = v, .report = report};
    int r = run_reader(d, source, limit, e);
    free(d);
    return r;
}

int tar_read_layers(struct blobs *source, uint64_t limit, struct tree *t, struct volume *v,
                    struct import_report *report, struct err *e) {
    struct reader *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(e, ENOMEM, "There is not enough memory to read an archive; free some and try again");
    *d = (struct reader){.tree = t, .volume = v, .report = report, .layered = 1};
    t->follow = 1;
    int r = run_reader(d, source, limit, e);
    free(d);
    return r;
}
