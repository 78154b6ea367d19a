#include "tree.h"

#include <errno.h>
#include <string.h>

int tree_xattr_known(const char *name) {
    static const char *const prefixes[] = {"user.", "trusted.", "security."};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t size = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], size) == 0)
            return name[size] != '\0' && strlen(name) <= TREE_NAME_MAX;
    }
    return strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

/* Bytes of the record at `at`, or 0 when it does not fit in `left`. */
static size_t record(const char *at, size_t left, uint32_t *value_size) {
    if (left <= sizeof(*value_size))
        return 0;
    memcpy(value_size, at, sizeof(*value_size));
    size_t name = strnlen(at + sizeof(*value_size), left - sizeof(*value_size)) + 1;
    size_t size = sizeof(*value_size) + name + *value_size;
    return size <= left ? size : 0;
}

int tree_xattr_add(char *list, size_t *used, const char *name, const void *value, size_t size, struct err *e) {
    size_t name_size = strlen(name) + 1;
    uint32_t value_size = (uint32_t) size;
    if (size > TREE_XATTRS_MAX || name_size > TREE_XATTRS_MAX ||
        *used + sizeof(value_size) + name_size + size > TREE_XATTRS_MAX)
        return err_set(e, E2BIG,
                       "its extended attributes take more than the file system has room for; use smaller ones");
    size_t at = 0;
    while (at < *used) {
        uint32_t other = 0;
        size_t whole = record(list + at, *used - at, &other);
        int order = strcmp(list + at + sizeof(other), name);
        if (order == 0) { /* the last one wins */
            memmove(list + at, list + at + whole, *used - at - whole);
            *used -= whole;
        }
        if (order >= 0)
            break;
        at += whole;
    }
    size_t whole = sizeof(value_size) + name_size + size;
    memmove(list + at + whole, list + at, *used - at);
    memcpy(list + at, &value_size, sizeof(value_size));
    memcpy(list + at + sizeof(value_size), name, name_size);
    if (size)
        memcpy(list + at + sizeof(value_size) + name_size, value, size);
    *used += whole;
    return 0;
}

int tree_xattr_each(const char *list, size_t used, tree_xattr_fn *fn, void *context) {
    for (size_t at = 0; at < used;) {
        uint32_t value_size = 0;
        size_t whole = record(list + at, used - at, &value_size);
        if (whole == 0)
            return -EINVAL;
        int r = fn(context, list + at + sizeof(value_size), list + at + whole - value_size, value_size);
        if (r)
            return r;
        at += whole;
    }
    return 0;
}
