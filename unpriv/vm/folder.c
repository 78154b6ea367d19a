#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/log.h"
#include "../daemon/engine.h"
#include "../store/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_SIZE     4096
#define GONE_SIZE     32
#define REMOVER_STACK 131072
#define EXTENTS       64 /* asked for at once */

static void slot_path(char path[16], uint32_t slot) {
    (void) snprintf(path, 16, "vms/%03x", slot & 0xfffu);
}

int vm_open(int dir, const char *path, int flags) {
    int fd = openat(dir, path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

int vm_folder_open(uint32_t slot) {
    char path[16];
    slot_path(path, slot);
    return vm_open(engine.state, path, O_PATH | O_DIRECTORY);
}

static void *remove_gone(void *arg) {
    char *name = arg;
    int r = folder_remove(engine.state, name);
    if (r)
        log_error(0, "cannot remove %s/%s: %s; the next start of the daemon tries again", engine.state_path, name,
                  strerror(-r));
    free(name);
    return NULL;
}

/* Removes it in a thread of its own; without one, at once. */
static void remove_aside(char *name) {
    pthread_t thread;
    pthread_attr_t attr;
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, REMOVER_STACK);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, remove_gone, name))
        (void) remove_gone(name);
    (void) pthread_attr_destroy(&attr);
}

/* By another name it is gone at once; giving back a root disk's blocks takes the
 * file system 50 to 100 ms, off the reply's path. */
int vm_folder_remove(uint32_t slot, struct err *e) {
    char path[16];
    char id[17];
    slot_path(path, slot);
    vm_id_random(id);
    char *gone = malloc(GONE_SIZE);
    if (!gone)
        return err_set(e, ENOMEM, "out of memory");
    (void) snprintf(gone, GONE_SIZE, "vms/.gone-%s", id);
    if (renameat(engine.state, path, engine.state, gone) == 0) {
        remove_aside(gone);
        return 0;
    }
    int code = errno;
    free(gone);
    return code == ENOENT ? 0 : err_sys(e, code, "cannot remove %s/%s", engine.state_path, path);
}

int vm_folder_mark(uint32_t slot, struct err *e) {
    char path[16];
    slot_path(path, slot);
    if (mkdirat(engine.state, "vms", 0700) && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s/vms", engine.state_path);
    if (mkdirat(engine.state, path, 0700))
        return err_sys(e, errno, "cannot make %s/%s", engine.state_path, path);
    return 0;
}

int vm_folder_unmark(uint32_t slot) {
    char path[16];
    slot_path(path, slot);
    return unlinkat(engine.state, path, AT_REMOVEDIR) ? -errno : 0;
}

int vm_folder_is_mark(uint32_t slot) {
    char path[16];
    slot_path(path, slot);
    int fd = vm_open(engine.state, path, O_RDONLY | O_DIRECTORY);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    int entries = 0;
    while (list && readdir(list))
        entries++;
    if (list)
        (void) closedir(list);
    else if (fd >= 0)
        (void) close(fd);
    return entries == 2; /* . and .. */
}

int vm_folder_make(uint32_t slot, struct err *e) {
    int r = vm_folder_unmark(slot) ? vm_folder_remove(slot, e) : 0;
    if (r == 0)
        r = vm_folder_mark(slot, e);
    return r ? r : vm_folder_jail(slot, e);
}

int vm_folder_jail(uint32_t slot, struct err *e) {
    cleanup_fd int dir = vm_folder_open(slot);
    int r = dir < 0 ? dir : folder_remove(dir, "jail");
    if (r == 0 && mkdirat(dir, "jail", 0700))
        r = -errno;
    return r ? err_sys(e, -r, "cannot empty %s/vms/%03x/jail", engine.state_path, slot) : 0;
}

/* Bytes of extents that are not the file's alone (Documentation/filesystems/fiemap.rst). */
static int64_t shared_bytes(int fd) {
    union {
        struct fiemap map;
        char space[sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)];
    } look = {.map = {.fm_length = FIEMAP_MAX_OFFSET}};
    struct fiemap *map = &look.map;
    int64_t shared = 0;
    for (int last = 0; !last;) {
        map->fm_extent_count = EXTENTS;
        if (ioctl(fd, FS_IOC_FIEMAP, map) || map->fm_mapped_extents == 0 || map->fm_mapped_extents > EXTENTS)
            break;
        for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
            const struct fiemap_extent *x = &map->fm_extents[i];
            shared += x->fe_flags & FIEMAP_EXTENT_SHARED ? (int64_t) x->fe_length : 0;
            last = (x->fe_flags & FIEMAP_EXTENT_LAST) != 0;
            map->fm_start = x->fe_logical + x->fe_length;
        }
    }
    return shared;
}

int64_t vm_folder_size(uint32_t slot) {
    char path[16];
    int64_t size = 0;
    slot_path(path, slot);
    int fd = vm_open(engine.state, path, O_RDONLY | O_DIRECTORY);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    for (const struct dirent *entry; list && (entry = readdir(list));) {
        struct stat st;
        cleanup_fd int file = entry->d_type == DT_REG ? vm_open(fd, entry->d_name, O_RDONLY) : -1;
        if (file < 0 || fstat(file, &st))
            continue;
        int64_t own = (int64_t) st.st_blocks * 512 - shared_bytes(file);
        size += own > 0 ? own : 0;
    }
    if (list)
        (void) closedir(list);
    else if (fd >= 0)
        (void) close(fd);
    return size;
}

/* The slot a folder is named by; -1 for any other name. */
static long slot_of(const char *name) {
    char *end;
    unsigned long slot = strtoul(name, &end, 16);
    return strlen(name) == 3 && *end == 0 && slot < SLOT_MAX ? (long) slot : -1;
}

static int is_slot(const char *name, void *arg) {
    (void) arg;
    return slot_of(name) >= 0;
}

int vm_folders_sweep(void) {
    cleanup_fd int fd = vm_open(engine.state, "vms", O_RDONLY | O_DIRECTORY);
    int r = fd < 0 ? fd : folder_sweep(fd, is_slot, NULL);
    return r < 0 && r != -ENOENT ? r : 0;
}

int vm_folders(void (*each)(uint32_t slot, void *arg), void *arg) {
    int fd = vm_open(engine.state, "vms", O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    DIR *list = fdopendir(fd);
    if (!list) {
        (void) close(fd);
        return -ENOMEM;
    }
    const struct dirent *entry;
    while ((entry = readdir(list))) {
        if (is_slot(entry->d_name, NULL))
            each((uint32_t) slot_of(entry->d_name), arg);
    }
    (void) closedir(list);
    return 0;
}

int vm_status_lock(uint32_t slot) {
    cleanup_fd int dir = vm_folder_open(slot);
    if (dir < 0)
        return dir;
    cleanup_fd int fd = vm_open(dir, "status", O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return -errno;
    return take_fd(&fd);
}

void vm_last_line(uint32_t slot, const char *name, char *line, size_t size) {
    char tail[TAIL_SIZE + 1] = "";
    line[0] = 0;
    cleanup_fd int dir = vm_folder_open(slot);
    if (dir < 0)
        return;
    cleanup_fd int fd = vm_open(dir, name, O_RDONLY);
    if (fd < 0)
        return;
    off_t length = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, tail, TAIL_SIZE, length > TAIL_SIZE ? length - TAIL_SIZE : 0);
    for (ssize_t i = 0; i < n; i++) {
        if (tail[i] == 0)
            tail[i] = ' ';
    }
    char *rest = tail;
    for (char *part; (part = strsep(&rest, "\r\n"));) {
        if (part[strspn(part, " \t")] != 0)
            (void) snprintf(line, size, "%s", part);
    }
    text_sanitize(line);
}
