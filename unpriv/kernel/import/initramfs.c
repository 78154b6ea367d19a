#include "../../../common/io.h"
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The "newc" cpio format, Documentation/driver-api/early-userspace/buffer-format.rst
 * of the kernel: a header of hexadecimal numbers, the name, the content, each padded to
 * 4 bytes. No times and no owners but root, so that it is always the same. */
struct writer {
    int fd;
    uint32_t inode;
    uint64_t size;
};

static int put(struct writer *writer, const void *data, size_t size) {
    int code = io_write(writer->fd, data, size);
    writer->size += size;
    return code;
}

static int pad(struct writer *writer, uint64_t unit) {
    static const char zeros[512];
    uint64_t over = writer->size % unit;
    return over ? put(writer, zeros, (size_t) (unit - over)) : 0;
}

struct node {
    const char *name;
    mode_t mode;
    unsigned major, minor; /* of a device */
    const struct kernel_blob *content;
};

static int node_write(struct writer *writer, const struct node *node) {
    char header[112];
    size_t size = node->content ? node->content->size : 0;
    int used = snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
                        node->mode ? ++writer->inode : 0, node->mode, 0, 0, S_ISDIR(node->mode) ? 2 : 1, 0,
                        (unsigned) size, 0, 0, node->major, node->minor, (unsigned) strlen(node->name) + 1, 0);
    int code = put(writer, header, (size_t) used);
    if (code == 0)
        code = put(writer, node->name, strlen(node->name) + 1);
    if (code == 0)
        code = pad(writer, 4);
    if (code == 0 && size)
        code = put(writer, node->content->data, size);
    return code < 0 ? code : pad(writer, 4);
}

static int modules_write(struct writer *writer, const struct kernel_package *package, const int *order, int count) {
    char name[128];
    for (int i = 0; i < count; i++) {
        (void) snprintf(name, sizeof name, "modules/%02d-%s.ko", i, kernel_module_name(order[i]));
        struct node node = {.name = name, .mode = S_IFREG | 0644, .content = &package->module[order[i]]};
        int code = node_write(writer, &node);
        if (code < 0)
            return code;
    }
    return 0;
}

int kernel_initramfs_write(int fd, const struct kernel_blob *agent, const struct kernel_package *package,
                           const int *order, int count, uint64_t *size, struct err *e) {
    const struct node nodes[] = {
        {"dev", S_IFDIR | 0755, 0, 0, NULL},
        {"dev/console", S_IFCHR | 0600, 5, 1, NULL},
        {"init", S_IFREG | 0755, 0, 0, agent},
        {"modules", S_IFDIR | 0755, 0, 0, NULL}, /* the last: only where there are any */
    };
    const size_t fixed = sizeof nodes / sizeof *nodes - (count == 0);
    const struct node trailer = {.name = "TRAILER!!!"};
    struct writer writer = {.fd = fd};
    int code = 0;
    for (size_t i = 0; code == 0 && i < fixed; i++)
        code = node_write(&writer, &nodes[i]);
    if (code == 0)
        code = modules_write(&writer, package, order, count);
    if (code == 0)
        code = node_write(&writer, &trailer);
    if (code == 0)
        code = pad(&writer, 512);
    *size = writer.size;
    return code < 0 ? err_sys(e, -code, "cannot write the initramfs") : 0;
}
