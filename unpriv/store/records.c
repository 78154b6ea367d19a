#include "store.h"
#include "table.h"

#define COLUMN_AS(name, type, record, member)                                                                          \
    { name, type, offsetof(struct record, member), sizeof(((struct record *) 0)->member) }
#define COLUMN(type, record, member) COLUMN_AS(#member, type, record, member)

static const struct column image_columns[] = {
    COLUMN(COLUMN_TEXT, image_record, id),     COLUMN(COLUMN_TEXT, image_record, name),
    COLUMN(COLUMN_TEXT, image_record, kind),   COLUMN(COLUMN_TEXT, image_record, source),
    COLUMN(COLUMN_TEXT, image_record, kernel), COLUMN(COLUMN_TEXT, image_record, digest),
    COLUMN(COLUMN_I64, image_record, asked),   COLUMN(COLUMN_I64, image_record, size),
    COLUMN(COLUMN_I64, image_record, used),    COLUMN(COLUMN_I64, image_record, created),
};

static const struct column kernel_columns[] = {
    COLUMN(COLUMN_TEXT, kernel_record, id),      COLUMN(COLUMN_TEXT, kernel_record, name),
    COLUMN(COLUMN_TEXT, kernel_record, release), COLUMN(COLUMN_TEXT, kernel_record, source),
    COLUMN(COLUMN_TEXT, kernel_record, agent),   COLUMN(COLUMN_I64, kernel_record, created),
};

static const struct column vm_columns[] = {
    COLUMN(COLUMN_TEXT, vm_record, id),        COLUMN(COLUMN_TEXT, vm_record, name),
    COLUMN(COLUMN_U32, vm_record, slot),       COLUMN(COLUMN_U32, vm_record, state),
    COLUMN(COLUMN_TEXT, vm_record, image),     COLUMN(COLUMN_TEXT, vm_record, kernel),
    COLUMN(COLUMN_U32, vm_record, vcpus),      COLUMN(COLUMN_U32, vm_record, memory_mib),
    COLUMN(COLUMN_I64, vm_record, disk),       COLUMN(COLUMN_U32, vm_record, egress),
    COLUMN(COLUMN_TEXT, vm_record, root_kind), COLUMN(COLUMN_TEXT, vm_record, accel),
    COLUMN(COLUMN_TEXT, vm_record, workspace), COLUMN(COLUMN_TEXT, vm_record, source),
    COLUMN(COLUMN_TEXT, vm_record, head),      COLUMN(COLUMN_U32, vm_record, remove),
    COLUMN(COLUMN_I32, vm_record, pid),        COLUMN(COLUMN_U32, vm_record, subnet),
    COLUMN(COLUMN_I64, vm_record, created),    COLUMN(COLUMN_I64, vm_record, started),
    COLUMN(COLUMN_TEXT, vm_record, vmm),       COLUMN(COLUMN_TEXT, vm_record, publish),
    COLUMN(COLUMN_U32, vm_record, ipv6),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
static struct table images = {
    "images", "image", "image", image_columns, COUNT(image_columns), sizeof(struct image_record), {0}};
static struct table kernels = {
    "kernels", "kernel", "kernel", kernel_columns, COUNT(kernel_columns), sizeof(struct kernel_record), {0}};
static struct table vms = {"vms", "VM", "vm", vm_columns, COUNT(vm_columns), sizeof(struct vm_record), {0}};
struct table *const store_tables[] = {&images, &kernels, &vms, 0};

_Static_assert(sizeof(struct image_record) <= TABLE_RECORD_MAX, "fits table_list's record");
_Static_assert(sizeof(struct kernel_record) <= TABLE_RECORD_MAX, "fits table_list's record");
_Static_assert(sizeof(struct vm_record) <= TABLE_RECORD_MAX, "fits table_list's record");
_Static_assert(sizeof(enum vm_state) == sizeof(uint32_t), "state is a COLUMN_U32");

/* The callers' typed callback behind the table's untyped one. */
#define RECORD_CALLS(type)                                                                                             \
    struct type##_each {                                                                                               \
        void (*each)(const struct type##_record *r, void *arg);                                                        \
        void *arg;                                                                                                     \
    };                                                                                                                 \
    static void type##_call(const void *record, void *arg) {                                                           \
        const struct type##_each *to = arg;                                                                            \
        to->each(record, to->arg);                                                                                     \
    }                                                                                                                  \
    int store_##type##s(void (*each)(const struct type##_record *r, void *arg), void *arg, struct err *e) {            \
        struct type##_each to = {each, arg};                                                                           \
        return table_list(&type##s, type##_call, &to, e);                                                              \
    }                                                                                                                  \
    int store_##type##_add(const struct type##_record *r, struct err *e) {                                             \
        return table_add(&type##s, r, TABLE_NOW, e);                                                                   \
    }                                                                                                                  \
    int store_##type##_get(const char *name, struct type##_record *r, struct err *e) {                                 \
        return table_get(&type##s, name, r, e);                                                                        \
    }
RECORD_CALLS(image)
RECORD_CALLS(kernel)
RECORD_CALLS(vm)

int store_image_update(const struct image_record *r, struct err *e) {
    return table_update(&images, r, TABLE_NOW, e);
}

int store_image_replace(const char *id, const struct image_record *r, int *kept, struct err *e) {
    return table_replace(&images, id, r, kept, e);
}

int store_image_delete(const char *id, struct err *e) {
    return table_delete(&images, id, "SELECT name FROM vms WHERE image = ?1 ORDER BY name LIMIT 1", TABLE_NOW, e);
}

int store_kernel_update(const struct kernel_record *r, struct err *e) {
    return table_update(&kernels, r, TABLE_NOW, e);
}

int store_kernel_delete(const char *id, struct err *e) {
    return table_delete(&kernels, id, "SELECT name FROM vms WHERE kernel = ?1 ORDER BY name LIMIT 1", TABLE_NOW, e);
}

int store_vm_update(const struct vm_record *r, struct err *e) {
    return table_update(&vms, r, TABLE_NOW, e);
}

int store_vm_add_soon(const struct vm_record *r, struct err *e) {
    return table_add(&vms, r, TABLE_SOON, e);
}

int store_vm_update_soon(const struct vm_record *r, struct err *e) {
    return table_update(&vms, r, TABLE_SOON, e);
}

int store_vm_delete_soon(const char *id, struct err *e) {
    return table_delete(&vms, id, 0, TABLE_SOON, e);
}

int store_vm_delete(const char *id, struct err *e) {
    return table_delete(&vms, id, 0, TABLE_NOW, e);
}
