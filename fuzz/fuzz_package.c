/* A kernel package: ar, the tar in it, modules and their .modinfo. A first byte 0 makes the rest the
 * package's bytes; else the rest is one module, of which the byte says which. */
#include "../unpriv/kernel/import/kernel.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void package_fill(const uint8_t *data, size_t size, struct kernel_package *package) {
    struct kernel_count count = {0};
    struct err e;
    int fd = memfd_create("package", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, data, size) == (ssize_t) size && lseek(fd, 0, SEEK_SET) == 0)
        (void) kernel_package_read(fd, 1u << 24, package, &count, &e);
    if (fd >= 0)
        (void) close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char builtin[] = "kernel/fs/ext4/ext4.ko\n";
    struct kernel_package package = {0};
    int order[KERNEL_MODULES_MAX];
    struct err e;
    if (size < 2)
        return 0;
    if (data[0] == 0) {
        package_fill(data + 1, size - 1, &package);
    } else {
        (void) kernel_blob_add(&package.builtin, builtin, sizeof builtin - 1, KERNEL_MODULE_MAX);
        (void) kernel_blob_add(&package.module[data[0] % KERNEL_MODULES_MAX], data + 1, size - 1, KERNEL_MODULE_MAX);
    }
    int count = kernel_modules_order(&package, order, &e);
    if (count > KERNEL_MODULES_MAX)
        abort();
    for (int i = 0; i < count; i++)
        if (!package.module[order[i]].data)
            abort();
    kernel_package_free(&package);
    return 0;
}
