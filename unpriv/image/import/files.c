#include "files.h"

#include "../oci_config.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_BYTES  1024u
#define WINDOW      (256u << 10)
#define LINKS_MAX   8u
#define ENTRIES_MAX 100000u /* looked at on the way to FILES_MAX files */

/* A file or a link to one, of an archive. */
struct member {
    char *name, *target; /* `target` is NULL where it is a file */
    uint64_t size;
    int64_t header; /* where its header begins in the archive */
};

struct files {
    int fd, is_folder;
    int open; /* of a folder: the file that is read */
    struct member *members;
    size_t count, room;
    struct archive *archive; /* the file that is read */
    int64_t at;              /* the archive's next byte to read */
    int64_t offset;          /* of the file: bytes handed out */
    const char *block;
    size_t block_left;
    char window[WINDOW];
};

static int no_memory(struct err *e) {
    return err_set(e, ENOMEM, "There is not enough memory to read the image; free some and try again");
}

/* --- an archive --------------------------------------------------------------------- */

static la_ssize_t on_read(struct archive *a, void *context, const void **out) {
    struct files *f = context;
    ssize_t n = 0;
    do
        n = pread(f->fd, f->window, sizeof(f->window), f->at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        archive_set_error(a, errno, "the file cannot be read");
    *out = f->window;
    f->at += n > 0 ? n : 0;
    return n < 0 ? -1 : n;
}

static la_int64_t on_skip(struct archive *a, void *context, la_int64_t bytes) {
    struct files *f = context;
    struct stat st;
    (void) a;
    if (fstat(f->fd, &st) || bytes < 0 || bytes > st.st_size - f->at)
        return 0; /* it reads on, and finds the end */
    f->at += bytes;
    return bytes;
}

static int damaged(struct files *f, struct err *e) {
    const char *why = f->archive ? archive_error_string(f->archive) : NULL;
    return err_set(e, EINVAL, "The image's archive is damaged or cut short (%s); save it again",
                   why ? why : "no reason given");
}

static void close_archive(struct files *f) {
    if (f->archive)
        (void) archive_read_free(f->archive);
    f->archive = NULL;
    f->block_left = 0;
}

static int open_archive(struct files *f, int64_t at, struct err *e) {
    close_archive(f);
    f->at = at;
    f->offset = 0;
    f->archive = archive_read_new();
    if (!f->archive)
        return no_memory(e);
    (void) archive_read_support_format_tar(f->archive);
    if (archive_read_open2(f->archive, f, NULL, on_read, on_skip, NULL) == ARCHIVE_OK)
        return 0;
    const unsigned char *head = (const unsigned char *) f->window;
    if ((head[0] == 0x1f && head[1] == 0x8b) || (head[0] == 0x28 && head[1] == 0xb5) ||
        memcmp(head,
               "\xfd"
               "7zXZ",
               5) == 0)
        return err_set(e, EINVAL,
                       "The image's archive is packed as a whole, and not with gzip or zstd alone; unpack it first");
    return err_set(e, EINVAL, "The file is not a tar archive, so it is not a saved image");
}

/* `path` as it is seen from the top, where a link in `folder` (of that many bytes of `at`) leads; -1 when out. */
static int normalise(const char *at, size_t folder, const char *path, char out[NAME_BYTES]) {
    size_t used = 0;
    const char *parts[2] = {at, path};
    size_t sizes[2] = {path[0] == '/' ? 0 : folder, strlen(path)};
    for (int i = 0; i < 2; i++) {
        const char *end = parts[i] + sizes[i];
        for (const char *p = parts[i]; p < end;) {
            size_t size = strcspn(p, "/") < (size_t) (end - p) ? strcspn(p, "/") : (size_t) (end - p);
            if (size == 2 && memcmp(p, "..", 2) == 0) {
                if (used == 0)
                    return -1;
                while (used && out[--used] != '/')
                    continue;
            } else if (size && !(size == 1 && p[0] == '.')) {
                if (used + size + 2 > NAME_BYTES)
                    return -1;
                if (used)
                    out[used++] = '/';
                memcpy(out + used, p, size);
                used += size;
            }
            p += size + (p + size < end);
        }
    }
    out[used] = '\0';
    return 0;
}

static int add_member(struct files *f, struct archive_entry *entry, const char *name, struct err *e) {
    const char *soft = archive_entry_symlink(entry), *hard = archive_entry_hardlink(entry);
    char target[NAME_BYTES];
    if (f->count == FILES_MAX)
        return err_set(e, EFBIG, "The image's archive has more than %u files, as no saved image has", FILES_MAX);
    if (f->count == f->room) {
        size_t more = f->room ? f->room * 2 : 64;
        struct member *moved = reallocarray(f->members, more, sizeof(*moved));
        if (!moved)
            return no_memory(e);
        f->members = moved;
        f->room = more;
    }
    const char *slash = strrchr(name, '/');
    if (hard && normalise("", 0, hard, target))
        return 0;
    if (soft && !hard && normalise(name, slash ? (size_t) (slash - name) : 0, soft, target))
        return 0; /* leads out: nothing is there */
    struct member *m = &f->members[f->count];
    *m = (struct member){.name = strdup(name), .header = archive_read_header_position(f->archive)};
    m->target = soft || hard ? strdup(target) : NULL;
    m->size = archive_entry_size(entry) > 0 ? (uint64_t) archive_entry_size(entry) : 0;
    f->count++;
    return m->name && (m->target || !(soft || hard)) ? 0 : no_memory(e);
}

static int list_members(struct files *f, struct err *e) {
    struct archive_entry *entry = NULL;
    char name[NAME_BYTES];
    int got = ARCHIVE_OK, r = open_archive(f, 0, e);
    for (uint32_t seen = 0; r == 0; seen++) {
        got = archive_read_next_header(f->archive, &entry);
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            break;
        const char *path = archive_entry_pathname(entry);
        int is_link = archive_entry_symlink(entry) || archive_entry_hardlink(entry);
        if (seen == ENTRIES_MAX)
            r = err_set(e, EFBIG, "The image's archive has more than %u entries, as no saved image has", ENTRIES_MAX);
        else if (path && (is_link || archive_entry_filetype(entry) == AE_IFREG) && normalise("", 0, path, name) == 0)
            r = add_member(f, entry, name, e);
    }
    if (r == 0 && got != ARCHIVE_EOF)
        r = damaged(f, e);
    close_archive(f);
    return r;
}

/* The last one of that name, as unpacking would have it; links are followed. */
static const struct member *find(const struct files *f, const char *name) {
    for (uint32_t links = 0; links <= LINKS_MAX; links++) {
        const struct member *found = NULL;
        for (size_t i = f->count; i > 0 && !found; i--) {
            if (strcmp(f->members[i - 1].name, name) == 0)
                found = &f->members[i - 1];
        }
        if (!found || !found->target)
            return found;
        name = found->target;
    }
    return NULL;
}

static int begin_member(struct files *f, const char *name, uint64_t *size, struct err *e) {
    struct archive_entry *entry = NULL;
    char plain[NAME_BYTES];
    const struct member *m = normalise("", 0, name, plain) ? NULL : find(f, plain);
    if (!m)
        return err_set(e, ENOENT, "The image's archive has no \"%.200s\"; save it again", name);
    *size = m->size;
    int r = open_archive(f, m->header, e);
    if (r)
        return r;
    int got = archive_read_next_header(f->archive, &entry);
    return got == ARCHIVE_OK || got == ARCHIVE_WARN ? 0 : damaged(f, e);
}

static ssize_t read_member(struct files *f, void *out, size_t size, struct err *e) {
    while (f->block_left == 0) {
        const void *block = NULL;
        la_int64_t offset = 0;
        int got = archive_read_data_block(f->archive, &block, &f->block_left, &offset);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got != ARCHIVE_OK)
            return damaged(f, e);
        if (f->block_left && offset != f->offset)
            return err_set(e, EINVAL, "The image's archive has sparse files, as no saved image has; save it again");
        f->block = block;
    }
    size_t n = f->block_left < size ? f->block_left : size;
    memcpy(out, f->block, n);
    f->block += n;
    f->block_left -= n;
    f->offset += (int64_t) n;
    return (ssize_t) n;
}

/* --- a folder ----------------------------------------------------------------------- */

static int open_beneath(const struct files *f, const char *name) {
    const struct open_how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, f->fd, name, &how, sizeof(how));
    struct stat st;
    if (fd >= 0 && (fstat((int) fd, &st) || !S_ISREG(st.st_mode))) {
        (void) close((int) fd);
        errno = ELOOP;
        return -1;
    }
    return (int) fd;
}

static int begin_file(struct files *f, const char *name, uint64_t *size, struct err *e) {
    struct stat st;
    if (f->open >= 0)
        (void) close(f->open);
    f->open = open_beneath(f, name);
    if (f->open < 0 && (errno == ELOOP || errno == EXDEV))
        return err_set(e, errno, "\"%.200s\" in the image's folder is no plain file; copy the layout again", name);
    if (f->open < 0 || fstat(f->open, &st))
        return err_sys(e, errno, "\"%.200s\" in the image's folder cannot be read", name);
    *size = (uint64_t) st.st_size;
    return 0;
}

static ssize_t read_file(const struct files *f, void *out, size_t size, struct err *e) {
    ssize_t n = 0;
    do
        n = read(f->open, out, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_sys(e, errno, "A file in the image's folder cannot be read") : n;
}

/* --- both --------------------------------------------------------------------------- */

struct files *files_open(int fd, struct err *e) {
    struct stat st;
    struct files *f = calloc(1, sizeof(*f));
    if (!f) {
        (void) no_memory(e);
        return NULL;
    }
    f->fd = fd;
    f->open = -1;
    int r = fstat(fd, &st) ? err_sys(e, errno, "The image cannot be read") : 0;
    f->is_folder = r == 0 && S_ISDIR(st.st_mode);
    if (r == 0 && !f->is_folder && !S_ISREG(st.st_mode))
        r = err_set(e, EINVAL, "A saved image is read from a file or a folder, not from a pipe or device");
    if (r == 0 && !f->is_folder)
        r = list_members(f, e);
    if (r == 0)
        return f;
    files_close(f);
    return NULL;
}

void files_close(struct files *f) {
    if (!f)
        return;
    close_archive(f);
    for (size_t i = 0; i < f->count; i++) {
        free(f->members[i].name);
        free(f->members[i].target);
    }
    if (f->open >= 0)
        (void) close(f->open);
    free(f->members);
    free(f);
}

int files_has(struct files *f, const char *name) {
    if (!f->is_folder)
        return find(f, name) != NULL;
    int fd = open_beneath(f, name);
    if (fd >= 0)
        (void) close(fd);
    return fd >= 0 || errno != ENOENT;
}

int files_begin(struct files *f, const char *name, uint64_t *size, struct err *e) {
    return f->is_folder ? begin_file(f, name, size, e) : begin_member(f, name, size, e);
}

ssize_t files_read(struct files *f, void *out, size_t size, struct err *e) {
    return f->is_folder ? read_file(f, out, size, e) : read_member(f, out, size, e);
}

char *files_text(struct files *f, const char *name, size_t *size, struct err *e) {
    uint64_t whole = 0;
    if (files_begin(f, name, &whole, e))
        return NULL;
    if (whole > OCI_JSON_MAX) {
        (void) err_set(e, EFBIG, "\"%.200s\" of the image is larger than %u MiB, as none is", name, OCI_JSON_MAX >> 20);
        return NULL;
    }
    char *text = malloc((size_t) whole + 1);
    ssize_t n = text ? 1 : no_memory(e);
    *size = 0;
    while (n > 0 && *size <= whole) {
        n = files_read(f, text + *size, (size_t) whole + 1 - *size, e);
        *size += n > 0 ? (size_t) n : 0;
    }
    if (n == 0)
        return text;
    if (n > 0)
        (void) err_set(e, EAGAIN, "\"%.200s\" of the image changes while it is read; try again", name);
    free(text);
    return NULL;
}
