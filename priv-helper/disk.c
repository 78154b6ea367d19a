/* The disk worker: snapshots of base images by device-mapper.
 *
 * A snapshot is marked for removal before it comes to life, and its loop devices clear
 * themselves: all of it is gone with the last descriptor, and what lives is open
 * somewhere. A helper killed between making and marking leaves a device without a live
 * table; the slot's next SNAP_UP or SNAP_DOWN removes it. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NODE         "/dev/node" /* of whatever is opened next */
#define LOOP_CONTROL "dev/loop-control"
#define LOOP_TRIES   64 /* to be first at a free loop device */
/* Nothing of the host's looks into a guest's disk: udev's rules are told so. */
#define UDEV_NOTHING                                                                                                   \
    (DM_UDEV_DISABLE_DM_RULES_FLAG | DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG |          \
     DM_UDEV_DISABLE_OTHER_RULES_FLAG | DM_UDEV_DISABLE_LIBRARY_FALLBACK)

static int has_driver;
static int self; /* this process's number: its devices differ from another helper's for the same slot */

/* A slot's device. The name makes it unique; what is done to it is done by its uuid,
 * which says whose helper made it: one removed and made anew by another is not ours. */
struct device {
    char name[sizeof("banger-01234567-012")];
    char uuid[sizeof("BANGER-01234567-012-01234567")];
    uint64_t sectors;
    char table[64];
    dev_t dev; /* once it is made */
    int fd;
};

static void name_device(struct device *d, uint32_t slot) {
    slot &= 0xfff;
    (void) snprintf(d->name, sizeof(d->name), "banger-%08x-%03x", helper_who.uid, slot);
    (void) snprintf(d->uuid, sizeof(d->uuid), "BANGER-%08x-%03x-%08x", helper_who.uid, slot, (unsigned) self);
}

/* --- device-mapper ------------------------------------------------------------- */

static int run(struct dm_task *task) {
    cap_raise(CAP_SYS_ADMIN);
    int done = dm_task_run(task);
    cap_lower();
    if (done)
        return 0;
    return dm_task_get_errno(task) ? -dm_task_get_errno(task) : -ENOMEM;
}

static int prepare(struct dm_task *task, int type, const struct device *d) {
    uint32_t cookie = 0;
    switch (type) {
    case DM_DEVICE_CREATE:
        return dm_task_set_name(task, d->name);
    case DM_DEVICE_REMOVE:
        return d->dev ? dm_task_deferred_remove(task) : 1;
    case DM_DEVICE_RELOAD:
        return dm_task_add_target(task, 0, d->sectors, "snapshot", d->table);
    default: /* DM_DEVICE_RESUME */
        return dm_task_set_cookie(task, &cookie, UDEV_NOTHING);
    }
}

/* 0 or a negative errno: ENXIO where there is none with this uuid, EBUSY where the name
 * is taken (making) or it is open (removing; one with `dev` is then only marked). */
static int change(int type, struct device *d) {
    struct dm_task *task = dm_task_create(type);
    struct dm_info info;
    int r = -ENOMEM;
    if (task && dm_task_set_uuid(task, d->uuid) && prepare(task, type, d))
        r = run(task);
    if (r == 0 && type == DM_DEVICE_CREATE && dm_task_get_info(task, &info))
        d->dev = makedev(info.major, info.minor);
    if (task)
        dm_task_destroy(task);
    return r;
}

/* Finds the device with this name and completes its uuid. 0, -ENXIO, or -EEXIST when
 * it is none that a helper of this account made. */
static int find(struct device *d) {
    struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
    struct dm_info info = {0};
    int r = task && dm_task_set_name(task, d->name) ? run(task) : -ENOMEM;
    if (r == 0 && !(dm_task_get_info(task, &info) && info.exists))
        r = -ENXIO;
    const char *uuid = r ? NULL : dm_task_get_uuid(task);
    if (uuid && strlen(uuid) == sizeof(d->uuid) - 1 && strncmp(uuid, d->uuid, sizeof("BANGER-01234567-012-") - 1) == 0)
        memcpy(d->uuid, uuid, sizeof(d->uuid));
    else if (r == 0)
        r = -EEXIST;
    if (task)
        dm_task_destroy(task);
    return r;
}

static int take_down(uint32_t slot) {
    struct device d = {0};
    name_device(&d, slot);
    int r = find(&d);
    if (r == 0)
        r = change(DM_DEVICE_REMOVE, &d);
    return r == -ENXIO ? 0 : r;
}

static int list(uint64_t *slots) {
    struct dm_task *task = dm_task_create(DM_DEVICE_LIST);
    int r = task ? run(task) : -ENOMEM;
    const struct dm_names *names = r ? NULL : dm_task_get_names(task);
    for (uint32_t next = names && names->dev ? 1 : 0; next;) {
        struct device d = {0};
        size_t length = strlen(names->name);
        uint32_t slot =
            length == sizeof(d.name) - 1 ? (uint32_t) strtoul(names->name + length - 3, NULL, 16) : SLOT_MAX;
        name_device(&d, slot);
        if (slot < SLOT_MAX && strcmp(names->name, d.name) == 0 && find(&d) == 0)
            slots[slot / 64] |= 1ull << slot % 64;
        next = names->next;
        names = (const struct dm_names *) (const void *) ((const char *) names + next);
    }
    if (task)
        dm_task_destroy(task);
    return r;
}

/* --- block devices -------------------------------------------------------------- */

static int open_node(dev_t dev, int flags) {
    cap_raise(CAP_MKNOD);
    int fd = mknod(NODE, S_IFBLK | 0600, dev);
    cap_lower();
    if (fd == 0)
        fd = open(NODE, flags | O_CLOEXEC);
    if (fd < 0)
        fd = -errno;
    (void) unlink(NODE);
    return fd;
}

/* A loop device of `file`: its descriptor and, in `*number`, which. What several VMs
 * read is cached once, with the file; what one writes is cached by its guest. */
static int attach(int file, int is_base, int *number) {
    struct loop_config config = {.fd = (unsigned) file};
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (is_base ? LO_FLAGS_READ_ONLY : LO_FLAGS_DIRECT_IO);
    int control = open("/" LOOP_CONTROL, O_RDWR | O_CLOEXEC);
    int fd = control < 0 ? -errno : -EBUSY;
    for (int i = 0; fd == -EBUSY && i < LOOP_TRIES; i++) {
        *number = ioctl(control, LOOP_CTL_GET_FREE);
        fd = *number < 0 ? -errno : open_node(makedev(LOOP_MAJOR, (unsigned) *number), is_base ? O_RDONLY : O_RDWR);
        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config)) {
            int r = -errno;
            (void) close(fd);
            fd = r;
        }
    }
    if (control >= 0)
        (void) close(control);
    return fd;
}

/* --- operations ----------------------------------------------------------------- */

/* The name is this slot's from here on. */
static int make(struct device *d, uint32_t slot) {
    int r = change(DM_DEVICE_CREATE, d);
    if (r == -EBUSY && (r = take_down(slot)) == 0)
        r = change(DM_DEVICE_CREATE, d);
    return r == -EBUSY ? -EEXIST : r;
}

/* Gives it its table; the loop devices are the table's from then on. */
static int fill(struct device *d, const int *files, uint32_t *step) {
    int numbers[SNAP_FDS] = {0}, loops[SNAP_FDS] = {-1, -1}, r = 0;
    uint64_t bytes = 0;
    *step = SNAP_STEP_LOOP;
    for (int i = 0; i < SNAP_FDS && r >= 0; i++)
        r = loops[i] = attach(files[i], i == SNAP_BASE, &numbers[i]);
    if (r >= 0)
        r = ioctl(loops[SNAP_BASE], BLKGETSIZE64, &bytes) ? -errno : 0;
    if (r == 0) {
        *step = SNAP_STEP_MAKE;
        d->sectors = bytes / 512;
        (void) snprintf(d->table, sizeof(d->table), "%d:%d %d:%d P %u", LOOP_MAJOR, numbers[SNAP_BASE], LOOP_MAJOR,
                        numbers[SNAP_OVERLAY], SNAP_CHUNK / 512);
        r = change(DM_DEVICE_RELOAD, d);
    }
    for (int i = 0; i < SNAP_FDS; i++) {
        if (loops[i] >= 0)
            (void) close(loops[i]);
    }
    return r;
}

/* The kernel opens no device that never had a table. Exclusively: nobody mounts it. */
static int open_marked(struct device *d, uint32_t *step) {
    *step = SNAP_STEP_OPEN;
    d->fd = open_node(d->dev, O_RDWR | O_EXCL);
    if (d->fd < 0)
        return d->fd;
    *step = SNAP_STEP_REMOVE;
    return change(DM_DEVICE_REMOVE, d);
}

static int bring_up(struct helper_job *job) {
    struct device d = {.fd = -1};
    name_device(&d, job->request->slot);
    job->reply->step = SNAP_STEP_MAKE;
    int r = make(&d, job->request->slot);
    if (r == 0)
        r = fill(&d, job->fds, &job->reply->step);
    if (r == 0)
        r = open_marked(&d, &job->reply->step);
    if (r == 0) {
        job->reply->step = SNAP_STEP_MAKE;
        r = change(DM_DEVICE_RESUME, &d);
    }
    if (r == 0) {
        job->reply_fd = d.fd;
        return 0;
    }
    if (d.fd >= 0)
        (void) close(d.fd);
    if (d.dev)
        (void) change(DM_DEVICE_REMOVE, &d); /* now: the kernel does it only soon */
    return r;
}

int disk_answer(struct helper_job *job) {
    job->reply->step = SNAP_STEP_DRIVER;
    if (!has_driver)
        return -ENODEV;
    if (job->request->op == WIRE_SNAP_UP)
        return bring_up(job);
    if (job->request->op == WIRE_SNAP_DOWN) {
        job->reply->step = SNAP_STEP_REMOVE;
        return take_down(job->request->slot);
    }
    job->reply->step = SNAP_STEP_LIST;
    return list(job->reply->slots);
}

/* --- start ---------------------------------------------------------------------- */

static void keep_silent(int level, const char *file, int line, int error, const char *format, ...) {
    (void) level, (void) file, (void) line, (void) error, (void) format;
}

/* libdevmapper reads /proc/devices and opens its control node once, here; afterwards it
 * only makes ioctls on it. Opening the node has the kernel load dm_mod. */
static int find_driver(void) {
    dm_log_with_errno_init(keep_silent);
    dm_hold_control_dev(1);
    (void) dm_udev_set_sync_support(0);
    (void) dm_set_dev_dir(ROOT_BUILD_PATH "/dev");
    cap_raise(CAP_SYS_ADMIN);
    struct dm_task *task = dm_task_create(DM_DEVICE_VERSION);
    has_driver = task && dm_task_run(task);
    cap_lower();
    if (task)
        dm_task_destroy(task);
    return 0;
}

int disk_init(void) {
    static const struct root_node nodes[] = {{"dev/mapper/control", MISC_MAJOR, 236}, {LOOP_CONTROL, MISC_MAJOR, 237}};
    self = getpid();
    int r = root_enter(nodes, sizeof(nodes) / sizeof(nodes[0]), find_driver, 1);
    (void) dm_set_dev_dir("/dev");
    return r;
}

static const int calls[] = {
    SYS_recvmsg, SYS_sendmsg, SYS_poll,     SYS_fcntl,      SYS_getsockopt, SYS_newfstatat, /* worker.c */
    SYS_fstat,   SYS_fstatfs, SYS_openat,   SYS_read,       SYS_close,      SYS_capget,
    SYS_capset,  SYS_sendto,  SYS_recvfrom, SYS_exit_group, SYS_write,      SYS_restart_syscall,
    SYS_ioctl,   SYS_mknodat, SYS_unlink,  /* here */
    SYS_brk,     SYS_mmap,    SYS_munmap}; /* libdevmapper's heap */
const struct sandbox_calls disk_calls = {.allowed = calls, .count = sizeof(calls) / sizeof(calls[0]), .kill = 1};
