#include "../../../common/io.h"
#include "kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void kernel_blob_free(struct kernel_blob *blob) {
    free(blob->data);
    *blob = (struct kernel_blob){0};
}

/* Grows in steps that double, so that the size known to the allocator is a power of two. */
static size_t capacity(size_t size) {
    size_t step = 65536;
    while (step < size)
        step *= 2;
    return size ? step : 0;
}

int kernel_blob_add(struct kernel_blob *blob, const void *data, size_t size, size_t max) {
    if (size > max || blob->size > max - size)
        return -EFBIG;
    size_t needed = capacity(blob->size + size);
    if (needed > capacity(blob->size)) {
        uint8_t *grown = realloc(blob->data, needed);
        if (!grown)
            return -ENOMEM;
        blob->data = grown;
    }
    if (size)
        memcpy(blob->data + blob->size, data, size);
    blob->size += size;
    return 0;
}

int kernel_blob_make(struct kernel_blob *blob, size_t size) {
    *blob = (struct kernel_blob){malloc(capacity(size ? size : 1)), size};
    return blob->data ? 0 : -ENOMEM;
}

int kernel_blob_shrink(struct kernel_blob *blob, size_t size) {
    uint8_t *less = realloc(blob->data, capacity(size ? size : 1));
    if (!less)
        return -ENOMEM;
    blob->data = less;
    blob->size = size;
    return 0;
}

int kernel_blob_read(struct kernel_blob *blob, int fd, size_t max) {
    uint8_t buffer[65536];
    for (;;) {
        ssize_t got = io_read_some(fd, buffer, sizeof buffer);
        if (got <= 0)
            return (int) got;
        int code = kernel_blob_add(blob, buffer, (size_t) got, max);
        if (code < 0)
            return code;
    }
}
