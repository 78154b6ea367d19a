#include "../../../common/io.h"
#include "../../image/import/import.h"
#include "kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kernel_package_free(struct kernel_package *package) {
    kernel_blob_free(&package->image);
    kernel_blob_free(&package->builtin);
    for (int i = 0; i < KERNEL_MODULES_MAX; i++)
        kernel_blob_free(&package->module[i]);
}

/* The input: its first bytes were read to see what it is. */
struct input {
    int fd;
    uint64_t limit;
    struct kernel_count *count;
    size_t peeked; /* of buffer, not handed out yet */
    uint8_t buffer[65536];
};

static la_ssize_t input_read(struct archive *archive, void *arg, const void **data) {
    struct input *input = arg;
    ssize_t got = (ssize_t) input->peeked;
    input->peeked = 0;
    if (got == 0)
        got = io_read_some(input->fd, input->buffer, sizeof input->buffer);
    if (got < 0) {
        archive_set_error(archive, (int) -got, "%s", strerror((int) -got));
        return ARCHIVE_FATAL;
    }
    input->count->bytes += (uint64_t) got;
    if (input->count->bytes > input->limit) {
        archive_set_error(archive, EFBIG, "it is larger than %llu bytes", (unsigned long long) input->limit);
        return ARCHIVE_FATAL;
    }
    *data = input->buffer;
    return got;
}

/* The tar inside the .deb: read from the entry of the outer archive. */
struct inner {
    struct archive *outer;
    uint8_t buffer[65536];
};

static la_ssize_t inner_read(struct archive *archive, void *arg, const void **data) {
    struct inner *inner = arg;
    la_ssize_t got = archive_read_data(inner->outer, inner->buffer, sizeof inner->buffer);
    if (got < 0)
        archive_set_error(archive, archive_errno(inner->outer), "%s", archive_error_string(inner->outer));
    *data = inner->buffer;
    return got;
}

/* Why libarchive failed, as part of a sentence. */
static const char *reason(struct archive *archive) {
    const char *text = archive_error_string(archive);
    return text ? text : "it is damaged";
}

static int starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Where an entry's content goes, NULL: nowhere. */
static struct kernel_blob *place_of(struct kernel_package *package, const char *path, size_t *max) {
    if (starts(path, "./"))
        path += 2;
    if (starts(path, "usr/lib/"))
        path += 4;
    *max = KERNEL_IMAGE_MAX;
    if (starts(path, "boot/vmlinuz-") || starts(path, "boot/vmlinux-"))
        return &package->image;
    if (!starts(path, "lib/modules/"))
        return NULL;
    const char *name = strrchr(path, '/') + 1;
    if (strcmp(name, "vmlinuz") == 0)
        return &package->image;
    *max = KERNEL_MODULE_MAX;
    if (strcmp(name, "modules.builtin") == 0)
        return &package->builtin;
    int index = kernel_module_index(name);
    return index >= 0 ? &package->module[index] : NULL;
}

/* Reads one entry of the tar. */
static int entry_read(struct archive *tar, struct archive_entry *entry, struct kernel_package *package, struct err *e) {
    char name[256] = "";
    size_t max = 0;
    const char *path = archive_entry_pathname(entry);
    struct kernel_blob *blob = path && archive_entry_filetype(entry) == AE_IFREG ? place_of(package, path, &max) : NULL;
    if (!blob)
        return 0;
    (void) snprintf(name, sizeof name, "%.200s", path);
    if (blob->data)
        return err_set(e, EINVAL, "the package has two kernels or twice the same module: %s", name);
    int code = kernel_blob_add(blob, "", 0, max);
    while (code == 0) {
        const void *data = NULL;
        size_t size = 0;
        la_int64_t offset = 0;
        int got = archive_read_data_block(tar, &data, &size, &offset);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got != ARCHIVE_OK)
            return err_set(e, EINVAL, "%s in the package cannot be read: %s", name, reason(tar));
        if (offset < 0 || (uint64_t) offset != blob->size)
            return err_set(e, EINVAL, "%s in the package is sparse", name);
        code = kernel_blob_add(blob, data, size, max);
    }
    return code == -EFBIG ? err_set(e, EFBIG, "%s in the package is larger than %zu bytes", name, max)
                          : err_sys(e, -code, "%s in the package cannot be read", name);
}

static int tar_read(struct archive *tar, struct kernel_package *package, struct kernel_count *count, struct err *e) {
    for (;;) {
        struct archive_entry *entry = NULL;
        int got = archive_read_next_header(tar, &entry);
        if (got == ARCHIVE_EOF)
            return 0;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return err_set(e, EINVAL, "the package cannot be read: %s", reason(tar));
        import_progress(count->bytes, ++count->entries);
        int code = entry_read(tar, entry, package, e);
        if (code < 0)
            return code;
    }
}

/* data.tar.* of the package is the current entry of `outer`. */
static int data_read(struct archive *outer, struct kernel_package *package, struct kernel_count *count, struct err *e) {
    struct inner *inner = calloc(1, sizeof *inner);
    struct archive *tar = archive_read_new();
    int code = -ENOMEM;
    if (inner && tar) {
        inner->outer = outer;
        (void) archive_read_support_filter_gzip(tar);
        (void) archive_read_support_filter_xz(tar);
        (void) archive_read_support_filter_zstd(tar);
        (void) archive_read_support_format_tar(tar);
        code = archive_read_open(tar, inner, NULL, inner_read, NULL) == ARCHIVE_OK
                   ? tar_read(tar, package, count, e)
                   : err_set(e, EINVAL, "the package cannot be read: %s", reason(tar));
    } else {
        (void) err_set(e, ENOMEM, "memory is short");
    }
    if (tar)
        (void) archive_read_free(tar);
    free(inner);
    return code;
}

/* A .deb: an ar archive with data.tar.{gz,xz,zst} in it (deb(5)). */
static int deb_read(struct archive *deb, struct input *input, struct kernel_package *package, struct err *e) {
    struct archive_entry *entry = NULL;
    (void) archive_read_support_format_ar(deb);
    if (archive_read_open(deb, input, NULL, input_read, NULL) != ARCHIVE_OK)
        return err_set(e, EINVAL, "the package cannot be read: %s", reason(deb));
    for (;;) {
        int got = archive_read_next_header(deb, &entry);
        if (got == ARCHIVE_EOF)
            return err_set(e, EINVAL, "the package has no data.tar: it is no Debian package");
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
            return err_set(e, EINVAL, "the package cannot be read: %s", reason(deb));
        const char *name = archive_entry_pathname(entry);
        if (name && starts(name, "data.tar"))
            return data_read(deb, package, input->count, e);
    }
}

/* A folder, which the CLI handed over as a tar. */
static int folder_read(struct archive *tar, struct input *input, struct kernel_package *package, struct err *e) {
    (void) archive_read_support_format_tar(tar);
    if (archive_read_open(tar, input, NULL, input_read, NULL) != ARCHIVE_OK)
        return err_set(e, EINVAL, "the package cannot be read: %s", reason(tar));
    return tar_read(tar, package, input->count, e);
}

static int image_read(struct input *input, struct kernel_package *package, struct err *e) {
    int code = kernel_blob_add(&package->image, input->buffer, input->peeked, KERNEL_IMAGE_MAX);
    if (code == 0)
        code = kernel_blob_read(&package->image, input->fd, KERNEL_IMAGE_MAX);
    input->count->bytes = package->image.size;
    input->count->entries = 1;
    return code < 0 ? err_sys(e, -code, "cannot read the kernel") : 0;
}

static int input_take(struct input *input, struct archive *archive, struct kernel_package *package, struct err *e) {
    ssize_t got = io_read_some(input->fd, input->buffer, sizeof input->buffer);
    if (got < 0)
        return err_sys(e, (int) -got, "cannot read the kernel");
    input->peeked = (size_t) got;
    int code = 0;
    if (got >= 8 && memcmp(input->buffer, "!<arch>\n", 8) == 0)
        code = deb_read(archive, input, package, e);
    else if (got >= 512 && memcmp(input->buffer + 257, "ustar", 5) == 0)
        code = folder_read(archive, input, package, e);
    else
        code = image_read(input, package, e);
    if (code == 0 && package->image.size == 0)
        code = err_set(e, EINVAL,
                       "there is no kernel in it: a package whose name begins with linux-image and that has "
                       "boot/vmlinuz is needed, not one that only depends on it");
    return code;
}

int kernel_package_read(int fd, uint64_t limit, struct kernel_package *package, struct kernel_count *count,
                        struct err *e) {
    struct input *input = calloc(1, sizeof *input);
    struct archive *archive = archive_read_new();
    int code = -ENOMEM;
    if (input && archive) {
        input->fd = fd;
        input->limit = limit;
        input->count = count;
        code = input_take(input, archive, package, e);
    } else {
        (void) err_set(e, ENOMEM, "memory is short");
    }
    if (archive)
        (void) archive_read_free(archive);
    free(input);
    return code;
}
