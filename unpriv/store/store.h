/* State: SQLite (WAL, foreign keys, numbered migrations) in the state folder.
 *
 * All calls are thread-safe (one lock). Records are plain structs, copied in and
 * out; strings are bounded and NUL-terminated. What is in the kernel or on disk is
 * never only known here: it can be found again from (uid, slot) and the folder. */
#ifndef BANGER_STORE_STORE_H
#define BANGER_STORE_STORE_H

#include "../../common/addr.h"
#include "../../common/err.h"

#include <stddef.h>
#include <stdint.h>

#define STORE_NAME_MAX   64
#define STORE_TEXT_MAX   256
#define STORE_DIGEST_MAX 80
#define STORE_LIST_MAX   512

struct image_record {
    char id[17]; /* 16 hex digits, random */
    char name[STORE_NAME_MAX];
    char kind[16];                 /* "debian", "oci", "bundle", "local" or "registered" */
    char source[STORE_TEXT_MAX];   /* catalog entry or reference; of the last two the rootfs's absolute path */
    char kernel[STORE_NAME_MAX];   /* that its VMs run with when they name none; "" = the catalog's default */
    char digest[STORE_DIGEST_MAX]; /* of a registry's manifest, "sha256:<hex>"; "" for all else */
    int64_t asked;                 /* the size that was asked for, 0: to fit the content */
    int64_t size;                  /* of the ext4, bytes */
    int64_t used;                  /* of content, bytes */
    int64_t created;               /* seconds since 1970 */
};

struct kernel_record {
    char id[17];
    char name[STORE_NAME_MAX];
    char release[STORE_NAME_MAX]; /* "6.1.0-56-cloud-amd64" */
    char source[STORE_TEXT_MAX];
    char agent[STORE_NAME_MAX]; /* stamp of the agent in its initrd: another one means re-import */
    int64_t created;
};

enum vm_state { VM_STOPPED, VM_STARTING, VM_RUNNING, VM_STOPPING, VM_FAILED };

struct vm_record {
    char id[17];
    char name[STORE_NAME_MAX];
    uint32_t slot;
    enum vm_state state;
    char image[17]; /* ids */
    char kernel[17];
    uint32_t vcpus;
    uint32_t memory_mib;
    int64_t disk;                   /* of the work disk, bytes */
    uint32_t egress;                /* enum wire_egress */
    uint32_t ipv6;                  /* 1: it has IPv6 too */
    char publish[STORE_LIST_MAX];   /* published ports (forward/spec.h), separated by spaces */
    char root_kind[16];             /* "reflink", "snapshot" or "copy" */
    char accel[8];                  /* "kvm" or "tcg", of the last start */
    char workspace[STORE_TEXT_MAX]; /* guest path, "" without */
    char source[STORE_TEXT_MAX];    /* host path of the workspace */
    char head[64];                  /* host HEAD at prepare */
    char vmm[16];                   /* "qemu" or "firecracker": chosen when it was made */
    uint32_t remove;                /* delete when its run's command ends */
    int32_t pid;                    /* of banger-jail, 0 when not running; valid only while status is locked */
    uint32_t subnet;                /* host byte order, of the last start */
    int64_t created, started;
};

/* Opens (and migrates) <dirfd>/banger.db. A newer database than this program
 * knows is an error that says so. */
int store_open(const char *state_dir, struct err *e);
void store_close(void);

/* Lookups take a name or an id; -ENOENT with a sentence when there is none. Lists
 * call `each` for every record in name order; `each` must not call the store. */
int store_image_add(const struct image_record *r, struct err *e); /* -EEXIST: name taken */
int store_image_get(const char *name, struct image_record *r, struct err *e);
int store_image_update(const struct image_record *r, struct err *e); /* by id, all other members */
int store_image_delete(const char *id, struct err *e);               /* -EBUSY while a VM uses it, naming the VM */
/* In one step `r` is there and the one with `id` is not; one that a VM uses stays, named by its id (`*kept`). -ENOENT:
 * there is none with `id`. */
int store_image_replace(const char *id, const struct image_record *r, int *kept, struct err *e);
int store_images(void (*each)(const struct image_record *r, void *arg), void *arg, struct err *e);

int store_kernel_add(const struct kernel_record *r, struct err *e); /* -EEXIST: name taken */
int store_kernel_get(const char *name, struct kernel_record *r, struct err *e);
int store_kernel_update(const struct kernel_record *r, struct err *e); /* by id, all other members */
int store_kernel_delete(const char *id, struct err *e);                /* -EBUSY as for images */
int store_kernels(void (*each)(const struct kernel_record *r, void *arg), void *arg, struct err *e);

/* When a VM was last used (seconds since 1970; 0: not known), and a setting's value (0 where it has none). */
int store_touch_get(const char *vm, int64_t *when, struct err *e);
int store_touch_set(const char *vm, int64_t when, struct err *e); /* nothing where the VM is gone */
int store_setting_get(const char *key, int64_t *value, struct err *e);
int store_setting_set(const char *key, int64_t value, struct err *e);

int store_vm_add(const struct vm_record *r, struct err *e); /* -EEXIST: name or slot taken */
int store_vm_get(const char *name, struct vm_record *r, struct err *e);
int store_vm_update(const struct vm_record *r, struct err *e); /* by id, all members but id, slot */
int store_vm_delete(const char *id, struct err *e);
/* The same for what need not survive the machine's power: the engine's end it survives, and
 * the power too once a later change does, or store_sync was called. Nothing is waited for. */
int store_vm_add_soon(const struct vm_record *r, struct err *e);
int store_vm_update_soon(const struct vm_record *r, struct err *e);
int store_vm_delete_soon(const char *id, struct err *e);
/* All that was changed so far survives the power. */
int store_sync(struct err *e);
int store_vms(void (*each)(const struct vm_record *r, void *arg), void *arg, struct err *e);

/* What a VM may reach where it has a list, or while that is being changed: vm/gates.c's text. "" for one that
 * has none. Goes with the VM's record. */
int store_egress_get(const char *vm, char *rules, size_t size, struct err *e);
int store_egress_set(const char *vm, const char *rules, struct err *e); /* "" takes it away */

#endif
