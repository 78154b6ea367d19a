#include "kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

static struct archive *reader_open(const struct kernel_blob *blob) {
    struct archive *reader = archive_read_new();
    struct archive_entry *entry = NULL;
    if (!reader)
        return NULL;
    (void) archive_read_support_filter_gzip(reader);
    (void) archive_read_support_filter_bzip2(reader);
    (void) archive_read_support_filter_xz(reader);
    (void) archive_read_support_filter_lzma(reader);
    (void) archive_read_support_filter_lz4(reader);
    (void) archive_read_support_filter_zstd(reader);
    (void) archive_read_support_format_raw(reader);
    if (archive_read_open_memory(reader, blob->data, blob->size) == ARCHIVE_OK &&
        archive_read_next_header(reader, &entry) == ARCHIVE_OK && archive_filter_count(reader) > 1)
        return reader;
    (void) archive_read_free(reader);
    return NULL;
}

int kernel_inflate(struct kernel_blob *blob, size_t max, size_t exact) {
    struct kernel_blob out = {0};
    struct archive *reader = reader_open(blob);
    uint8_t buffer[65536];
    int code = reader ? 0 : -EINVAL;
    while (code == 0 && (!exact || out.size < exact)) {
        la_ssize_t got = archive_read_data(reader, buffer, sizeof buffer);
        if (got == 0)
            break;
        code = got < 0 ? -EINVAL : kernel_blob_add(&out, buffer, (size_t) got, max);
    }
    if (reader)
        (void) archive_read_free(reader);
    if (code == 0 && exact && out.size != exact)
        code = -EINVAL;
    if (code < 0) {
        kernel_blob_free(&out);
        return code;
    }
    kernel_blob_free(blob);
    *blob = out;
    return 0;
}
