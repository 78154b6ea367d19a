#include "tar.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ACL_VERSION 2u
#define ACL_MOST    128u

struct acl_entry {
    uint16_t tag, perm;
    uint32_t id;
};

/* The kernel's number of it (linux/posix_acl.h), 0 when it has none. */
static uint16_t tag_of(int tag) {
    static const struct {
        int tag;
        uint16_t number;
    } known[] = {
        {ARCHIVE_ENTRY_ACL_USER_OBJ, 0x01}, {ARCHIVE_ENTRY_ACL_USER, 0x02}, {ARCHIVE_ENTRY_ACL_GROUP_OBJ, 0x04},
        {ARCHIVE_ENTRY_ACL_GROUP, 0x08},    {ARCHIVE_ENTRY_ACL_MASK, 0x10}, {ARCHIVE_ENTRY_ACL_OTHER, 0x20},
    };
    size_t i = 0;
    while (i < sizeof(known) / sizeof(known[0]) && known[i].tag != tag)
        i++;
    return i < sizeof(known) / sizeof(known[0]) ? known[i].number : 0;
}

/* The kernel wants them in this order. */
static int by_tag(const void *a, const void *b) {
    const struct acl_entry *l = a, *r = b;
    if (l->tag != r->tag)
        return l->tag < r->tag ? -1 : 1;
    return l->id < r->id ? -1 : l->id > r->id;
}

static int add_acl(struct archive_entry *entry, int type, const char *name, char *list, size_t *used, struct err *e) {
    struct {
        uint32_t version;
        struct acl_entry entries[ACL_MOST];
    } acl = {.version = ACL_VERSION};
    int kind = 0, perm = 0, tag = 0, id = 0;
    const char *who = NULL;
    uint32_t n = 0;
    (void) archive_entry_acl_reset(entry, type);
    while (archive_entry_acl_next(entry, type, &kind, &perm, &tag, &id, &who) == ARCHIVE_OK) {
        if (n == ACL_MOST)
            return err_set(e, E2BIG, "its access control list has more than %u lines; use fewer", ACL_MOST);
        struct acl_entry *out = &acl.entries[n++];
        *out = (struct acl_entry){.tag = tag_of(tag), .perm = (uint16_t) (perm & 7), .id = UINT32_MAX};
        if (tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP)
            out->id = (uint32_t) id;
        if (out->tag == 0)
            return err_set(e, EINVAL, "its access control list is not a POSIX one; make the archive without it");
    }
    qsort(acl.entries, n, sizeof(acl.entries[0]), by_tag);
    return n ? tree_xattr_add(list, used, name, &acl, sizeof(acl.version) + n * sizeof(acl.entries[0]), e) : 0;
}

int tar_acls(struct archive_entry *entry, char *list, size_t *used, struct err *e) {
    int types = archive_entry_acl_types(entry), r = 0;
    if (types & ARCHIVE_ENTRY_ACL_TYPE_ACCESS)
        r = add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", list, used, e);
    if (r == 0 && (types & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT))
        r = add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", list, used, e);
    return r;
}
