/* A kernel image: bzImage header, compressed payload, ELF and its notes. */
#include "../unpriv/kernel/import/kernel.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kernel_blob image = {0};
    struct err e;
    char release[64];
    if (kernel_blob_add(&image, data, size, KERNEL_IMAGE_MAX) < 0)
        return 0;
    if (kernel_vmlinux_take(&image, release, sizeof release, &e) == 0 && !kernel_elf_has_pvh(image.data, image.size))
        abort();
    if (memchr(release, '\0', sizeof release) == NULL)
        abort();
    kernel_blob_free(&image);
    return 0;
}
