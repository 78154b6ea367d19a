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
#define UUID_KNOWN   (sizeof("BANGER-01234567-012-") - 1)
/* Nothing of the host's looks into a guest's disk: udev's rules are told so. */
#define UDEV_NOTHING                                                                                                   \
    (DM_UDEV_DISABLE_DM_RULES_FLAG | DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG | DM_UDEV_DISABLE_DISK_RULES_FLAG |          \
     DM_UDEV_DISABLE_OTHER_RULES_FLAG | DM_UDEV_DISABLE_LIBRARY_FALLBACK)

static const char no_memory[] = "out of memory";
static int has_driver;
static int loop_control;
static unsigned self; /* this process's number: its devices differ from another helper's for the same slot */

/* A slot's device. The name makes it unique; what is done to it is done by its uuid,
 * which says whose helper made it: one removed and made anew by another is not ours. */
struct device {
    char name[sizeof("banger-01234567-012")];
    char uuid[sizeof("BANGER-01234567-012-01234567")];
    uint64_t sectors;
    char table[64];
    dev_t dev; /* once it is made */
};

static void name_device(struct device *d, uint32_t slot) {
    slot &= 0xfff;
    (void) snprintf(d->name, sizeof(d->name), "banger-%08x-%03x", helper_who.uid, slot);
    (void) snprintf(d->uuid, sizeof(d->uuid), "BANGER-%08x-%03x-%08x", helper_who.uid, slot, self);
}

/* --- device-mapper ------------------------------------------------------------- */

static int run(struct dm_task *task) {
    cap_raise(CAP_SYS_ADMIN);
    int done = dm_task_run(task);
    cap_lower();
    die_if(!done && dm_task_get_errno(task) == 0, no_memory);
    return done ? 0 : -dm_task_get_errno(task);
}

/* 0 or a negative errno: ENXIO where there is none with this uuid, EBUSY where the name
 * is taken (CREATE) or it is open (REMOVE; one with `dev` is then marked instead). */
static int change(int type, struct device *d) {
    struct dm_task *task = dm_task_create(type);
    struct dm_info info;
    uint32_t cookie = 0;
    die_if(!task || !dm_task_set_uuid(task, d->uuid) ||
               (type == DM_DEVICE_CREATE && !dm_task_set_name(task, d->name)) ||
               (type == DM_DEVICE_REMOVE && d->dev && !dm_task_deferred_remove(task)) ||
               (type == DM_DEVICE_RELOAD && !dm_task_add_target(task, 0, d->sectors, "snapshot", d->table)) ||
               (type == DM_DEVICE_RESUME && !dm_task_set_cookie(task, &cookie, UDEV_NOTHING)),
           no_memory);
    int r = run(task);
    if (r == 0 && type == DM_DEVICE_CREATE && dm_task_get_info(task, &info))
        d->dev = makedev(info.major, info.minor);
    dm_task_destroy(task);
    return r;
}

/* Finds the device with this name and completes its uuid. 0, -ENXIO, or -EEXIST when
 * it is none that a helper of this account made. */
static int find(struct device *d) {
    struct dm_task *task = dm_task_create(DM_DEVICE_INFO);
    struct dm_info info = {0};
    die_if(!task || !dm_task_set_name(task, d->name), no_memory);
    int r = run(task);
    if (r == 0 && dm_task_get_info(task, &info) && !info.exists)
        r = -ENXIO;
    const char *uuid = r ? "" : dm_task_get_uuid(task);
    if (strlen(uuid) == sizeof(d->uuid) - 1 && strncmp(uuid, d->uuid, UUID_KNOWN) == 0)
        memcpy(d->uuid, uuid, sizeof(d->uuid));
    else if (r == 0)
        r = -EEXIST;
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
    die_if(!task, no_memory);
    int r = run(task);
    const struct dm_names *n = r ? NULL : dm_task_get_names(task);
    for (uint32_t next = n && n->dev ? 1 : 0; next; n = (const void *) ((const char *) n + next)) {
        struct device d = {0};
        const char *dash = strrchr(n->name, '-');
        unsigned long slot = dash ? strtoul(dash + 1, NULL, 16) : SLOT_MAX;
        name_device(&d, (uint32_t) slot);
        if (slot < SLOT_MAX && strcmp(n->name, d.name) == 0 && find(&d) == 0)
            slots[slot / 64] |= 1ull << slot % 64;
        next = n->next;
    }
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

/* Attaches `file` to a loop device: its number, and its descriptor in `*fd`. What several
 * VMs read is cached once, with the file; what one writes is cached by its guest. */
static int attach(int file, int is_base, int *fd) {
    struct loop_config config = {.fd = (unsigned) file};
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (is_base ? LO_FLAGS_READ_ONLY : LO_FLAGS_DIRECT_IO);
    int r = -EBUSY;
    for (int i = 0; r == -EBUSY && i < LOOP_TRIES; i++) {
        int number = ioctl(loop_control, LOOP_CTL_GET_FREE);
        *fd = number < 0 ? -errno : open_node(makedev(LOOP_MAJOR, (unsigned) number), is_base ? O_RDONLY : O_RDWR);
        if (*fd < 0)
            return *fd;
        if (ioctl(*fd, LOOP_CONFIGURE, &config) == 0)
            return number;
        r = -errno;
        (void) close(*fd);
    }
    return *fd = r;
}

/* --- operations ----------------------------------------------------------------- */

/* Gives the device its table; the loop devices are the table's from then on. */
static int fill(struct device *d, const int *files, uint32_t *step) {
    int base, overlay = -1;
    uint64_t bytes = 0;
    *step = SNAP_STEP_LOOP;
    int b = attach(files[SNAP_BASE], 1, &base);
    int o = b < 0 ? b : attach(files[SNAP_OVERLAY], 0, &overlay);
    int r = o < 0 ? o : ioctl(base, BLKGETSIZE64, &bytes) ? -errno : 0;
    if (r == 0) {
        *step = SNAP_STEP_MAKE;
        d->sectors = bytes / 512;
        (void) snprintf(d->table, sizeof(d->table), "%d:%d %d:%d P %u", LOOP_MAJOR, b, LOOP_MAJOR, o, SNAP_CHUNK / 512);
        r = change(DM_DEVICE_RELOAD, d);
    }
    if (base >= 0)
        (void) close(base);
    if (overlay >= 0)
        (void) close(overlay);
    return r;
}

static int bring_up(struct helper_job *job) {
    uint32_t slot = job->request->slot, *step = &job->reply->step;
    struct device d = {0};
    int fd = -1;
    name_device(&d, slot);
    *step = SNAP_STEP_MAKE;
    int r = change(DM_DEVICE_CREATE, &d);
    if (r == -EBUSY && (r = take_down(slot)) == 0)
        r = change(DM_DEVICE_CREATE, &d);
    if (r)
        return r == -EBUSY ? -EEXIST : r;
    r = fill(&d, job->fds, step);
    if (r == 0) { /* exclusively: nobody mounts it */
        *step = SNAP_STEP_OPEN;
        fd = open_node(d.dev, O_RDWR | O_EXCL);
        r = fd < 0 ? fd : 0;
    }
    if (r == 0) {
        *step = SNAP_STEP_REMOVE;
        r = change(DM_DEVICE_REMOVE, &d);
    }
    if (r == 0) {
        *step = SNAP_STEP_MAKE;
        r = change(DM_DEVICE_RESUME, &d);
    }
    if (r == 0) {
        job->reply_fd = fd;
        return 0;
    }
    if (fd >= 0)
        (void) close(fd);
    (void) change(DM_DEVICE_REMOVE, &d); /* now: the kernel does it only soon */
    return r;
}

int disk_answer(struct helper_job *job) {
    uint32_t op = job->request->op;
    job->reply->step = !has_driver ? SNAP_STEP_DRIVER : op == WIRE_SNAP_DOWN ? SNAP_STEP_REMOVE : SNAP_STEP_LIST;
    if (!has_driver)
        return -ENODEV;
    if (op == WIRE_SNAP_UP)
        return bring_up(job);
    return op == WIRE_SNAP_DOWN ? take_down(job->request->slot) : list(job->reply->slots);
}

/* --- start ---------------------------------------------------------------------- */

static void keep_silent(int level, const char *file, int line, int error, const char *format, ...) {
    (void) level, (void) file, (void) line, (void) error, (void) format;
}

/* libdevmapper reads /proc/devices and opens its control node once, here; afterwards it
 * only makes ioctls on it. Opening such a node has the kernel load its module. */
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
    self = (unsigned) getpid();
    int r = root_enter(nodes, sizeof(nodes) / sizeof(nodes[0]), find_driver, 1);
    (void) dm_set_dev_dir("/dev");
    loop_control = r ? -1 : open("/" LOOP_CONTROL, O_RDWR | O_CLOEXEC);
    has_driver &= loop_control >= 0;
    return r;
}

static const int calls[] = {
    SYS_recvmsg, SYS_sendmsg, SYS_poll,     SYS_fcntl,      SYS_getsockopt, SYS_newfstatat, /* worker.c */
    SYS_fstat,   SYS_fstatfs, SYS_openat,   SYS_read,       SYS_close,      SYS_capget,
    SYS_capset,  SYS_sendto,  SYS_recvfrom, SYS_exit_group, SYS_write,      SYS_restart_syscall,
    SYS_ioctl,   SYS_mknodat, SYS_unlink,  /* here */
    SYS_brk,     SYS_mmap,    SYS_munmap}; /* libdevmapper's heap */
const struct helper_calls disk_calls = {.allowed = calls, .count = sizeof(calls) / sizeof(calls[0]), .kill = 1};
