#include "internal.h"

#include "../../common/cleanup.h"
#include "../daemon/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64 /* of folders the VMM could have made below jail/ */
#define TAIL_SIZE 4096

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

/* Removes `name` in `dir`, whatever it is. What lies below jail/ may be hostile:
 * no link is followed, the depth is bounded. */
static int remove_tree(int dir, const char *name, int depth) { // NOLINT(misc-no-recursion)
    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return -errno;
    int fd = vm_open(dir, name, O_RDONLY | O_DIRECTORY);
    if (fd == -EACCES && fchmodat(dir, name, 0700, 0) == 0)
        fd = vm_open(dir, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    DIR *list = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
    if (!list) {
        (void) close(fd);
        return -ELOOP;
    }
    int r = 0;
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(list))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = remove_tree(fd, entry->d_name, depth + 1);
    }
    (void) closedir(list);
    if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT)
        r = -errno;
    return r;
}

int vm_folder_remove(uint32_t slot, struct err *e) {
    char path[16];
    slot_path(path, slot);
    int r = remove_tree(engine.state, path, 0);
    return r ? err_sys(e, -r, "cannot remove %s/%s", engine.state_path, path) : 0;
}

int vm_folder_make(uint32_t slot, struct err *e) {
    char path[16];
    slot_path(path, slot);
    int r = vm_folder_remove(slot, e);
    if (r)
        return r;
    if (mkdirat(engine.state, "vms", 0700) && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s/vms", engine.state_path);
    if (mkdirat(engine.state, path, 0700))
        return err_sys(e, errno, "cannot make %s/%s", engine.state_path, path);
    cleanup_fd int dir = vm_folder_open(slot);
    if (dir < 0 || mkdirat(dir, "jail", 0700))
        return err_sys(e, errno, "cannot make %s/%s/jail", engine.state_path, path);
    return 0;
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
        char *end;
        unsigned long slot = strtoul(entry->d_name, &end, 16);
        if (strlen(entry->d_name) == 3 && *end == 0 && slot < SLOT_MAX)
            each((uint32_t) slot, arg);
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
