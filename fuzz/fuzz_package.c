/* A kernel package or a folder's tar: ar, tar, modules in their compressions and their .modinfo. A first byte 0 makes
 * the rest the package's bytes, 255 the same of one that may have 1 KiB; else the rest is one module, of which
 * the byte says which. */
#include "../unpriv/kernel/import/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void package_fill(const uint8_t *data, size_t size, uint64_t limit, struct kernel_package *package) {
    struct kernel_count count = {0};
    struct err e;
    int fd = memfd_create("package", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, data, size) == (ssize_t) size && lseek(fd, 0, SEEK_SET) == 0)
        (void) kernel_package_read(fd, limit, package, &count, &e);
    if (fd >= 0)
        (void) close(fd);
}

/* So that the one module is looked at, whichever it is. */
static void all_built_in(struct kernel_package *package) {
    char line[KERNEL_NAME_MAX + 16];
    for (int i = 0; i < kernel_modules_wanted; i++) {
        int length = snprintf(line, sizeof line, "kernel/%s.ko\n", kernel_module_name(i));
        (void) kernel_blob_add(&package->builtin, line, (size_t) length, KERNEL_MODULE_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kernel_package package = {0};
    int order[KERNEL_MODULES_MAX];
    struct err e;
    if (size < 2)
        return 0;
    if (data[0] == 0 || data[0] == 255) {
        package_fill(data + 1, size - 1, data[0] ? 1u << 10 : 1u << 24, &package);
    } else {
        all_built_in(&package);
        (void) kernel_blob_add(&package.module[data[0] % KERNEL_MODULES_MAX], data + 1, size - 1, KERNEL_MODULE_MAX);
    }
    int count = kernel_modules_order(&package, order, &e);
    if (count > KERNEL_MODULES_MAX)
        abort();
    if (count > 0)
        (void) kernel_modules_fit(&package, order, count, "6.1.0-small", &e);
    for (int i = 0; i < count; i++)
        if (!package.module[order[i]].data)
            abort();
    kernel_package_free(&package);
    return 0;
}
