#include "scratch.h"

#include "../../common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void) st;
    (void) type;
    (void) ftw;
    (void) remove(path);
    return 0;
}

void scratch_remove(const char *path, int lock) {
    (void) nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (lock >= 0)
        (void) close(lock);
}

/* The folder's descriptor when nobody has it locked, else -1. */
static int lock_folder(const char *path) {
    cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? take_fd(&fd) : -1;
}

static void sweep(const char *cache, const char *kind) {
    const size_t length = strlen(kind);
    DIR *list = opendir(cache);
    for (const struct dirent *entry; list && (entry = readdir(list));) {
        char path[PATH_MAX];
        if (strncmp(entry->d_name, kind, length) != 0 || entry->d_name[length] != '.' ||
            snprintf(path, sizeof(path), "%s/%s", cache, entry->d_name) >= PATH_MAX)
            continue;
        int lock = lock_folder(path);
        if (lock >= 0)
            scratch_remove(path, lock);
    }
    if (list)
        (void) closedir(list);
}

int scratch_make(const char *cache, const char *kind, char path[PATH_MAX], int *lock, struct err *e) {
    char made[PATH_MAX];
    if (snprintf(made, sizeof(made), "%s/%s.XXXXXX", cache, kind) >= PATH_MAX)
        return err_set(e, ENAMETOOLONG, "the path %s is too long", cache);
    /* One at a time: nobody sees a new one before it is locked. */
    cleanup_fd int guard = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (guard >= 0 && flock(guard, LOCK_EX) == 0)
        sweep(cache, kind);
    if (!mkdtemp(made))
        return err_sys(e, errno, "cannot make a folder in %s", cache);
    memcpy(path, made, sizeof(made));
    *lock = lock_folder(path);
    return 0;
}
