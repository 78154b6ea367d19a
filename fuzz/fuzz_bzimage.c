/* A kernel image: bzImage header, compressed payload, ELF and its notes. */
#include "../unpriv/kernel/import/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the file that it comes as: all of it, or none when it is larger than may be. */
static void read_file(const uint8_t *data, size_t size, struct kernel_blob *image) {
    struct kernel_blob less = {0};
    int file = memfd_create("kernel", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t) size || lseek(file, 0, SEEK_SET))
        abort();
    if (size && kernel_blob_read(&less, file, size - 1) != -EFBIG)
        abort();
    if (lseek(file, 0, SEEK_SET) || kernel_blob_read(image, file, KERNEL_IMAGE_MAX) || image->size != size ||
        (size && memcmp(image->data, data, size) != 0))
        abort();
    kernel_blob_free(&less);
    (void) close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kernel_blob image = {0};
    struct err e;
    char release[64];
    read_file(data, size, &image);
    if (kernel_vmlinux_take(&image, release, sizeof release, &e) == 0 && !kernel_elf_has_pvh(image.data, image.size))
        abort();
    if (memchr(release, '\0', sizeof release) == NULL)
        abort();
    kernel_blob_free(&image);
    return 0;
}
