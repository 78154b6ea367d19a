/* A root disk as a dm-snapshot: the image, unchanged, under an overlay of the VM's
 * own. The kernel's device lives from the VM's start to its VMM's end. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/wire.h"
#include "../daemon/engine.h"
#include "../priv/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB     (1ll << 20)
#define GONE_MS 10000 /* the last run's device goes soon after its VMM, in the kernel's own time */
#define NAP     20000 /* microseconds */

static int reserve(int fd, int64_t size, struct err *e) {
    int r;
    do {
        r = fallocate(fd, 0, 0, size) ? -errno : 0;
    } while (r == -EINTR);
    if (r == -ENOSPC || r == -EDQUOT)
        return err_set(e, -r,
                       "the snapshot's overlay takes %lld MiB, as much as the image, and %s has not so many free: "
                       "`banger vm delete` makes room, `--root-disk copy` takes less",
                       (long long) (size / MIB), engine.state_path);
    return r ? err_sys(e, -r, "cannot reserve the snapshot's overlay in %s", engine.state_path) : 0;
}

int vm_overlay_make(int dir, int base, struct err *e) {
    struct stat st;
    if (fstat(base, &st))
        return err_sys(e, errno, "cannot look at the image");
    int64_t size = (int64_t) wire_snap_overlay((uint64_t) st.st_size);
    cleanup_fd int fd = vm_open(dir, VM_OVERLAY, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return err_sys(e, -fd, "cannot make the snapshot's overlay");
    int r = copy_space_check(fd, size, e);
    if (r == 0)
        r = reserve(fd, size, e);
    if (r) {
        (void) unlinkat(dir, VM_OVERLAY, 0);
        return r;
    }
    return take_fd(&fd);
}

int vm_snapshot_up(uint64_t op, uint32_t slot, int base, int overlay, struct err *e) {
    long long deadline = io_now_ms() + GONE_MS;
    for (;;) {
        int fd = priv_snap_up(op, slot, base, overlay, e);
        if ((fd != -EEXIST && fd != -EBUSY) || io_now_ms() >= deadline)
            return fd;
        (void) usleep(NAP);
    }
}

int vm_snapshot_open(uint64_t op, const struct vm_record *r, struct err *e) {
    cleanup_fd int base = vm_image_open(r, e);
    if (base < 0)
        return base;
    cleanup_fd int dir = vm_folder_open(r->slot);
    cleanup_fd int overlay = dir < 0 ? dir : vm_open(dir, VM_OVERLAY, O_RDWR);
    if (overlay < 0)
        return err_sys(e, -overlay, "cannot open %s/vms/%03x/" VM_OVERLAY, engine.state_path, r->slot);
    return vm_snapshot_up(op, r->slot, base, overlay, e);
}

int vm_is_snapshot(const struct vm_record *r) {
    return strcmp(r->root_kind, vm_root_names[ROOT_SNAPSHOT]) == 0;
}
