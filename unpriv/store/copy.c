#include "copy.h"

#include "../../common/io.h"
#include "../daemon/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK       (8 << 20) /* copied between two looks at the client */
#define PROGRESS_MS 100
#define SPACE_SPARE (64ll << 20) /* left free for the rest: work disk, console, database */
#define MIB         (1ll << 20)

struct copying {
    int from, to;
    const struct copy_how *how;
    int64_t done, total;
    long long reported;
};

/* One piece at `at`: bytes copied or a negative errno. copy_file_range may share
 * blocks instead of copying them. */
static ssize_t copy_piece(const struct copying *c, off_t at, size_t size) {
    off_t in = at;
    off_t out = at;
    ssize_t n = c->how->unshared ? -1 : copy_file_range(c->from, &in, c->to, &out, size, 0);
    if (c->how->unshared || (n < 0 && (errno == EXDEV || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL))) {
        char buffer[65536];
        n = pread(c->from, buffer, size < sizeof(buffer) ? size : sizeof(buffer), at);
        if (n > 0)
            n = pwrite(c->to, buffer, (size_t) n, at);
    }
    return n < 0 ? -errno : n;
}

static int copy_range(const struct copying *c, off_t at, size_t size) {
    while (size > 0) {
        ssize_t n = copy_piece(c, at, size);
        if (n == 0)
            return -EIO;
        if (n < 0 && n != -EINTR)
            return (int) n;
        if (n > 0) {
            at += n;
            size -= (size_t) n;
        }
    }
    return 0;
}

static int copy_chunk(struct copying *c, off_t at, size_t size) {
    if (c->how->cancelled && c->how->cancelled(c->how->arg))
        return -ECANCELED;
    int r = copy_range(c, at, size);
    c->done += (int64_t) size;
    long long now = io_now_ms();
    if (r == 0 && c->how->progress && now - c->reported >= PROGRESS_MS) {
        c->how->progress(c->how->arg, c->done < c->total ? c->done : c->total, c->total);
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

int copy_space_check(int fd, int64_t need, struct err *e) {
    struct statvfs fs;
    if (fstatvfs(fd, &fs))
        return err_sys(e, errno, "cannot look at the free disk space");
    int64_t free_bytes = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize;
    if (free_bytes >= need + SPACE_SPARE)
        return 0;
    return err_set(e, ENOSPC,
                   "not enough disk space: the disk takes %lld MiB and %lld MiB are free in %s; "
                   "`banger vm delete` and `banger image delete` make room",
                   (long long) ((need + SPACE_SPARE) / MIB), (long long) (free_bytes / MIB), engine.state_path);
}

int copy_disk(int from, int to, const struct copy_how *how, struct err *e) {
    struct stat st, there;
    if (fstat(from, &st) || fstat(to, &there))
        return err_sys(e, errno, "cannot look at the image");
    int r = copy_space_check(to, (int64_t) st.st_blocks * 512, e);
    if (r)
        return r;
    struct copying c = {.from = from, .to = to, .how = how, .total = (int64_t) st.st_blocks * 512};
    c.reported = io_now_ms();
    if (there.st_size < st.st_size && ftruncate(to, st.st_size))
        return err_sys(e, errno, "cannot make a disk of %lld MiB", (long long) (st.st_size / MIB));
    r = copy_data(&c);
    if (r == -ECANCELED)
        return err_set(e, ECANCELED, "copying the disk was cancelled");
    if (r == -ENOSPC)
        return err_set(e, ENOSPC,
                       "the disk became full while it was copied; `banger vm delete` and "
                       "`banger image delete` make room");
    return r ? err_sys(e, -r, "copying the disk") : 0;
}
