#include "kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a VM's devices and disks need, in the order in which it is best loaded; a
 * module's dependencies are loaded before it wherever they stand. Kernels have
 * any of these built in. Names with '_', as the kernel has them. */
static const struct {
    const char *name;
    int required; /* without it a VM neither boots nor answers */
} table[] = {
    {"virtio", 1},
    {"virtio_ring", 1},
    {"virtio_mmio", 1},
    {"virtio_blk", 1},
    {"crc32c_generic", 0},
    {"crc32c_intel", 0},
    {"libcrc32c", 0},
    {"crc16", 0},
    {"mbcache", 0},
    {"jbd2", 0},
    {"ext4", 1},
    {"virtio_console", 1},
    {"failover", 0},
    {"net_failover", 0},
    {"virtio_net", 1},
    {"rng_core", 0},
    {"virtio_rng", 0},
    {"virtio_balloon", 0},
    {"evdev", 0},
    {"button", 0},
    {"vsock", 0},
    {"vmw_vsock_virtio_transport_common", 0},
    {"vmw_vsock_virtio_transport", 0},
};
enum { COUNT = sizeof table / sizeof *table, NAME_MAX_LENGTH = 64 };
_Static_assert(COUNT <= KERNEL_MODULES_MAX, "the package has a place for every module");

/* A module's name from a path or a file's name: no folder, no suffix, '_' for '-'. 0 when it is no module. */
static int name_take(const char *path, size_t length, char name[NAME_MAX_LENGTH]) {
    const char *slash = memrchr(path, '/', length);
    const char *base = slash ? slash + 1 : path;
    const char *stop = memmem(base, length - (size_t) (base - path), ".ko", 3);
    size_t size = stop ? (size_t) (stop - base) : 0;
    if (size == 0 || size >= NAME_MAX_LENGTH)
        return 0;
    for (size_t i = 0; i < size; i++) {
        name[i] = base[i];
        if (name[i] == '-')
            name[i] = '_';
    }
    name[size] = '\0';
    return 1;
}

static int index_of(const char *name) {
    for (int i = 0; i < COUNT; i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return -1;
}

int kernel_module_index(const char *path) {
    char name[NAME_MAX_LENGTH];
    return name_take(path, strlen(path), name) ? index_of(name) : -1;
}

const char *kernel_module_name(int index) {
    return table[index].name;
}

/* 1 when modules.builtin (a path a line) has it. */
static int built_in(const struct kernel_blob *list, const char *wanted) {
    char name[NAME_MAX_LENGTH];
    for (size_t at = 0; at < list->size;) {
        const char *line = (const char *) list->data + at;
        const char *stop = memchr(line, '\n', list->size - at);
        size_t length = stop ? (size_t) (stop - line) : list->size - at;
        if (name_take(line, length, name) && strcmp(name, wanted) == 0)
            return 1;
        at += length + 1;
    }
    return 0;
}

struct ordering {
    struct kernel_package *package;
    int *order;
    int count;
    int placed[COUNT]; /* 0 not yet, 1 in progress, 2 placed, -1 cannot be */
};

static int place(struct ordering *ordering, int index, struct err *e);

/* Places one of the names in "a,b,c". */
static int place_name(struct ordering *ordering, const char *text, size_t length, int user, struct err *e) {
    char name[NAME_MAX_LENGTH];
    char file[NAME_MAX_LENGTH + 4];
    if (length == 0 || length >= NAME_MAX_LENGTH)
        return err_set(e, EINVAL, "the kernel module %s has a broken list of dependencies", table[user].name);
    memcpy(file, text, length);
    memcpy(file + length, ".ko", 4);
    int index = name_take(file, length + 3, name) ? index_of(name) : -1;
    if (index >= 0)
        return place(ordering, index, e);
    if (name_take(file, length + 3, name) && built_in(&ordering->package->builtin, name))
        return 0;
    text_sanitize(name);
    return err_set(e, ENOENT,
                   "the kernel module %s needs the module %s, which a VM is not given; use Debian's cloud kernel",
                   table[user].name, name);
}

static int place_dependencies(struct ordering *ordering, int index, struct err *e) {
    const struct kernel_blob *module = &ordering->package->module[index];
    const char *at = kernel_elf_modinfo(module->data, module->size, "depends");
    while (at && *at) {
        size_t length = strcspn(at, ",");
        int code = place_name(ordering, at, length, index, e);
        if (code < 0)
            return code;
        at += length + (at[length] == ',');
    }
    return 0;
}

/* A module comes as ELF, or compressed. */
static int module_inflate(struct kernel_blob *module, const char *name, struct err *e) {
    int code = 0;
    if (module->size < 4 || memcmp(module->data, "\177ELF", 4) != 0)
        code = kernel_inflate(module, KERNEL_MODULE_MAX, 0);
    if (code == 0 && (module->size < 4 || memcmp(module->data, "\177ELF", 4) != 0))
        code = -EINVAL;
    return code < 0 ? err_set(e, -code, "the kernel module %s is damaged or too large", name) : 0;
}

/* Depth is bounded by the table: a module in progress is not entered again. */
static int place(struct ordering *ordering, int index, struct err *e) { // NOLINT(misc-no-recursion)
    struct kernel_blob *module = &ordering->package->module[index];
    if (ordering->placed[index] == 2)
        return 0;
    if (ordering->placed[index] == 1)
        return err_set(e, ELOOP, "the kernel module %s depends on itself", table[index].name);
    if (ordering->placed[index] == 0 && !module->data) {
        if (built_in(&ordering->package->builtin, table[index].name))
            return 0;
        ordering->placed[index] = -1;
    }
    if (ordering->placed[index] < 0)
        return err_set(e, ENOENT, "this kernel has no %s, neither built in nor as a module; use Debian's cloud kernel",
                       table[index].name);
    ordering->placed[index] = 1;
    int code = module_inflate(module, table[index].name, e);
    if (code == 0)
        code = place_dependencies(ordering, index, e);
    ordering->placed[index] = code < 0 ? -1 : 2;
    if (code == 0)
        ordering->order[ordering->count++] = index;
    return code;
}

int kernel_modules_order(struct kernel_package *package, int order[KERNEL_MODULES_MAX], struct err *e) {
    struct ordering ordering = {.package = package, .order = order};
    int modular = package->builtin.data != NULL;
    for (int i = 0; i < COUNT; i++)
        modular |= package->module[i].data != NULL;
    if (!modular)
        return 0; /* a kernel alone: what it needs is taken to be built in */
    for (int i = 0; i < COUNT; i++) {
        int code = place(&ordering, i, e);
        if (code < 0 && table[i].required)
            return code;
    }
    return ordering.count;
}
