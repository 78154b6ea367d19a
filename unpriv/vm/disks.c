/* Both disks of a VM. The root disk is the cheapest kind that can be had, or the one asked for. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../image/importer.h"
#include "../priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STACK 262144

const char *const vm_root_names[ROOT_KINDS] = {
    [ROOT_AUTO] = "auto", [ROOT_REFLINK] = "reflink", [ROOT_SNAPSHOT] = "snapshot", [ROOT_COPY] = "copy"};

int vm_image_open(const struct vm_record *r, struct err *e) {
    char path[64];
    (void) snprintf(path, sizeof(path), "images/%s/rootfs.ext4", r->image);
    int fd = vm_open(engine.state, path, O_RDONLY);
    if (fd < 0)
        return err_set(e, -fd, "cannot open the image's file %s/%s (%s): delete the image and pull it again",
                       engine.state_path, path, strerror(-fd));
    return fd;
}

/* --- the kinds of root disk --------------------------------------------------------- */

struct making {
    const struct vm_record *r;
    int dir, base;
    int64_t room; /* beyond the image's size, a hole */
    int own;      /* the image is banger's: it does not change */
    struct vm_root *root;
};

static int make_file(const struct making *m, struct err *e) {
    int fd = vm_open(m->dir, VM_ROOT_FILE, O_RDWR | O_CREAT | O_TRUNC);
    return fd < 0 ? err_sys(e, -fd, "cannot make the VM's root disk in %s/vms/%03x", engine.state_path, m->r->slot)
                  : fd;
}

/* As large as the image with the room. */
static int make_room(const struct making *m, int to, struct err *e) {
    struct stat st;
    if (fstat(m->base, &st) == 0 && ftruncate(to, st.st_size + m->room) == 0)
        return 0;
    return err_sys(e, errno, "cannot make the root disk %lld MiB larger than the image", (long long) (m->room >> 20));
}

static int make_reflink(const struct making *m, struct err *e) {
    cleanup_fd int to = make_file(m, e);
    if (to < 0)
        return to;
    if (ioctl(to, FICLONE, m->base) == 0)
        return make_room(m, to, e);
    int code = errno;
    (void) unlinkat(m->dir, VM_ROOT_FILE, 0);
    return err_set(e, code,
                   "the file system of %s cannot share blocks between files (%s): move the state folder to btrfs or "
                   "xfs with XDG_STATE_HOME, or choose another kind",
                   engine.state_path, strerror(code));
}

/* The helper is asked first: reserving an overlay in vain takes a moment and much space. */
static int make_snapshot(const struct making *m, struct err *e) {
    uint64_t op = m->root->rpc->op;
    uint64_t slots[(SLOT_MAX + 63) / 64];
    if (!m->own)
        return err_set(e, EOPNOTSUPP,
                       "a snapshot needs its image unchanged and there at each start, and this one's file is not "
                       "banger's: `banger image promote` copies it");
    if (m->room)
        return err_set(e, EOPNOTSUPP,
                       "a snapshot is as large as its image, and so has no room beyond it: leave "
                       "--system-overlay-size (system_overlay_size) out, or choose another --root-disk");
    int rc = priv_snap_list(op, slots, e);
    if (rc)
        return rc;
    cleanup_fd int overlay = vm_overlay_make(m->dir, m->base, e);
    if (overlay < 0)
        return overlay;
    m->root->device = vm_snapshot_up(op, m->r->slot, m->base, overlay, e);
    if (m->root->device >= 0)
        return 0;
    (void) unlinkat(m->dir, VM_OVERLAY, 0);
    return m->root->device;
}

static void root_progress(void *arg, int64_t done, int64_t total) {
    const struct vm_root *root = arg;
    rpc_progress(root->rpc, "disk", "copying the root disk", done, total);
}

static int root_cancelled(void *arg) {
    const struct vm_root *root = arg;
    return root->stop || rpc_gone(root->rpc);
}

/* While the guest boots: whoever keeps the VM waits for what is left of it (vm_disks_sync). */
static void *root_write(void *arg) {
    (void) fdatasync(*(int *) arg);
    (void) close(*(int *) arg);
    free(arg);
    return NULL;
}

static void begin_write(struct vm_root *root) {
    int *fd = malloc(sizeof(*fd));
    pthread_attr_t attr;
    if (!fd || (*fd = fcntl(root->to, F_DUPFD_CLOEXEC, 3)) < 0) {
        free(fd);
        return;
    }
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, STACK);
    root->writes = pthread_create(&root->writer, &attr, root_write, fd) == 0;
    (void) pthread_attr_destroy(&attr);
    if (!root->writes) {
        (void) close(*fd);
        free(fd);
    }
}

static void *root_copy(void *arg) {
    struct vm_root *root = arg;
    struct copy_how how = {
        .progress = root_progress, .cancelled = root_cancelled, .arg = root, .unshared = root->unshared};
    root->result = copy_disk(root->from, root->to, &how, &root->e);
    if (root->result == 0 && root->keep)
        begin_write(root);
    return NULL;
}

/* The size is there on return: the VMM may have the disk. */
static int make_copy(const struct making *m, struct err *e) {
    struct vm_root *root = m->root;
    cleanup_fd int to = make_file(m, e);
    if (to < 0)
        return to;
    cleanup_fd int from = fcntl(m->base, F_DUPFD_CLOEXEC, 3);
    if (from < 0)
        return err_sys(e, errno, "cannot make the root disk");
    int rc = make_room(m, to, e);
    if (rc)
        return rc;
    pthread_attr_t attr;
    root->from = take_fd(&from);
    root->to = take_fd(&to);
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, STACK);
    rc = pthread_create(&root->thread, &attr, root_copy, root);
    (void) pthread_attr_destroy(&attr);
    if (rc) {
        fdpass_close(&root->from, 1);
        fdpass_close(&root->to, 1);
        return err_sys(e, rc, "cannot start a thread for the root disk");
    }
    return 0;
}

static int (*const makers[ROOT_KINDS])(const struct making *m, struct err *e) = {
    [ROOT_REFLINK] = make_reflink, [ROOT_SNAPSHOT] = make_snapshot, [ROOT_COPY] = make_copy};

static int make_root(const struct making *m, enum vm_root_kind kind, char name[16], struct err *e) {
    (void) snprintf(name, 16, "%s", vm_root_names[kind]);
    return makers[kind](m, e);
}

/* An explicit choice that cannot be had is an error; left to choose, the next kind is tried. */
static int root_begin(struct vm_record *r, enum vm_root_kind want, const struct making *m, struct err *e) {
    m->root->unshared = want == ROOT_COPY;
    if (want != ROOT_AUTO) {
        int rc = make_root(m, want, r->root_kind, e);
        return rc ? err_prefix(e, "a root disk of the kind \"%s\" cannot be had here", vm_root_names[want]) : 0;
    }
    for (enum vm_root_kind kind = ROOT_REFLINK; kind < ROOT_COPY; kind++) {
        struct err why;
        if (make_root(m, kind, r->root_kind, &why) == 0)
            return 0;
        log_debug(m->root->rpc->op, "VM %s: no %s: %s", r->name, vm_root_names[kind], why.text);
    }
    return make_root(m, ROOT_COPY, r->root_kind, e);
}

int vm_disks_wait(struct vm_root *root, struct err *e) {
    if (root->to >= 0) {
        (void) pthread_join(root->thread, NULL);
        fdpass_close(&root->from, 1);
        fdpass_close(&root->to, 1);
    }
    if (root->result < 0 && e)
        *e = root->e;
    return root->result < 0 ? root->result : 0;
}

void vm_disks_abandon(struct vm_root *root) {
    root->stop = 1;
    (void) vm_disks_wait(root, NULL);
    if (root->writes)
        (void) pthread_join(root->writer, NULL);
    root->writes = 0;
    fdpass_close(&root->device, 1);
}

struct syncing {
    const char *name;
    pthread_t thread;
    int dir;
    int flags;
    int result;
    int in_thread;
};

static void *sync_file(void *arg) {
    struct syncing *s = arg;
    cleanup_fd int fd = vm_open(s->dir, s->name, s->flags);
    s->result = fd < 0 ? fd : (fsync(fd) ? -errno : 0);
    return NULL;
}

/* At the same time: the file system writes its journal once for all, and the disk's own cache. */
static int sync_all(struct syncing *all, size_t count) {
    pthread_attr_t attr;
    int rc = 0;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, STACK);
    for (size_t i = 1; i < count; i++)
        all[i].in_thread = pthread_create(&all[i].thread, &attr, sync_file, &all[i]) == 0;
    (void) pthread_attr_destroy(&attr);
    for (size_t i = 0; i < count; i++) {
        if (all[i].in_thread)
            (void) pthread_join(all[i].thread, NULL);
        else
            (void) sync_file(&all[i]);
        rc = rc ? rc : all[i].result;
    }
    return rc;
}

int vm_disks_sync(const struct vm_record *r, struct err *e) {
    cleanup_fd int dir = vm_folder_open(r->slot);
    struct syncing all[] = {
        {.dir = dir, .name = vm_is_snapshot(r) ? VM_OVERLAY : VM_ROOT_FILE, .flags = O_RDWR},
        {.dir = dir, .name = "work.ext4", .flags = O_RDWR},
        {.dir = dir, .name = ".", .flags = O_RDONLY | O_DIRECTORY},
        {.dir = engine.state, .name = "vms", .flags = O_RDONLY | O_DIRECTORY},
    };
    int rc = dir < 0 ? dir : sync_all(all, sizeof(all) / sizeof(all[0]));
    return rc ? err_sys(e, -rc, "cannot write the disks of VM %s to the host's disk", r->name) : 0;
}

/* --- both, at the same time --------------------------------------------------------- */

/* A descriptor of the image's file, which seeks alone. */
static int open_base(const struct vm_spec *spec, const struct vm_record *r, int which, struct err *e) {
    if (spec->given[which] < 0)
        return vm_image_open(r, e);
    int fd = fcntl(spec->given[which], F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? err_sys(e, errno, "cannot take the image's file") : fd;
}

static int work_make(const struct rpc *rpc, const struct vm_spec *spec, const struct vm_record *r, int work,
                     struct err *e) {
    struct import_plan plan = {.mode = IMPORT_WORK, .size = (uint64_t) r->disk};
    struct import_result result;
    cleanup_fd int base = open_base(spec, r, 1, e);
    if (base < 0)
        return base;
    const int fds[3] = {base, work, spec->tar};
    plan.flags = spec->tar >= 0 ? IMPORT_HAS_TAR : 0;
    int rc = importer_run(rpc, &plan, fds, spec->tar >= 0 ? 3 : 2, "disk", &result, e);
    if (rc)
        (void) err_prefix(e, "making the work disk");
    return rc;
}

/* The image's files in a file of another size. */
static int make_anew(const struct rpc *rpc, const struct making *m, int64_t size, struct err *e) {
    const struct import_plan plan = {.mode = IMPORT_COPY, .size = (uint64_t) size};
    struct import_result result;
    cleanup_fd int to = make_file(m, e);
    if (to < 0)
        return to;
    const int fds[] = {m->base, to};
    int rc = importer_run(rpc, &plan, fds, 2, "disk", &result, e);
    return rc ? err_prefix(e, "making the root disk") : 0;
}

int vm_disks_keep(const struct rpc *rpc, const struct vm_record *r, int64_t size, int to, struct import_result *got,
                  struct err *e) {
    const struct import_plan plan = {.mode = IMPORT_COPY, .size = (uint64_t) size, .flags = IMPORT_HAS_WORK};
    cleanup_fd int dir = vm_folder_open(r->slot);
    cleanup_fd int root = dir < 0 ? dir : vm_open(dir, VM_ROOT_FILE, O_RDONLY);
    cleanup_fd int work = dir < 0 ? dir : vm_open(dir, "work.ext4", O_RDONLY);
    if (root < 0 || work < 0)
        return err_sys(e, root < 0 ? -root : -work, "cannot open the VM's disks in %s/vms/%03x", engine.state_path,
                       r->slot);
    const int fds[] = {root, to, work};
    return importer_run(rpc, &plan, fds, 3, "import", got, e);
}

int vm_disks_begin(const struct rpc *rpc, const struct vm_spec *spec, struct vm_record *r, struct vm_root *root,
                   struct err *e) {
    *root = VM_NO_ROOT;
    root->rpc = rpc;
    root->keep = spec->keep;
    cleanup_fd int base = open_base(spec, r, 0, e);
    if (base < 0)
        return base;
    cleanup_fd int dir = vm_folder_open(r->slot);
    cleanup_fd int work = dir < 0 ? dir : vm_open(dir, "work.ext4", O_RDWR | O_CREAT | O_TRUNC);
    if (work < 0)
        return err_sys(e, -work, "cannot make the VM's disks in %s/vms/%03x", engine.state_path, r->slot);
    const struct making m = {
        .r = r, .dir = dir, .base = base, .room = spec->root_room, .own = spec->given[0] < 0, .root = root};
    int rc = spec->root_size ? make_anew(rpc, &m, spec->root_size, e) : root_begin(r, spec->root, &m, e);
    if (spec->root_size)
        (void) snprintf(r->root_kind, sizeof(r->root_kind), "%s", vm_root_names[ROOT_COPY]);
    if (rc == 0)
        rc = work_make(rpc, spec, r, work, e);
    if (rc)
        vm_disks_abandon(root);
    return rc;
}
