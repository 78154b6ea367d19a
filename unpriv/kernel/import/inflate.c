#include "inflate.h"
#include "kernel.h"

#include <bzlib.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LZMA_MEMORY (192u << 20) /* the kernel's build asks for dictionaries of up to 128 MiB */
#define LZ4_BLOCK   (8u << 20)   /* plain bytes in a block of the legacy format */
#define RATIO_MAX   64u          /* no kernel or module is packed as well as this */

static ssize_t inflate_gzip(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    z_stream stream = {
        .next_in = (uint8_t *) in, .avail_in = (unsigned) size, .next_out = out, .avail_out = (unsigned) room};
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
        return -ENOMEM;
    int code = inflate(&stream, Z_FINISH);
    (void) inflateEnd(&stream);
    if (code == Z_STREAM_END)
        return (ssize_t) (room - stream.avail_out);
    return code == Z_BUF_ERROR && stream.avail_out == 0 ? -EFBIG : -EINVAL;
}

static ssize_t inflate_bzip2(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    unsigned used = (unsigned) room;
    int code = BZ2_bzBuffToBuffDecompress((char *) out, &used, (char *) in, (unsigned) size, 0, 0);
    return code == BZ_OK ? (ssize_t) used : code == BZ_OUTBUFF_FULL ? -EFBIG : code == BZ_MEM_ERROR ? -ENOMEM : -EINVAL;
}

static ssize_t inflate_with(lzma_stream *stream, const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    stream->next_in = in;
    stream->avail_in = size;
    stream->next_out = out;
    stream->avail_out = room;
    lzma_ret code = LZMA_OK;
    while (code == LZMA_OK)
        code = lzma_code(stream, LZMA_FINISH);
    size_t left = stream->avail_out;
    lzma_end(stream);
    if (code == LZMA_STREAM_END)
        return (ssize_t) (room - left);
    if (code == LZMA_MEM_ERROR || code == LZMA_MEMLIMIT_ERROR)
        return -ENOMEM;
    return code == LZMA_BUF_ERROR && left == 0 ? -EFBIG : -EINVAL;
}

static ssize_t inflate_xz(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, LZMA_MEMORY, 0) != LZMA_OK)
        return -ENOMEM;
    return inflate_with(&stream, in, size, out, room);
}

static ssize_t inflate_lzma(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_alone_decoder(&stream, LZMA_MEMORY) != LZMA_OK)
        return -ENOMEM;
    return inflate_with(&stream, in, size, out, room);
}

static uint32_t le32(const uint8_t *data) {
    return (uint32_t) data[0] | (uint32_t) data[1] << 8 | (uint32_t) data[2] << 16 | (uint32_t) data[3] << 24;
}

/* The legacy format has no end but the input's. */
static ssize_t inflate_lz4(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    size_t used = 0;
    for (size_t at = 4; at < size;) {
        uint32_t packed = size - at < 4 ? UINT32_MAX : le32(in + at);
        at += 4;
        if (packed == 0 || packed > size - at)
            return -EINVAL;
        size_t space = room - used < LZ4_BLOCK ? room - used : LZ4_BLOCK;
        int got = LZ4_decompress_safe((const char *) in + at, (char *) out + used, (int) packed, (int) space);
        if (got < 0)
            return space < LZ4_BLOCK ? -EFBIG : -EINVAL;
        at += packed;
        used += (size_t) got;
    }
    return (ssize_t) used;
}

static ssize_t inflate_zstd(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    size_t got = ZSTD_decompress(out, room, in, size);
    if (!ZSTD_isError(got))
        return (ssize_t) got;
    ZSTD_ErrorCode code = ZSTD_getErrorCode(got);
    return code == ZSTD_error_dstSize_tooSmall ? -EFBIG : code == ZSTD_error_memory_allocation ? -ENOMEM : -EINVAL;
}

/* As in lib/decompress.c of the kernel. */
static const struct format {
    const char *magic;
    size_t length;
    ssize_t (*inflate)(const uint8_t *in, size_t size, uint8_t *out, size_t room);
} formats[] = {
    {"\x1f\x8b", 2, inflate_gzip},
    {"BZh", 3, inflate_bzip2},
    {"\x5d\0\0", 3, inflate_lzma},
    {"\xfd"
     "7zXZ\0",
     6, inflate_xz},
    {"\x89LZO\0\r\n\x1a\n", 9, inflate_lzo},
    {"\x02\x21\x4c\x18", 4, inflate_lz4},
    {"\x28\xb5\x2f\xfd", 4, inflate_zstd},
};

static const struct format *format_of(const struct kernel_blob *blob) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (blob->size >= formats[i].length && memcmp(blob->data, formats[i].magic, formats[i].length) == 0)
            return &formats[i];
    return NULL;
}

int kernel_is_packed(const struct kernel_blob *blob) {
    return format_of(blob) != NULL;
}

int kernel_inflate(struct kernel_blob *blob, size_t max) {
    const struct format *format = format_of(blob);
    struct kernel_blob out = {0};
    size_t most = blob->size > max / RATIO_MAX ? max : blob->size * RATIO_MAX;
    int code = format ? kernel_blob_make(&out, most) : -EINVAL;
    ssize_t got = code < 0 ? code : format->inflate(blob->data, blob->size, out.data, most);
    if (got >= 0)
        code = kernel_blob_shrink(&out, (size_t) got);
    if (got < 0 || code < 0) {
        kernel_blob_free(&out);
        return got < 0 ? (int) got : code;
    }
    kernel_blob_free(blob);
    *blob = out;
    return 0;
}
