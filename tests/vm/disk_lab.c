#include "disk_lab.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PLACE     "/var/tmp/banger-disk"
#define ELSEWHERE "/run/banger-disk"
#define BLOCK     4096u
#define GONE_MS   2000

static int passed, failed;
static char said[128] = "nothing asked";

void check(int good, const char *format, ...) {
    va_list args;
    printf(good ? "ok " : "not ok ");
    va_start(args, format);
    (void) vprintf(format, args);
    va_end(args);
    printf("\n");
    (void) fflush(stdout);
    good ? passed++ : failed++;
}

int disk_summary(void) {
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed != 0;
}

static void nap(void) {
    (void) poll(NULL, 0, 5);
}

/* --- world ---------------------------------------------------------------------------- */

void disk_world(void) {
    struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    if (access("/dev/log", F_OK)) { /* no syslog runs here: the helper's records end in ours */
        int log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), tiny = 1;
        (void) setsockopt(log, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny));
        if (bind(log, (struct sockaddr *) &where, sizeof(where)) || chmod("/dev/log", 0666))
            exit(2);
        if (fork() == 0) {
            char line[1024];
            while (getppid() != 1 && recv(log, line, sizeof(line), 0) >= 0)
                ;
            _exit(0);
        }
        close(log);
    }
    lab_policy("allow gid 61999\npool 172.16.0.0/12 61000\nslots 8\nnat yes\nuplink default\nvmm x /bin/true /usr\n"
               "disk-max 64\n");
    umask(077);
}

static void unmount(const char *where) {
    while (umount2(where, MNT_DETACH) == 0)
        ;
}

void disk_place(const char *kind) {
    unmount(PLACE);
    lab_sh("losetup -j " PLACE ".img | cut -d: -f1 | xargs -r losetup -d; rm -rf " PLACE " " PLACE ".img");
    if (!kind)
        return;
    lab_sh("mkdir -m 0755 " PLACE);
    if (strcmp(kind, "tmpfs") == 0)
        lab_sh("mount -t tmpfs -o mode=0755,size=200m tmpfs " PLACE);
    else
        lab_sh("truncate -s 200M " PLACE ".img && mke2fs -q -t ext4 " PLACE ".img && mount -o loop " PLACE
               ".img " PLACE);
    lab_sh("for u in %d %d; do mkdir -m 0700 " PLACE "/$u && chown $u:$u " PLACE "/$u; done", ALICE, BOB);
}

static char *path_of(uid_t uid, const char *name) {
    static char path[128];
    (void) snprintf(path, sizeof(path), PLACE "/%u/%s", uid, name);
    return path;
}

int disk_open(uid_t uid, const char *name, int flags) {
    return open(path_of(uid, name), flags | O_CLOEXEC);
}

int disk_file(uid_t uid, const char *name, uint64_t size, uint64_t reserved, int flags) {
    int fd = disk_open(uid, name, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0 || fchown(fd, uid, uid) || ftruncate(fd, (off_t) size) ||
        (reserved && fallocate(fd, 0, 0, (off_t) reserved)))
        exit(2);
    close(fd);
    return disk_open(uid, name, flags);
}

int disk_elsewhere(uid_t uid, const char *type, uint64_t size, int flags) {
    lab_sh("mkdir -p " ELSEWHERE " && mount -t %s -o mode=0755 x " ELSEWHERE " && head -c %llu /dev/zero >" ELSEWHERE
           "/f && chown %u " ELSEWHERE "/f",
           type, (unsigned long long) size, uid);
    int fd = open(ELSEWHERE "/f", flags | O_CLOEXEC);
    unmount(ELSEWHERE);
    return fd;
}

int disk_device(int flags) {
    if (mknod(PLACE "/device", S_IFBLK | 0600, makedev(7, 0)) && errno != EEXIST)
        return -1;
    int fd = open(PLACE "/device", flags | O_CLOEXEC);
    unlink(PLACE "/device");
    return fd;
}

struct disk disk_make(uid_t uid, const char *name, uint64_t size) {
    struct disk d = {.uid = uid, .size = size};
    char file[64];
    (void) snprintf(d.name, sizeof(d.name), "%s", name);
    (void) snprintf(file, sizeof(file), "%s.base", name);
    d.base = disk_file(uid, file, size, 0, O_RDWR);
    if (!disk_fill(d.base, 0, size, 'B'))
        exit(2);
    close(d.base);
    d.base = disk_open(uid, file, O_RDONLY);
    (void) snprintf(file, sizeof(file), "%s.overlay", name);
    d.overlay = disk_file(uid, file, wire_snap_overlay(size), wire_snap_overlay(size), O_RDWR);
    return d;
}

void disk_drop(struct disk *d) {
    char file[64];
    close(d->base);
    close(d->overlay);
    (void) snprintf(file, sizeof(file), "%s.base", d->name);
    unlink(path_of(d->uid, file));
    (void) snprintf(file, sizeof(file), "%s.overlay", d->name);
    unlink(path_of(d->uid, file));
}

int disk_truncate(struct disk *d) {
    char file[64];
    (void) snprintf(file, sizeof(file), "%s.base", d->name);
    int r = truncate(path_of(d->uid, file), 0);
    lab_sh("echo 3 > /proc/sys/vm/drop_caches");
    return r;
}

/* --- the helper ------------------------------------------------------------------------ */

static int ask(int sock, uint32_t op, uint32_t slot, const struct disk *d) {
    struct wire_request rq = {.version = WIRE_VERSION, .size = sizeof(rq), .op = op, .op_id = 7, .slot = slot};
    int fds[SNAP_FDS] = {[SNAP_BASE] = d ? d->base : -1, [SNAP_OVERLAY] = d ? d->overlay : -1};
    return fdpass_send(sock, &rq, sizeof(rq), fds, d ? SNAP_FDS : 0);
}

static int answer(int sock, struct wire_reply *reply, int *fd) {
    size_t count = 0;
    *fd = -1;
    if (io_wait(sock, POLLIN, 20000) || fdpass_recv(sock, reply, sizeof(*reply), fd, 1, &count) != sizeof(*reply)) {
        (void) snprintf(said, sizeof(said), "the worker went");
        return -1;
    }
    uint32_t detail = reply->verdict == WIRE_DENIED ? reply->reason : (uint32_t) reply->error;
    (void) snprintf(said, sizeof(said), "%s %u, step %u",
                    reply->verdict == WIRE_DONE     ? "done"
                    : reply->verdict == WIRE_DENIED ? "denied"
                                                    : "failed",
                    detail, reply->step);
    return (int) (reply->verdict * 1000 + detail);
}

static int call(struct lab_helper *h, uint32_t op, uint32_t slot, const struct disk *d, struct wire_reply *reply,
                int *fd) {
    if (ask(h->disk, op, slot, d)) {
        (void) snprintf(said, sizeof(said), "the worker went");
        return -1;
    }
    return answer(h->disk, reply, fd);
}

int disk_ask(struct lab_helper *h, uint32_t op, uint32_t slot, const struct disk *d) {
    struct wire_reply reply;
    int fd, r = call(h, op, slot, d, &reply, &fd);
    if (fd >= 0)
        close(fd);
    return r;
}

int disk_up(struct lab_helper *h, uint32_t slot, const struct disk *d) {
    struct wire_reply reply;
    int fd;
    return call(h, WIRE_SNAP_UP, slot, d, &reply, &fd) ? -1 : fd;
}

const char *disk_said(void) {
    return said;
}

uint64_t disk_slots(struct lab_helper *h) {
    struct wire_reply reply;
    int fd;
    return call(h, WIRE_SNAP_LIST, 0, NULL, &reply, &fd) ? ~0ull : reply.slots[0];
}

/* The helper forks its workers in the order of their numbers. */
pid_t disk_worker(struct lab_helper *h) {
    char path[64];
    int pids[WIRE_WORKERS] = {0};
    (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", h->pid, h->pid);
    for (int i = 0; i < 2000 && !pids[WIRE_WORKERS - 1]; i++) {
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%d %d %d", &pids[0], &pids[1], &pids[2]) != WIRE_WORKERS)
            pids[WIRE_WORKERS - 1] = 0;
        if (f)
            (void) fclose(f);
        if (!pids[WIRE_WORKERS - 1])
            nap();
    }
    return pids[WIRE_DISK];
}

/* Whether the stopped worker is before a call that changes something: not what reads, nor
 * a capability's raising and lowering. */
static int is_before_change(pid_t worker) {
    struct __ptrace_syscall_info info = {0};
    return ptrace(PTRACE_GET_SYSCALL_INFO, worker, sizeof(info), &info) > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
           info.entry.nr != SYS_capget && info.entry.nr != SYS_capset && info.entry.nr != SYS_newfstatat &&
           info.entry.nr != SYS_fcntl && info.entry.nr != SYS_getsockopt;
}

int disk_kill_at(struct lab_helper *h, uint32_t slot, const struct disk *d, int step) {
    struct wire_reply reply;
    int fd, status, killed = 0;
    if (disk_ask(h, WIRE_SNAP_LIST, 0, NULL)) /* it is past its start */
        return 0;
    pid_t worker = disk_worker(h);
    if (ptrace(PTRACE_SEIZE, worker, 0, PTRACE_O_TRACESYSGOOD) || ptrace(PTRACE_INTERRUPT, worker, 0, 0) ||
        waitpid(worker, &status, __WALL) != worker || ask(h->disk, WIRE_SNAP_UP, slot, d))
        return 0;
    for (int count = 0; !killed;) {
        if (ptrace(PTRACE_SYSCALL, worker, 0, 0) || waitpid(worker, &status, __WALL) != worker || !WIFSTOPPED(status))
            break;
        count += is_before_change(worker);
        killed = count == step;
        struct pollfd done = {.fd = h->disk, .events = POLLIN};
        if (!killed && poll(&done, 1, 0) == 1)
            break;
    }
    (void) kill(worker, SIGKILL);
    (void) waitpid(worker, &status, __WALL);
    if (!killed && answer(h->disk, &reply, &fd) >= 0 && fd >= 0)
        close(fd);
    lab_end(h);
    return killed;
}

/* --- the kernel's side -------------------------------------------------------------------- */

static int read_line(const char *path, char *line, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : io_read_some(fd, line, size - 1);
    if (fd >= 0)
        close(fd);
    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return n > 0;
}

/* Block devices whose attribute is (or, for `part`, has) `text`. */
static int count_devices(const char *attribute, const char *text, int part) {
    int count = 0;
    DIR *dir = opendir("/sys/block");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[512], line[512];
        (void) snprintf(path, sizeof(path), "/sys/block/%s/%s", e->d_name, attribute);
        if (read_line(path, line, sizeof(line)))
            count += part ? strstr(line, text) != NULL : strcmp(line, text) == 0;
    }
    if (dir)
        (void) closedir(dir);
    return count;
}

static const char *name_of(uid_t uid, uint32_t slot) {
    static char name[64];
    (void) snprintf(name, sizeof(name), "banger-%08x-%03x", uid, slot);
    return name;
}

static int line_of(const char *format, const char *name, char *line, size_t size) {
    char command[128];
    (void) snprintf(command, sizeof(command), format, name);
    FILE *f = popen(command, "re");
    line[0] = '\0';
    if (!f)
        return 0;
    if (!fgets(line, (int) size, f))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return pclose(f) == 0;
}

/* One without a table is not in /sys. */
int disk_exists(uid_t uid, uint32_t slot) {
    char line[128];
    return line_of("dmsetup info -c --noheadings -o name %s 2>&1", name_of(uid, slot), line, sizeof(line)) &&
           strcmp(line, name_of(uid, slot)) == 0;
}

int disk_loops(void) {
    return count_devices("loop/backing_file", "/61", 1);
}

int disk_gone(uid_t uid, uint32_t slot) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/%u/", uid);
    for (long long end = io_now_ms() + GONE_MS; io_now_ms() < end; nap()) {
        if (!disk_exists(uid, slot) && count_devices("loop/backing_file", path, 1) == 0)
            return 1;
    }
    return 0;
}

int disk_settle(void) {
    for (int last = -1, now = -2, i = 0; i < 100 && (now != last || i < 4); i++) {
        last = now;
        (void) poll(NULL, 0, 20);
        now = disk_loops() * 100 + count_devices("dm/name", "banger-", 1);
    }
    return 1;
}

int disk_empty(uid_t uid, uint32_t slot) {
    char line[128];
    return line_of("dmsetup info -c --noheadings -o attr %s", name_of(uid, slot), line, sizeof(line)) && line[0] == '-';
}

const char *disk_status(uid_t uid, uint32_t slot) {
    static char line[256];
    (void) line_of("dmsetup status %s 2>&1", name_of(uid, slot), line, sizeof(line));
    return line;
}

int disk_valid(uid_t uid, uint32_t slot) {
    const char *words = strstr(disk_status(uid, slot), " snapshot ");
    unsigned long long used, all, metadata;
    return words && sscanf(words, " snapshot %llu/%llu %llu", &used, &all, &metadata) == 3 && used <= all;
}

int disk_no_access(uid_t uid, dev_t dev) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/dev/dm-%u", minor(dev));
    pid_t pid = fork();
    if (pid == 0) {
        if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
            _exit(2);
        _exit(open(path, O_RDONLY | O_CLOEXEC) < 0 && (errno == EACCES || errno == ENOENT) ? 0 : 1);
    }
    int status;
    return waitpid(pid, &status, 0) == pid && status == 0;
}

/* --- contents --------------------------------------------------------------------------------- */

static unsigned char block[BLOCK];

uint64_t disk_sum(int fd) {
    uint64_t sum = 14695981039346656037ull; /* FNV-1a */
    (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ssize_t n;
    for (off_t at = 0; (n = pread(fd, block, BLOCK, at)) > 0; at += n) {
        for (ssize_t i = 0; i < n; i++)
            sum = (sum ^ block[i]) * 1099511628211ull;
    }
    return n < 0 ? 0 : sum;
}

int disk_fill(int fd, uint64_t at, uint64_t size, char c) {
    memset(block, c, BLOCK);
    for (uint64_t done = 0; done < size;) {
        size_t part = size - done < BLOCK ? (size_t) (size - done) : BLOCK;
        if (pwrite(fd, block, part, (off_t) (at + done)) != (ssize_t) part)
            return 0;
        done += part;
    }
    return 1;
}

int disk_is(int fd, uint64_t at, uint64_t size, char c) {
    (void) fsync(fd);
    (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    for (uint64_t done = 0; done < size;) {
        size_t part = size - done < BLOCK ? (size_t) (size - done) : BLOCK;
        if (pread(fd, block, part, (off_t) (at + done)) != (ssize_t) part || block[0] != (unsigned char) c ||
            memcmp(block, block + 1, part - 1) != 0)
            return 0;
        done += part;
    }
    return 1;
}

int disk_reads(int fd, uint64_t at) {
    (void) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return pread(fd, block, BLOCK, (off_t) at) == (ssize_t) BLOCK;
}

int disk_scatter(int fd, uint64_t size, char c) {
    for (uint64_t first = 0; first < 7; first++) {
        for (uint64_t at = first * BLOCK; at < size; at += 7ull * BLOCK) {
            if (!disk_fill(fd, at, BLOCK, c))
                return 0;
        }
    }
    return fsync(fd) == 0;
}

int disk_fill_host(void) {
    int fd = open(PLACE "/rest", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static char rest[65536];
    ssize_t n;
    for (size_t part = sizeof(rest); part >= 512; part /= 2) {
        while ((n = write(fd, rest, part)) > 0)
            ;
    }
    int full = errno == ENOSPC && fsync(fd) == 0;
    close(fd);
    return full;
}

void disk_free_host(void) {
    unlink(PLACE "/rest");
}

/* --- time ----------------------------------------------------------------------------------------- */

double disk_now(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

double disk_median(double *values, size_t count) {
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

int disk_by_hand(const struct disk *d) {
    char base[128], overlay[128], file[64];
    (void) snprintf(file, sizeof(file), "%s.base", d->name);
    (void) snprintf(base, sizeof(base), "%s", path_of(d->uid, file));
    (void) snprintf(file, sizeof(file), "%s.overlay", d->name);
    (void) snprintf(overlay, sizeof(overlay), "%s", path_of(d->uid, file));
    return lab_try("b=$(losetup -r -f --show %s) && o=$(losetup --direct-io=on -f --show %s) && "
                   "dmsetup create by-hand --table \"0 %llu snapshot $b $o P 8\"",
                   base, overlay, (unsigned long long) d->size / 512);
}

int disk_by_hand_gone(void) {
    /* udev may look into what has just been made. */
    return lab_try("dmsetup remove --retry by-hand && losetup -j " PLACE " >/dev/null; for l in $(losetup -l -n -O "
                   "NAME,BACK-FILE | grep '/61' | cut -d' ' -f1); do losetup -d $l; done");
}
