#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The kernel sets ctime, whatever changed, and nobody can set it back. */
static int unchanged(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

static int others_can_write(const struct stat *st) {
    return st->st_uid != 0 || (st->st_mode & (S_IWGRP | S_IWOTH));
}

/* Whether only root can change the folder whose path ends at `end`; one that is not there
 * nobody else can make. */
static int folder_safe(const char *path, const char *end) {
    char folder[POLICY_PATH_SIZE];
    struct stat st;
    (void) snprintf(folder, sizeof(folder), "/%.*s", end > path ? (int) (end - path) - 1 : 0, path + 1);
    if (lstat(folder, &st))
        return errno == ENOENT;
    return !others_can_write(&st); /* a link's mode says that all can */
}

int policy_folders_safe(const char *path) {
    const char *slash = path;
    while (strchr(slash + 1, '/') && folder_safe(path, slash))
        slash = strchr(slash + 1, '/');
    return !strchr(slash + 1, '/');
}

static enum policy_reason read_checked(struct policy_file *file, const char *path) {
    static char text[POLICY_BYTES_MAX + 1];
    size_t have = 0;
    ssize_t n = -1;
    if (!folder_safe(path, strrchr(path, '/')))
        return POLICY_UNSAFE;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? POLICY_NO_FILE : POLICY_UNSAFE;
    if (fstat(fd, &file->seen) == 0 && S_ISREG(file->seen.st_mode) && !others_can_write(&file->seen)) {
        while (have < sizeof(text) && (n = read(fd, text + have, sizeof(text) - have)) > 0)
            have += (size_t) n;
    }
    (void) close(fd);
    if (n < 0 || have > POLICY_BYTES_MAX)
        return POLICY_UNSAFE;
    return policy_parse(&file->policy, text, have) ? POLICY_BAD_LINE : POLICY_ALLOWED;
}

void policy_refresh(struct policy_file *file, const char *path) {
    struct stat now;
    if (file->loaded && lstat(path, &now) == 0 && unchanged(&now, &file->seen))
        return;
    memset(&file->policy, 0, sizeof(file->policy));
    memset(&file->seen, 0, sizeof(file->seen));
    file->policy.fault = read_checked(file, path);
    /* A fault of the folder leaves nothing to compare: look again next time. */
    file->loaded = file->policy.fault == POLICY_ALLOWED || file->policy.fault == POLICY_BAD_LINE;
}
