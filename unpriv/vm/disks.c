#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../daemon/engine.h"
#include "../image/importer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK       (8 << 20) /* copied between two looks at the client */
#define PROGRESS_MS 100
#define SPACE_SPARE (64ll << 20) /* left free for the rest: work disk, console, database */
#define STACK       262144
#define MIB         (1ll << 20)

/* --- one sparse copy ----------------------------------------------------------------- */

struct copying {
    int from, to;
    const struct vm_copy *to_whom;
    int64_t done, total;
    long long reported;
};

/* Copies `size` bytes at `at`; where copy_file_range cannot, by hand. */
static int copy_range(const struct copying *c, off_t at, size_t size) {
    while (size > 0) {
        off_t in = at;
        off_t out = at;
        ssize_t n = copy_file_range(c->from, &in, c->to, &out, size, 0);
        if (n < 0 && (errno == EXDEV || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL)) {
            char buffer[65536];
            n = pread(c->from, buffer, size < sizeof(buffer) ? size : sizeof(buffer), at);
            if (n > 0)
                n = pwrite(c->to, buffer, (size_t) n, at);
        }
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
        if (n > 0) {
            at += n;
            size -= (size_t) n;
        }
    }
    return 0;
}

static int copy_chunk(struct copying *c, off_t at, size_t size) {
    if (c->to_whom->cancelled && c->to_whom->cancelled(c->to_whom->arg))
        return -ECANCELED;
    int r = copy_range(c, at, size);
    c->done += (int64_t) size;
    long long now = io_now_ms();
    if (r == 0 && c->to_whom->progress && now - c->reported >= PROGRESS_MS) {
        c->to_whom->progress(c->to_whom->arg, c->done < c->total ? c->done : c->total, c->total);
        c->reported = now;
    }
    return r;
}

/* Copies the stretches that hold data; what is between them stays a hole. */
static int copy_data(struct copying *c) {
    off_t end = 0;
    for (;;) {
        off_t at = lseek(c->from, end, SEEK_DATA);
        if (at < 0)
            return errno == ENXIO ? 0 : -errno;
        end = lseek(c->from, at, SEEK_HOLE);
        if (end < 0)
            return -errno;
        while (at < end) {
            size_t size = end - at < CHUNK ? (size_t) (end - at) : CHUNK;
            int r = copy_chunk(c, at, size);
            if (r)
                return r;
            at += (off_t) size;
        }
    }
}

static int space_check(int to, int64_t need, struct err *e) {
    struct statvfs fs;
    if (fstatvfs(to, &fs))
        return err_sys(e, errno, "cannot look at the free disk space");
    int64_t free_bytes = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize;
    if (free_bytes >= need + SPACE_SPARE)
        return 0;
    return err_set(e, ENOSPC,
                   "not enough disk space: the VM's root disk takes %lld MiB and %lld MiB are free in %s; "
                   "`banger vm delete` and `banger image delete` make room",
                   (long long) ((need + SPACE_SPARE) / MIB), (long long) (free_bytes / MIB), engine.state_path);
}

int vm_disk_clone(int from, int to, const struct vm_copy *copy, struct err *e) {
    if (ioctl(to, FICLONE, from) == 0)
        return 1;
    struct stat st;
    if (fstat(from, &st))
        return err_sys(e, errno, "cannot look at the image");
    int r = space_check(to, (int64_t) st.st_blocks * 512, e);
    if (r)
        return r;
    struct copying c = {.from = from, .to = to, .to_whom = copy, .total = (int64_t) st.st_blocks * 512};
    c.reported = io_now_ms();
    if (ftruncate(to, st.st_size))
        return err_sys(e, errno, "cannot make a disk of %lld MiB", (long long) (st.st_size / MIB));
    r = copy_data(&c);
    if (r == -ECANCELED)
        return err_set(e, ECANCELED, "copying the root disk was cancelled");
    if (r == -ENOSPC)
        return err_set(e, ENOSPC,
                       "the disk became full while the root disk was copied; `banger vm delete` and "
                       "`banger image delete` make room");
    return r ? err_sys(e, -r, "copying the root disk") : 0;
}

/* --- both disks of a VM, at the same time ---------------------------------------------- */

static void root_progress(void *arg, int64_t done, int64_t total) {
    const struct vm_copying *copying = arg;
    rpc_progress(copying->rpc, "disk", "copying the root disk", done, total);
}

static int root_cancelled(void *arg) {
    const struct vm_copying *copying = arg;
    return copying->stop || rpc_gone(copying->rpc);
}

static void *root_copy(void *arg) {
    struct vm_copying *copying = arg;
    struct vm_copy copy = {.progress = root_progress, .cancelled = root_cancelled, .arg = copying};
    copying->result = vm_disk_clone(copying->from, copying->to, &copy, &copying->e);
    return NULL;
}

static int open_image(const struct vm_record *r, struct err *e) {
    char path[64];
    (void) snprintf(path, sizeof(path), "images/%s/rootfs.ext4", r->image);
    int fd = vm_open(engine.state, path, O_RDONLY);
    if (fd < 0)
        return err_set(e, -fd, "cannot open the image's file %s/%s (%s): delete the image and pull it again",
                       engine.state_path, path, strerror(-fd));
    return fd;
}

/* With an image descriptor of its own: the root disk's copy seeks in the other. */
static int work_make(const struct rpc *rpc, const struct vm_record *r, int work, int tar, struct err *e) {
    struct import_plan plan = {.mode = IMPORT_WORK, .size = (uint64_t) r->disk};
    struct import_result result;
    cleanup_fd int base = open_image(r, e);
    if (base < 0)
        return base;
    const int fds[3] = {base, work, tar};
    plan.flags = tar >= 0 ? IMPORT_HAS_TAR : 0;
    int rc = importer_run(rpc, &plan, fds, tar >= 0 ? 3 : 2, "disk", &result, e);
    if (rc)
        (void) err_prefix(e, "making the work disk");
    return rc;
}

/* Takes both descriptors. The size is there on return: the VMM may have the disk. */
static int root_begin(struct vm_record *r, int from, int to, struct vm_copying *copying, struct err *e) {
    struct stat st;
    copying->from = from;
    copying->to = to;
    int reflink = ioctl(to, FICLONE, from) == 0;
    (void) snprintf(r->root_kind, sizeof(r->root_kind), "%s", reflink ? "reflink" : "copy");
    if (!reflink && (fstat(from, &st) || ftruncate(to, st.st_size))) {
        int code = errno;
        return err_sys(e, code, "cannot make the root disk");
    }
    pthread_attr_t attr;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, STACK);
    int rc = reflink ? 0 : -pthread_create(&copying->thread, &attr, root_copy, copying);
    (void) pthread_attr_destroy(&attr);
    if (rc || reflink) {
        fdpass_close(&copying->from, 1);
        fdpass_close(&copying->to, 1);
    }
    return rc ? err_sys(e, -rc, "cannot start a thread for the root disk") : 0;
}

int vm_disks_wait(struct vm_copying *copying, struct err *e) {
    if (copying->to >= 0) {
        (void) pthread_join(copying->thread, NULL);
        fdpass_close(&copying->from, 1);
        fdpass_close(&copying->to, 1);
    }
    if (copying->result < 0 && e)
        *e = copying->e;
    return copying->result < 0 ? copying->result : 0;
}

void vm_disks_abandon(struct vm_copying *copying) {
    copying->stop = 1;
    (void) vm_disks_wait(copying, NULL);
}

int vm_disks_begin(const struct rpc *rpc, struct vm_record *r, int tar, struct vm_copying *copying, struct err *e) {
    *copying = VM_NOT_COPYING;
    copying->rpc = rpc;
    cleanup_fd int base = open_image(r, e);
    if (base < 0)
        return base;
    cleanup_fd int dir = vm_folder_open(r->slot);
    cleanup_fd int root = dir < 0 ? dir : vm_open(dir, "root.ext4", O_RDWR | O_CREAT | O_TRUNC);
    cleanup_fd int work = root < 0 ? root : vm_open(dir, "work.ext4", O_RDWR | O_CREAT | O_TRUNC);
    if (work < 0)
        return err_sys(e, -work, "cannot make the VM's disks in %s/vms/%03x", engine.state_path, r->slot);
    int rc = root_begin(r, take_fd(&base), take_fd(&root), copying, e);
    if (rc == 0)
        rc = work_make(rpc, r, work, tar, e);
    if (rc)
        vm_disks_abandon(copying);
    return rc;
}
