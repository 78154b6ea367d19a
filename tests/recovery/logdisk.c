/* A disk whose writes are logged: a file system of one file (FUSE, its kernel interface alone), on
 * which the kernel's loop driver makes a block device. What a program's fsync(2) comes to arrives
 * here as a flush.
 *
 *   logdisk BACKING LOG MOUNTPOINT       MOUNTPOINT: a file; ends when it is unmounted
 *
 * The file is BACKING's owner's. LOG gets a struct entry for each write (with its bytes behind it) and each flush, in
 * the order of their arrival. Nothing is acknowledged before it is in the log. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITE_MAX (1u << 20)
#define ID        FUSE_ROOT_ID

struct entry { /* read by powercut.py */
    uint64_t flush, offset, length;
};

static int device, backing, to_log;
static union {
    unsigned char bytes[WRITE_MAX + 65536];
    struct fuse_in_header header;
} in;
static unsigned char data[WRITE_MAX];

static void reply(int error, const void *answer, size_t size) {
    struct fuse_out_header out = {.len = (uint32_t) (sizeof(out) + size), .error = -error, .unique = in.header.unique};
    struct iovec parts[] = {{&out, sizeof(out)}, {(void *) answer, size}};
    (void) !writev(device, parts, size ? 2 : 1);
}

static void keep(struct entry entry, const void *bytes) {
    struct iovec parts[] = {{&entry, sizeof(entry)}, {(void *) bytes, entry.length}};
    if (writev(to_log, parts, 2) != (ssize_t) (sizeof(entry) + entry.length))
        exit(3);
}

static void attributes(void) {
    struct stat st;
    struct fuse_attr_out out = {.attr_valid = 3600};
    (void) fstat(backing, &st);
    out.attr = (struct fuse_attr){.ino = ID,
                                  .size = (uint64_t) st.st_size,
                                  .mode = S_IFREG | 0600,
                                  .nlink = 1,
                                  .uid = st.st_uid,
                                  .gid = st.st_gid,
                                  .blksize = 4096};
    reply(0, &out, sizeof(out));
}

static void take_write(const struct fuse_write_in *w, const void *bytes) {
    struct fuse_write_out out = {.size = w->size};
    if (pwrite(backing, bytes, w->size, (off_t) w->offset) != (ssize_t) w->size)
        exit(4);
    keep((struct entry){0, w->offset, w->size}, bytes);
    reply(0, &out, sizeof(out));
}

static void give(const struct fuse_read_in *r) {
    ssize_t n = pread(backing, data, r->size < WRITE_MAX ? r->size : WRITE_MAX, (off_t) r->offset);
    reply(n < 0 ? errno : 0, data, n < 0 ? 0 : (size_t) n);
}

static void serve(void) {
    const void *body = in.bytes + sizeof(in.header);
    const struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                       .minor = FUSE_KERNEL_MINOR_VERSION,
                                       .max_readahead = 131072,
                                       .flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES,
                                       .max_write = WRITE_MAX,
                                       .max_pages = WRITE_MAX / 4096};
    const struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
    const struct fuse_statfs_out fs = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
    switch (in.header.opcode) {
    case FUSE_INIT:
        reply(0, &init, sizeof(init));
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        attributes();
        break;
    case FUSE_OPEN:
        reply(0, &opened, sizeof(opened));
        break;
    case FUSE_READ:
        give(body);
        break;
    case FUSE_WRITE:
        take_write(body, (const unsigned char *) body + sizeof(struct fuse_write_in));
        break;
    case FUSE_FSYNC:
        keep((struct entry){1, 0, 0}, NULL);
        reply(0, NULL, 0);
        break;
    case FUSE_STATFS:
        reply(0, &fs, sizeof(fs));
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        reply(0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        reply(ENOSYS, NULL, 0);
    }
}

int main(int argc, char **argv) {
    char options[200];
    if (argc != 4)
        return 2;
    backing = open(argv[1], O_RDWR | O_CLOEXEC);
    to_log = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    (void) setsid();
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    (void) snprintf(options, sizeof(options), "fd=%d,rootmode=100600,user_id=0,group_id=0,allow_other", device);
    if (backing < 0 || to_log < 0 || device < 0 || mount("logdisk", argv[3], "fuse", MS_NOSUID | MS_NODEV, options)) {
        perror("logdisk");
        return 1;
    }
    if (fork() > 0)
        _exit(0);
    (void) close_range(0, 2, 0); /* a pipe to whoever waits for its end, say */
    for (;;) {
        ssize_t n = read(device, in.bytes, sizeof(in.bytes));
        if (n > 0)
            serve();
        else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
            return errno == ENODEV ? 0 : 5;
    }
}
