#include "wanted.h"

#include <string.h>

/* In the order in which it is best loaded; a module's dependencies are loaded before it wherever they stand. Kernels
 * have any of these built in. The sign is the name under which a driver or file system registers itself. */
static const struct {
    const char *name;
    int required;
    const char *sign;
} table[] = {
    {"virtio", 1, "virtio"},
    {"virtio_ring", 1, NULL},
    {"virtio_mmio", 1, "virtio-mmio"},
    {"virtio_blk", 1, "virtio_blk"},
    {"crc32c_generic", 0, NULL},
    {"crc32c_intel", 0, NULL},
    {"crc32c_cryptoapi", 0, NULL},
    {"libcrc32c", 0, NULL},
    {"crc16", 0, NULL},
    {"mbcache", 0, NULL},
    {"jbd2", 0, NULL},
    {"ext4", 1, "ext4"},
    {"virtio_console", 1, "virtio_console"},
    {"failover", 0, NULL},
    {"net_failover", 0, NULL},
    {"dimlib", 0, NULL},
    {"virtio_net", 1, "virtio_net"},
    {"rng_core", 0, NULL},
    {"virtio_rng", 0, NULL},
    {"virtio_balloon", 0, NULL},
    {"evdev", 0, NULL},
    {"button", 0, NULL},
    {"vsock", 0, NULL},
    {"vmw_vsock_virtio_transport_common", 0, NULL},
    {"vmw_vsock_virtio_transport", 0, NULL},
};
const int kernel_modules_wanted = sizeof table / sizeof *table;

int kernel_module_name_take(const char *path, size_t length, char name[KERNEL_NAME_MAX]) {
    const char *slash = memrchr(path, '/', length);
    const char *base = slash ? slash + 1 : path;
    const char *stop = memmem(base, length - (size_t) (base - path), ".ko", 3);
    size_t size = stop ? (size_t) (stop - base) : 0;
    if (size == 0 || size >= KERNEL_NAME_MAX)
        return 0;
    for (size_t i = 0; i < size; i++) {
        name[i] = base[i];
        if (name[i] == '-')
            name[i] = '_';
    }
    name[size] = '\0';
    return 1;
}

int kernel_module_find(const char *name) {
    for (int i = 0; i < kernel_modules_wanted; i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return -1;
}

int kernel_module_index(const char *path) {
    char name[KERNEL_NAME_MAX];
    return kernel_module_name_take(path, strlen(path), name) ? kernel_module_find(name) : -1;
}

const char *kernel_module_name(int index) {
    return table[index].name;
}

int kernel_module_required(int index) {
    return table[index].required;
}

const char *kernel_module_sign(int index) {
    return table[index].sign;
}
