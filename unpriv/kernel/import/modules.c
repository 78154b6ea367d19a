#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 1 when modules.builtin (a path a line) has it. */
static int listed(const struct kernel_blob *list, const char *wanted) {
    char name[KERNEL_NAME_MAX];
    for (size_t at = 0; at < list->size;) {
        const char *line = (const char *) list->data + at;
        const char *stop = memchr(line, '\n', list->size - at);
        size_t length = stop ? (size_t) (stop - line) : list->size - at;
        if (kernel_module_name_take(line, length, name) && strcmp(name, wanted) == 0)
            return 1;
        at += length + 1;
    }
    return 0;
}

/* 1 when it is built in. A kernel that comes without the list is asked for the name that each driver registers; it
 * cannot say that something is not there which has no such name. */
static int built_in(const struct kernel_package *package, const char *wanted) {
    if (package->builtin.data)
        return listed(&package->builtin, wanted);
    int index = kernel_module_find(wanted);
    if (index < 0)
        return 0;
    const char *sign = kernel_module_sign(index);
    return !sign ||
           (package->image.data && memmem(package->image.data, package->image.size, sign, strlen(sign) + 1) != NULL);
}

struct ordering {
    struct kernel_package *package;
    int *order;
    int count;
    int placed[KERNEL_MODULES_MAX]; /* 0 not yet, 1 in progress, 2 placed, -1 cannot be */
};

static int place(struct ordering *ordering, int index, struct err *e);

/* Places one of the names in "a,b,c". */
static int place_name(struct ordering *ordering, const char *text, size_t length, int user, struct err *e) {
    char name[KERNEL_NAME_MAX];
    char file[KERNEL_NAME_MAX + 4];
    if (length == 0 || length >= KERNEL_NAME_MAX)
        return err_set(e, EINVAL, "the kernel module %s has a broken list of dependencies", kernel_module_name(user));
    memcpy(file, text, length);
    memcpy(file + length, ".ko", 4);
    int index = kernel_module_name_take(file, length + 3, name) ? kernel_module_find(name) : -1;
    if (index >= 0)
        return place(ordering, index, e);
    if (kernel_module_name_take(file, length + 3, name) && built_in(ordering->package, name))
        return 0;
    text_sanitize(name);
    return err_set(e, ENOENT,
                   "the kernel module %s needs the module %s, which a VM is not given; use Debian's cloud kernel",
                   kernel_module_name(user), name);
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
        code = kernel_inflate(module, KERNEL_MODULE_MAX);
    if (code == 0 && (module->size < 4 || memcmp(module->data, "\177ELF", 4) != 0))
        code = -EINVAL;
    return code < 0
               ? err_set(e, -code, "the kernel module %s is damaged, or larger than %u bytes", name, KERNEL_MODULE_MAX)
               : 0;
}

/* Depth is bounded by the table: a module in progress is not entered again. */
static int place(struct ordering *ordering, int index, struct err *e) { // NOLINT(misc-no-recursion)
    struct kernel_blob *module = &ordering->package->module[index];
    if (ordering->placed[index] == 2)
        return 0;
    if (ordering->placed[index] == 1)
        return err_set(e, ELOOP, "the kernel module %s depends on itself", kernel_module_name(index));
    if (ordering->placed[index] == 0 && !module->data) {
        if (built_in(ordering->package, kernel_module_name(index)))
            return 0;
        ordering->placed[index] = -1;
    }
    if (ordering->placed[index] < 0)
        return err_set(e, ENOENT,
                       "this kernel has no %s, neither built in nor as a module beside it: give its package, or the "
                       "folder with its boot and lib/modules; Debian's cloud kernel has all",
                       kernel_module_name(index));
    ordering->placed[index] = 1;
    int code = module_inflate(module, kernel_module_name(index), e);
    if (code == 0)
        code = place_dependencies(ordering, index, e);
    ordering->placed[index] = code < 0 ? -1 : 2;
    if (code == 0)
        ordering->order[ordering->count++] = index;
    return code;
}

int kernel_modules_fit(const struct kernel_package *package, const int *order, int count, const char *release,
                       struct err *e) {
    for (int i = 0; i < count && release[0]; i++) {
        const struct kernel_blob *module = &package->module[order[i]];
        const char *magic = kernel_elf_modinfo(module->data, module->size, "vermagic");
        size_t length = magic ? strcspn(magic, " ") : 0;
        char other[KERNEL_NAME_MAX];
        if (length == 0 || (strlen(release) == length && memcmp(release, magic, length) == 0))
            continue;
        (void) snprintf(other, sizeof(other), "%.*s", (int) length, magic);
        text_sanitize(other);
        return err_set(e, EINVAL,
                       "the kernel is %.60s, and its module %s is of %s: give the modules that were built with it",
                       release, kernel_module_name(order[i]), other);
    }
    return 0;
}

int kernel_modules_order(struct kernel_package *package, int order[KERNEL_MODULES_MAX], struct err *e) {
    struct ordering ordering = {.package = package, .order = order};
    for (int i = 0; i < kernel_modules_wanted; i++) {
        int code = place(&ordering, i, e);
        if (code < 0 && kernel_module_required(i))
            return code;
    }
    return ordering.count;
}
